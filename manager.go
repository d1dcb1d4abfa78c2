package apikey

import (
	"context"
	"fmt"
	"iter"
	"net/netip"
	"slices"
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

	// RevokeAll revokes every key of an owner that is not revoked, a limited number in each
	// transaction, and returns how many keys it revoked. After an error, call it again: it
	// continues with the keys that are left. The error is an [*InvalidError] for the owner
	// "", and for text that no key can have.
	RevokeAll(ctx context.Context, owner string) (int, error)
}

// A Patch is a change of a key. A nil field keeps the value of the key, and the zero Patch changes
// nothing. The other fields of a Key cannot be changed.
type Patch struct {
	Name     *string
	Owner    *string
	Scopes   *[]string
	Networks *[]netip.Prefix // an empty slice permits every network
	Limits   *[]Limit        // an empty slice removes all limits
	Metadata *map[string]string
	// ExpiresAt sets the expiry. A pointer to the zero time means never.
	ExpiresAt *time.Time
	// Suspended suspends the key or resumes it. Suspending a suspended key keeps its SuspendedAt.
	// A revoked key stays revoked.
	Suspended *bool
}

// Apply returns a copy of key with the fields of the Patch, at the time now. It returns an error that wraps
// [ErrInvalid] if a new value is out of its limits. It does not check the other fields, because a
// key of an earlier version may contain text that [Key.Validate] refuses today. Apply is for
// authors of stores.
func (p Patch) Apply(key Key, now time.Time) (Key, error) {
	fresh := Key{ID: "-", Name: "-"}
	p.set(&fresh, now)
	if err := fresh.Validate(); err != nil {
		return Key{}, err
	}
	p.set(&key, now)
	return key.Clone(), nil
}

// movedPrefix begins the Origin of a key that got another owner.
const movedPrefix = "moved_"

func (p Patch) set(key *Key, now time.Time) {
	if p.Name != nil {
		key.Name = *p.Name
	}
	if p.Scopes != nil {
		key.Scopes = *p.Scopes
	}
	if p.Metadata != nil {
		key.Metadata = *p.Metadata
	}
	if p.Owner != nil && *p.Owner != key.Owner {
		key.Owner = *p.Owner
		// Otherwise it would share its limits with the other keys of its series, which stay with their owner.
		key.Origin = movedPrefix + key.ID[max(0, len(key.ID)+len(movedPrefix)-maxID):]
	}
	if p.Networks != nil {
		key.Networks = *p.Networks
	}
	if p.Limits != nil {
		key.Limits = *p.Limits
	}
	if p.ExpiresAt != nil {
		key.ExpiresAt = *p.ExpiresAt
	}
	if p.Suspended != nil {
		switch {
		case !*p.Suspended:
			key.SuspendedAt = time.Time{}
		case key.SuspendedAt.IsZero():
			key.SuspendedAt = now
		}
	}
}

// A Status selects keys by whether they may be used; "" selects all keys.
type Status string

// The statuses that a list can select.
const (
	StatusActive    Status = "active"    // the key may be used
	StatusSuspended Status = "suspended" // suspended and not revoked
	StatusExpired   Status = "expired"   // expired, and neither suspended nor revoked
	StatusRevoked   Status = "revoked"
)

// A Sort is the order of a list; "" is SortNewest.
type Sort string

// The orders of a list.
const (
	SortNewest  Sort = "newest"  // the newest key first
	SortName    Sort = "name"    // by name, ignoring case; for equal names the oldest key first
	SortExpires Sort = "expires" // the key that expires first; keys that never expire are last
)

const (
	defaultLimit = 50
	maxLimit     = 500
)

// ListOptions selects the keys that List returns. The zero value selects the 50 newest keys.
type ListOptions struct {
	// Owner selects the keys of this owner; "" selects those of all owners.
	Owner string
	// Scope selects keys that have this scope; "" selects all keys.
	Scope string
	// ExpiresBefore selects keys with an ExpiresAt before this time. The zero time selects all keys.
	ExpiresBefore time.Time
	// UnusedSince selects keys that were created before this time and not used since then. The zero
	// time selects all keys. A store that is not a [Toucher] selects by CreatedAt alone.
	UnusedSince time.Time
	// Search selects keys that contain this text in Name, ID, Hint, Owner or Scopes, which are
	// separated by spaces. It is compared literally and ignoring case. At most 100 characters.
	Search string
	// Status selects keys by whether they may be used; "" selects all keys.
	Status Status
	// Sort is the order of the list; "" is SortNewest.
	Sort Sort
	// Cursor is the Next of the previous page; "" selects the first page.
	Cursor string
	// Limit is the maximum number of keys: 1 to 500, or 0 for 50.
	Limit int
}

// Validate returns the options with the defaults of Sort and Limit. It returns an error that wraps
// [ErrInvalid] if Owner, Search, Status, Sort or Limit is out of its limits. The store itself
// checks the Cursor. Validate is for authors of stores.
func (o ListOptions) Validate() (ListOptions, error) {
	if o.Sort == "" {
		o.Sort = SortNewest
	}
	switch {
	case !slices.Contains([]Status{"", StatusActive, StatusSuspended, StatusExpired, StatusRevoked}, o.Status):
		return o, invalid("Status", "%s: want active, suspended, expired or revoked, or nothing for all", quote(o.Status))
	case !slices.Contains([]Sort{SortNewest, SortName, SortExpires}, o.Sort):
		return o, invalid("Sort", "%s: want newest, name or expires, or nothing for newest", quote(o.Sort))
	}
	if o.Scope != "" {
		if err := checkScope("Scope", o.Scope); err != nil {
			return o, err
		}
	}
	for _, f := range [...]struct {
		field string
		at    *time.Time
	}{{"ExpiresBefore", &o.ExpiresBefore}, {"UnusedSince", &o.UnusedSince}} {
		if err := checkTime(f.field, *f.at); err != nil {
			return o, err
		}
		*f.at = f.at.UTC().Truncate(time.Microsecond)
	}
	limit, err := validLimit(o.Limit)
	if err != nil {
		return o, err
	}
	o.Limit = limit
	// A database may fail on text that no key can contain.
	for _, f := range [...]struct{ field, text string }{{"Owner", o.Owner}, {"Search", o.Search}} {
		if problem := storageProblem(f.text, maxText); problem != "" {
			return o, invalid(f.field, "%s: %s", quote(f.text), problem)
		}
	}
	return o, nil
}

// validLimit returns the limit of a page, with its default.
func validLimit(limit int) (int, error) {
	if limit < 0 || limit > maxLimit {
		return 0, invalid("Limit", "%d: want 1 to %d, or 0 for %d", limit, maxLimit, defaultLimit)
	}
	if limit == 0 {
		limit = defaultLimit
	}
	return limit, nil
}

// A Page is a part of a list. [Keys] reads all pages.
//
// A page before the last one may have fewer keys than the Limit, or no keys. The reason is that a
// store may examine a limited number of keys in one call. A store does so only for Search, Scope,
// ExpiresBefore and UnusedSince, and for a Status in another order than SortExpires or together with
// an Owner. Keys of other owners never shorten the page of an Owner.
type Page struct {
	Keys []Key
	Next string // the Cursor of the next page; "" on the last page
}

// Keys returns an iterator over all keys that the options select. It reads page by page; o.Limit is
// the size of a page, and 0 means 500. The iterator ends after the first error, which it yields
// with the zero Key. This is an error of List or ctx, or the error that List returned the same Next
// twice.
//
// A list is not a snapshot. The iterator may omit a key that changes during the iteration. It may
// yield a key twice if its place in the order changes.
func Keys(ctx context.Context, m KeyManager, o ListOptions) iter.Seq2[Key, error] {
	if o.Limit == 0 {
		o.Limit = maxLimit
	}
	return func(yield func(Key, error) bool) {
		o := o // so that each use of the iterator begins with the first page
		seen := make(map[string]bool)
		for {
			seen[o.Cursor] = true
			if err := ctx.Err(); err != nil {
				yield(Key{}, err)
				return
			}
			page, err := m.List(ctx, o)
			if err != nil {
				yield(Key{}, err)
				return
			}
			for _, key := range page.Keys {
				if !yield(key, nil) {
					return
				}
			}
			if page.Next == "" {
				return
			}
			if seen[page.Next] {
				yield(Key{}, fmt.Errorf("apikey: Keys: %T.List returned the same Next twice", m))
				return
			}
			o.Cursor = page.Next
		}
	}
}
