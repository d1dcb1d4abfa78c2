package sqlstore

import (
	"cmp"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// keyColumns are the columns of a key in the order in which a row scans them.
const keyColumns = "k.seq, k.digest, k.id, k.name, k.owner, k.hint, k.scopes, k.metadata, k.replaces, k.created_at, k.expires_at, k.revoked_at, " +
	"k.suspended_at, k.networks, k.limits, k.origin"

// A row is a key as the database stores it. All of its fields are NULL if a join found no key.
type row struct {
	seq                        sql.NullInt64
	digest                     []byte
	id, name, owner, hint      sql.NullString
	scopes, metadata, replaces sql.NullString
	created, expires, revoked  sql.NullInt64
	suspended                  sql.NullInt64
	networks, limits, origin   sql.NullString
}

// destinations returns the arguments of Scan for keyColumns.
func (r *row) destinations() []any {
	return []any{&r.seq, &r.digest, &r.id, &r.name, &r.owner, &r.hint, &r.scopes, &r.metadata, &r.replaces, &r.created, &r.expires, &r.revoked,
		&r.suspended, &r.networks, &r.limits, &r.origin}
}

// errUnknownRules reports a key that a newer program restricted by rules that this program cannot
// enforce.
var errUnknownRules = errors.New("the key has rules that this version does not know: use a newer one")

// key converts the row into a Key. With errUnknownRules it also returns the Key without these
// rules, which callers use only to revoke it.
func (r *row) key() (apikey.Key, error) {
	key := apikey.Key{
		ID: r.id.String, Name: r.name.String, Owner: r.owner.String, Hint: r.hint.String, Replaces: r.replaces.String, Origin: cmp.Or(r.origin.String, r.replaces.String),
		CreatedAt: timeOf(r.created.Int64), ExpiresAt: timeOf(r.expires.Int64), RevokedAt: timeOf(r.revoked.Int64),
		SuspendedAt: timeOf(r.suspended.Int64),
	}
	if r.scopes.String != "" {
		key.Scopes = strings.Split(r.scopes.String, " ")
	}
	if r.metadata.String != "" {
		if err := json.Unmarshal([]byte(r.metadata.String), &key.Metadata); err != nil {
			return apikey.Key{}, fmt.Errorf("key %s: column metadata: %w", key.ID, err)
		}
	}
	for network := range strings.FieldsSeq(r.networks.String) {
		p, err := netip.ParsePrefix(network)
		if err != nil {
			return key, fmt.Errorf("key %s: network %.50q: %w", key.ID, network, errUnknownRules)
		}
		key.Networks = append(key.Networks, p)
	}
	limits, err := apikey.ParseLimits(r.limits.String)
	if err != nil {
		return key, fmt.Errorf("key %s: limits %.50q: %w", key.ID, r.limits.String, errUnknownRules)
	}
	key.Limits = limits
	return key, nil
}

// columnValues returns the values of the columns name, fold, fold_id, owner, hint, scopes,
// metadata, replaces, created_at, expires_at, revoked_at, suspended_at, networks, limits, origin and dead.
func columnValues(key *apikey.Key) []any {
	metadata := ""
	if len(key.Metadata) > 0 {
		b, _ := json.Marshal(key.Metadata) // never fails for a map of strings
		metadata = string(b)
	}
	networks := make([]string, len(key.Networks))
	for i, n := range key.Networks {
		networks[i] = n.String()
	}
	limits := make([]string, len(key.Limits))
	for i, l := range key.Limits {
		limits[i] = l.String()
	}
	return []any{
		key.Name, listing.Fold(key.Name), listing.Fold(key.ID + "\n" + key.Hint), key.Owner, key.Hint,
		strings.Join(key.Scopes, " "), metadata, key.Replaces,
		microsOf(key.CreatedAt), microsOf(key.ExpiresAt), microsOf(key.RevokedAt), microsOf(key.SuspendedAt),
		strings.Join(networks, " "), strings.Join(limits, " "), key.Origin, deadOf(key),
	}
}

// The values of the column dead, with which the indexes by status begin. A program of version 1
// knows only alive and revoked, and lists suspended keys as neither.
const (
	alive     = 0 // active or expired, depending on the time
	revoked   = 1
	suspended = 2
)

// deadOf returns the value of the column dead.
func deadOf(key *apikey.Key) int {
	switch {
	case !key.RevokedAt.IsZero():
		return revoked
	case !key.SuspendedAt.IsZero():
		return suspended
	}
	return alive
}

// timeOf converts microseconds since 1970 into a time; 0 is the zero time.
func timeOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

// microsOf converts a time into microseconds since 1970; the zero time is 0.
func microsOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
