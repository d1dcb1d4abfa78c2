package apikey

import (
	"context"
	"time"
)

// A KeyManager is a KeyStore that also creates, changes and revokes keys. Use an [Issuer] to make
// keys, because it computes their digests. A KeyManager is safe for concurrent use.
//
// Every method except Lookup returns a copy that belongs to the caller. A KeyManager keeps no
// reference to its arguments. Every method that writes first checks the new values as
// [Key.Validate] does. It returns an error that wraps [ErrInvalid] if one is out of its limits.
// Times are stored in UTC, to the microsecond. A method returns nil only after its change is as
// durable as the store promises. The audit trail names [Actor] of ctx as the author of a change.
//
// If a store loses the answer to a change, the error wraps [ErrUncertain].
type KeyManager interface {
	KeyStore

	// Create adds a key. It returns [ErrExists] if the ID or the digest is taken. A [Toucher] keeps
	// the LastUsedAt of the key, and ignores the LastUsedAddr.
	Create(ctx context.Context, d Digest, key Key) error

	// Get returns the key with this ID, or [ErrNotFound].
	Get(ctx context.Context, id string) (Key, error)

	// List returns a page of keys. It returns [ErrInvalid] for options that [ListOptions.Validate]
	// refuses. It also returns [ErrInvalid] for a Cursor that it cannot decode or that belongs to
	// another selection or Sort.
	List(ctx context.Context, o ListOptions) (Page, error)

	// Update sets the fields of the Patch and returns the changed key, or [ErrNotFound]. It also
	// changes a revoked key, which stays revoked.
	Update(ctx context.Context, id string, p Patch) (Key, error)

	// Replace rotates a key atomically. The old key, which has this id, expires at expiresAt
	// or at its own ExpiresAt if that is sooner. If expiresAt is not in the future, the old key is
	// revoked. Replace stores the successor under d and returns it.
	//
	// The successor has the ID, Hint and CreatedAt of the argument. It has the current Name, Owner,
	// Scopes, Networks, Limits and Metadata of the old key, so that a rotation cannot restore permissions
	// that were taken away. It has the same lifetime as the old key had before any rotation
	// shortened that, starting at its CreatedAt. It does not outlive successor.ExpiresAt unless
	// that is zero.
	//
	// A key has at most one successor that is not revoked. If there is one already, the error is a
	// [*ReplacedError] that names it. Replace returns [ErrNotFound] for an unknown id, [ErrRevoked],
	// [ErrSuspended] or [ErrExpired] if the old key may not be used, and [ErrExists] as Create does.
	Replace(ctx context.Context, id string, expiresAt time.Time, d Digest, successor Key) (Key, error)

	// Revoke revokes a key permanently and returns it, or [ErrNotFound]. After Revoke has returned
	// nil, Lookup of this KeyManager returns the key as revoked. Revoking a key again keeps its first
	// RevokedAt and is not an error.
	Revoke(ctx context.Context, id string) (Key, error)

	// RevokeAll revokes the keys of an owner and returns the number of keys that it revoked. It does
	// not count keys that were revoked before. A store may revoke a limited number of keys in each
	// transaction, so an error may come after some of them. Call RevokeAll again to continue with the
	// others. The error is an [*InvalidError] for the owner "", and for text that no key can have.
	RevokeAll(ctx context.Context, owner string) (int, error)
}
