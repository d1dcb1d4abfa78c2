package apikey

import (
	"bytes"
	"context"
	"encoding/json"
	"net/netip"
	"strings"
	"time"
)

// An Auditor is a KeyManager that records each change of a key and the actor who made it. It writes a
// change and its entry atomically.
type Auditor interface {
	// Audit returns a page of entries, the newest first. It returns [ErrInvalid] for a Limit that is
	// out of range, and for a Cursor that it cannot decode or that belongs to another KeyID.
	Audit(ctx context.Context, o AuditOptions) (AuditPage, error)
}

// AuditOptions selects the entries that Audit returns. The zero value selects the 50 newest entries.
type AuditOptions struct {
	// KeyID selects the entries of one key; "" selects those of all keys. A text that is not an ID
	// selects no entry.
	KeyID string
	// Cursor is the Next of the previous page; "" selects the first page.
	Cursor string
	// Limit is the maximum number of entries: 1 to 500, or 0 for 50.
	Limit int
}

// Validate returns the options with the default of Limit, or an error that wraps [ErrInvalid] if
// Limit is out of range. The store itself checks the Cursor. Validate is for authors of stores.
func (o AuditOptions) Validate() (AuditOptions, error) {
	limit, err := validLimit(o.Limit)
	o.Limit = limit
	return o, err
}

// An AuditPage is a part of an audit trail.
type AuditPage struct {
	Entries []AuditEntry
	Next    string // the Cursor of the next page; "" on the last page
}

// An AuditEntry is one change of one key.
type AuditEntry struct {
	At      time.Time
	Actor   string        // the name that WithActor put into the context of the change
	Action  string        // create, update, replace, revoke or revoke_all
	KeyID   string        // "" for revoke_all
	Changes []FieldChange // in the order of FieldChanges; nil if no field changed
}

// A FieldChange is a field of a key before and after a change. It never contains a secret or a
// digest. Values have the limits of [Key] and are not shortened.
//
// Field is name, owner, scopes, networks, limits, metadata, expires, suspended, revoked, replaces or
// replaced_by. The entry of RevokeAll itself has the fields owner and count. Scopes, networks and limits
// are separated by spaces. Metadata is a JSON object. Times are in RFC 3339 format and UTC. An empty
// value is "". In entries of an earlier version, which recorded only the names of fields, Old and New
// are both "".
type FieldChange struct{ Field, Old, New string }

// FieldChanges returns the fields in which two states of a key differ. To record a new key, compare
// it with the zero Key. FieldChanges ignores ID, Hint, Origin, CreatedAt, LastUsedAt and LastUsedAddr.
// FieldChanges is for authors of stores.
func FieldChanges(old, new *Key) []FieldChange {
	var all []FieldChange
	for _, c := range [...]FieldChange{
		{"name", old.Name, new.Name},
		{"owner", old.Owner, new.Owner},
		{"scopes", strings.Join(old.Scopes, " "), strings.Join(new.Scopes, " ")},
		{"networks", networksText(old.Networks), networksText(new.Networks)},
		{"limits", limitsText(old.Limits), limitsText(new.Limits)},
		{"metadata", metadataText(old.Metadata), metadataText(new.Metadata)},
		{"expires", timeText(old.ExpiresAt), timeText(new.ExpiresAt)},
		{"suspended", timeText(old.SuspendedAt), timeText(new.SuspendedAt)},
		{"revoked", timeText(old.RevokedAt), timeText(new.RevokedAt)},
		{"replaces", old.Replaces, new.Replaces},
	} {
		if c.Old != c.New {
			all = append(all, c)
		}
	}
	return all
}

func networksText(networks []netip.Prefix) string {
	var b strings.Builder
	for i, n := range networks {
		if i > 0 {
			b.WriteByte(' ')
		}
		b.WriteString(n.String())
	}
	return b.String()
}

func metadataText(metadata map[string]string) string {
	if len(metadata) == 0 {
		return ""
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b) // sorts the names
	e.SetEscapeHTML(false)
	e.Encode(metadata) // a map of strings cannot fail
	return strings.TrimSuffix(b.String(), "\n")
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Truncate(time.Microsecond).Format(time.RFC3339Nano)
}
