package apikey

import (
	"context"
	"slices"
	"time"
)

// A KeyManager is a KeyStore in which keys are created, changed and revoked. Use
// an [Issuer] to make keys: it is what turns a secret into a Digest.
//
// What a KeyManager returns, but for Lookup, is the caller's own copy, and it
// keeps no memory of its arguments. Every write calls [Key.Validate] on the key as
// it would stand, before anything is written. Times are kept to the microsecond, in
// UTC. A method returns nil only when its change is durable as far as the store
// promises to be. The actor of a change is [Actor] of ctx.
type KeyManager interface {
	KeyStore

	// Create adds a key. [ErrExists] if the ID or the digest is taken;
	// [ErrInvalid]. LastUsedAt is not taken over.
	Create(ctx context.Context, d Digest, key Key) error

	// Get returns the key with that ID, or [ErrNotFound].
	Get(ctx context.Context, id string) (Key, error)

	// List returns a page of keys. [ErrInvalid] for a Status, Sort or Limit that
	// it does not know, for text that no key can hold, and for a Cursor that does
	// not decode or was handed out for another Owner, Search, Status or Sort.
	List(ctx context.Context, o ListOptions) (Page, error)

	// Update changes what the Patch sets and returns the key as it now is.
	// [ErrNotFound], [ErrInvalid]. It may be used on a revoked key and leaves it
	// revoked.
	Update(ctx context.Context, id string, p Patch) (Key, error)

	// Replace rotates a key, in one step: the key id expires at expiresAt, or
	// when it would have expired anyway if that is sooner, and successor is
	// created under d. Of the successor, ID, Hint, CreatedAt and ExpiresAt are
	// used; Name, Owner, Scopes and Metadata are those of the replaced key at
	// that moment, so that a rotation brings back nothing that was taken away
	// meanwhile. It returns the successor. [ErrNotFound]; [ErrRevoked] or
	// [ErrExpired] if the key may no longer be used; [ErrExists]; [ErrInvalid].
	Replace(ctx context.Context, id string, expiresAt time.Time, d Digest, successor Key) (Key, error)

	// Revoke ends a key for good and returns it. Revoking again is no error and
	// keeps the first RevokedAt. [ErrNotFound]. When it has returned nil, Lookup
	// of this KeyManager returns the key as revoked.
	Revoke(ctx context.Context, id string) (Key, error)
}

// A Patch is a change of a key: what is not nil is set. The zero Patch changes
// nothing. ID, Owner and the other times are not for changing.
type Patch struct {
	Name      *string
	Scopes    *[]string
	Metadata  *map[string]string
	ExpiresAt *time.Time // pointing to the zero time: never
}

// Apply returns a copy of key with the patch applied, or an error that wraps
// [ErrInvalid]. It is for those who write a KeyManager.
func (p Patch) Apply(key Key) (Key, error) {
	if p.Name != nil {
		key.Name = *p.Name
	}
	if p.Scopes != nil {
		key.Scopes = *p.Scopes
	}
	if p.Metadata != nil {
		key.Metadata = *p.Metadata
	}
	if p.ExpiresAt != nil {
		key.ExpiresAt = *p.ExpiresAt
	}
	if err := key.Validate(); err != nil {
		return Key{}, err
	}
	return key.Clone(), nil
}

// ReplacedBy returns the two keys of a rotation by [KeyManager.Replace], or the error
// that Replace returns for them: the old key as it ends, and its successor with
// what it inherits. It is for those who write a KeyManager, to be called where
// nothing can change the old key between its reading and its writing.
func (k *Key) ReplacedBy(now, expiresAt time.Time, successor Key) (old, heir Key, err error) {
	if err := k.Check(now); err != nil {
		return Key{}, Key{}, err
	}
	old = k.Clone()
	if old.ExpiresAt.IsZero() || expiresAt.Before(old.ExpiresAt) {
		old.ExpiresAt = expiresAt
	}
	heir = Key{
		ID: successor.ID, Hint: successor.Hint, CreatedAt: successor.CreatedAt, ExpiresAt: successor.ExpiresAt,
		Name: k.Name, Owner: k.Owner, Scopes: k.Scopes, Metadata: k.Metadata, Replaces: k.ID,
	}
	if expiresAt.IsZero() {
		return Key{}, Key{}, invalid("expiresAt: the zero time; a replaced key has an end")
	}
	for _, key := range [...]*Key{&old, &heir} {
		if err := key.Validate(); err != nil {
			return Key{}, Key{}, err
		}
	}
	return old.Clone(), heir.Clone(), nil
}

// The values of ListOptions.Status and ListOptions.Sort.
const (
	StatusActive  = "active"  // neither revoked nor expired
	StatusExpired = "expired" // expired, not revoked
	StatusRevoked = "revoked"

	SortNewest  = "newest"  // the last created first; what "" means
	SortName    = "name"    // by name without case, then the first created first
	SortExpires = "expires" // what expires first; what never expires last
)

const (
	defaultLimit = 50
	maxLimit     = 500
)

// ListOptions selects what List returns. The zero value is the 50 newest keys.
type ListOptions struct {
	// Owner selects the keys of this owner; "" those of everyone.
	Owner string
	// Search selects keys with this text in Name, ID or Hint: literally, without
	// regard to case, at most 100 characters.
	Search string
	// Status selects "active", "expired" or "revoked" keys; "" all.
	Status string
	// Sort is "newest" or "", "name" or "expires".
	Sort string
	// Cursor is the Next of the page before this one; "" for the first.
	Cursor string
	// Limit is the most keys to return: 1 to 500, or 0 for 50.
	Limit int
}

// Validate returns the options with Sort and Limit filled in, or an error that
// wraps [ErrInvalid] and names the field. The Cursor is the store's own to check. It
// is for those who write a KeyManager.
func (o ListOptions) Validate() (ListOptions, error) {
	if o.Sort == "" {
		o.Sort = SortNewest
	}
	if o.Limit == 0 {
		o.Limit = defaultLimit
	}
	switch {
	case !slices.Contains([]string{"", StatusActive, StatusExpired, StatusRevoked}, o.Status):
		return o, invalid("Status %s: want active, expired, revoked or nothing", quote(o.Status))
	case !slices.Contains([]string{SortNewest, SortName, SortExpires}, o.Sort):
		return o, invalid("Sort %s: want newest, name or expires", quote(o.Sort))
	case o.Limit < 0 || o.Limit > maxLimit:
		return o, invalid("Limit %d: want 1 to %d, or 0 for %d", o.Limit, maxLimit, defaultLimit)
	}
	// What no key can hold is no search: it would be for a database to choke on.
	for _, f := range [...]struct{ field, text string }{{"Owner", o.Owner}, {"Search", o.Search}} {
		if problem := textProblem(f.text, maxText); problem != "" {
			return o, invalid("%s %s: %s", f.field, quote(f.text), problem)
		}
	}
	return o, nil
}

// A Page is a part of a list. A store that searches within a budget may return
// fewer keys than asked for, or none, and yet a Next to go on with.
type Page struct {
	Keys []Key
	Next string // "": this is the last page
}

// An Auditor is a KeyManager that keeps a record of changes, written together with
// each change. Audit returns entries from the newest on: those of one key, or of
// all if keyID is "". cursor and limit are as in ListOptions.
type Auditor interface {
	Audit(ctx context.Context, keyID, cursor string, limit int) (entries []AuditEntry, next string, err error)
}

// An AuditEntry is one change: who did what to which key, and when.
type AuditEntry struct {
	At     time.Time
	Actor  string // see WithActor
	Action string // create, update, replace or revoke
	KeyID  string
	Detail string // what was changed, never a secret
}
