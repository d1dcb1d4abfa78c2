package apikey

import (
	"context"
	"fmt"
	"iter"
	"slices"
	"time"
)

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

// Validate returns the options with the defaults of Sort and Limit, and with times in UTC and truncated
// to the microsecond. It returns an error that wraps [ErrInvalid] if a field is out of its limits. The
// store itself checks the Cursor. Validate is for authors of stores.
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
// with the zero Key. This is an error of List or ctx, or a report that List returned the same Next
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
