package apikey

import "time"

// A Condition restricts the changes of a key. A store checks it in the transaction that makes the
// change, so that no other change can come in between. The zero Condition permits every change.
type Condition struct {
	// Check gets the key before an Update, a Replace or a Revoke changes it, and returns an error to
	// prevent that. The method then returns exactly this error. Check comes before every other reason
	// to refuse the change, except an unknown ID. It also decides about a Revoke of a key that is
	// already revoked. Create does not call Check, because there is no key yet.
	//
	// A store calls Check at most once in each call of a method. Check must return quickly and must
	// not call the store, because other writes wait for it. For Revoke, a store may pass a key without
	// restrictions that it cannot read; its ID and Owner are always right.
	Check func(Key) error

	// MaxKeys is the maximum number of living keys of one owner. A living key is neither revoked nor
	// expired; it may be suspended. 0 means no limit. MaxKeys applies to a change that adds a living
	// key to an owner, as [Condition.Limits] describes. If the owner would then have more than
	// MaxKeys living keys, the method returns [ErrTooManyKeys]. [ErrExists] and the reasons of
	// Replace come first.
	MaxKeys int
}

// A Conditional is a KeyManager that can make changes under a [Condition]. Package manage needs one. A
// store that embeds a Conditional and replaces one of its methods must also replace If. Otherwise the
// view of the embedded If bypasses that method.
type Conditional interface {
	KeyManager

	// If returns a view of the store whose Create, Update, Replace and Revoke enforce the Condition. A
	// refused change writes no key, no audit entry and no revision. The other methods, including
	// RevokeAll, ignore the Condition.
	If(c Condition) KeyManager
}

// Limits reports whether MaxKeys applies to a change of a key at the time now. It does if MaxKeys is set
// and the owner of the key gets one more living key. old is the key before the change, or the zero Key
// for a new one. Keys without an owner are not limited. Limits is for authors of stores.
//
// A Replace is a change from the zero Key to the successor. If the Replace revokes the old key, MaxKeys
// does not apply, and the store does not call Limits.
func (c Condition) Limits(old, new *Key, now time.Time) bool {
	return c.MaxKeys > 0 && new.Owner != "" && new.lives(now) && !(old.Owner == new.Owner && old.lives(now))
}

// lives reports whether a key counts for MaxKeys.
func (k *Key) lives(now time.Time) bool {
	return k.RevokedAt.IsZero() && (k.ExpiresAt.IsZero() || now.Before(k.ExpiresAt))
}
