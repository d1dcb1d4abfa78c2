package apikey

import (
	"cmp"
	"context"
	"errors"
	"time"
)

// A ReplacedError says that a key cannot be rotated, because it has a successor that is not
// revoked. To rotate the key again, revoke the successor first. errors.Is reports that a
// ReplacedError is [ErrReplaced] and, if the key may not be used, also [ErrRevoked], [ErrSuspended]
// or [ErrExpired].
type ReplacedError struct {
	// Successor is the ID of the successor. It is "" if the caller may not see that key; see package
	// manage.
	Successor string

	ended error // ErrRevoked, ErrSuspended, ErrExpired or nil
}

// Error returns a text that names the successor.
func (e *ReplacedError) Error() string {
	if e.Successor == "" {
		return ErrReplaced.Error()
	}
	return "apikey: key was already replaced by key " + e.Successor + "; use that one, or revoke it"
}

// Is reports whether target is ErrReplaced or the reason for which the key may not be used.
func (e *ReplacedError) Is(target error) bool {
	return target == ErrReplaced || e.ended != nil && errors.Is(e.ended, target)
}

// A Lineage is a store's record of earlier rotations of a key. The zero Lineage describes a key that
// was never rotated.
type Lineage struct {
	// Successors are the keys that replaced this one, and the keys that replaced a revoked one of
	// them. Only ID and RevokedAt need be set.
	Successors []Key
	// Rotated reports whether the key was rotated before, even if its successors are deleted.
	Rotated bool
	// ExpiresAt is the time at which a Rotated key would have expired without its first rotation; the
	// zero time means never.
	ExpiresAt time.Time
}

// A SuccessorFinder is a KeyManager that finds the successors of rotated keys.
type SuccessorFinder interface {
	// Successors returns a map from the ID of each key that has a successor to the ID of the
	// successor. This is the successor that is not revoked, or the newest one if all are revoked.
	// It ignores unknown IDs. It returns [ErrInvalid] for more than [MaxSuccessors] IDs.
	Successors(ctx context.Context, ids []string) (map[string]string, error)
}

// MaxSuccessors is the maximum number of IDs in a call of Successors.
const MaxSuccessors = maxLimit

// ReplacedBy returns the two keys that [KeyManager.Replace] stores. The first is the old key, which
// expires or is revoked. The second is the successor with the inherited fields. If the key cannot be
// rotated, ReplacedBy returns the error of Replace. ReplacedBy is for authors of stores. Call it in the transaction that writes both keys,
// so that the old key and its lineage cannot change in between.
func (k *Key) ReplacedBy(now, expiresAt time.Time, successor Key, lineage Lineage) (old, next Key, err error) {
	ended := k.Check(now)
	for _, s := range lineage.Successors {
		// An expired successor counts too, because an Update can prolong it.
		if s.RevokedAt.IsZero() {
			return Key{}, Key{}, &ReplacedError{Successor: s.ID, ended: ended}
		}
	}
	if ended != nil {
		return Key{}, Key{}, ended
	}
	if expiresAt.IsZero() || !validTime(expiresAt) {
		return Key{}, Key{}, invalid("expiresAt", "%v: want a time between 1970 and 9999", expiresAt)
	}
	if err := checkTime("successor.ExpiresAt", successor.ExpiresAt); err != nil {
		return Key{}, Key{}, err
	}
	first := *k
	if lineage.Rotated {
		first.ExpiresAt = lineage.ExpiresAt
	}
	next = Key{
		ID: successor.ID, Hint: successor.Hint, CreatedAt: successor.CreatedAt,
		ExpiresAt: earlier(first.renewed(successor.CreatedAt), successor.ExpiresAt),
		Name:      k.Name, Owner: k.Owner, Scopes: k.Scopes, Networks: k.Networks, Limits: k.Limits, Metadata: k.Metadata, Replaces: k.ID,
		Origin: cmp.Or(k.Origin, k.Replaces, k.ID),
	}
	old = *k
	if expiresAt.After(now) {
		old.ExpiresAt = earlier(old.ExpiresAt, expiresAt)
	} else {
		old.RevokedAt = now
	}
	// Validate does not see the inherited fields, which were valid when they were stored.
	fresh := Key{ID: next.ID, Name: "-", Hint: next.Hint, CreatedAt: next.CreatedAt, ExpiresAt: next.ExpiresAt}
	if err := fresh.Validate(); err != nil {
		return Key{}, Key{}, err
	}
	return old.Clone(), next.Clone(), nil
}

// renewed returns the ExpiresAt of a key that is created at the given time with the lifetime of k.
func (k *Key) renewed(created time.Time) time.Time {
	lifetime := k.ExpiresAt.Sub(k.CreatedAt)
	if k.ExpiresAt.IsZero() || k.CreatedAt.IsZero() || lifetime <= 0 {
		return k.ExpiresAt // never, or the lifetime is unknown
	}
	return created.Add(lifetime)
}

// earlier returns the earlier of two times at which a key ends. The zero time means never.
func earlier(a, b time.Time) time.Time {
	if a.IsZero() || !b.IsZero() && b.Before(a) {
		return b
	}
	return a
}
