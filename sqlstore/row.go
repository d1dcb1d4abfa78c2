package sqlstore

import (
	"database/sql"
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// keyColumns are the columns of a key, as a row scans them.
const keyColumns = "k.seq, k.digest, k.id, k.name, k.owner, k.hint, k.scopes, k.metadata, k.replaces, k.created_at, k.expires_at, k.revoked_at"

// A row is a key as the database has it. All of it is NULL where a join found no key.
type row struct {
	seq                        sql.NullInt64
	digest                     []byte
	id, name, owner, hint      sql.NullString
	scopes, metadata, replaces sql.NullString
	created, expires, revoked  sql.NullInt64
}

// fields are where the keyColumns go.
func (r *row) fields() []any {
	return []any{&r.seq, &r.digest, &r.id, &r.name, &r.owner, &r.hint, &r.scopes, &r.metadata, &r.replaces, &r.created, &r.expires, &r.revoked}
}

// key returns the row as a Key.
func (r *row) key() (apikey.Key, error) {
	key := apikey.Key{
		ID: r.id.String, Name: r.name.String, Owner: r.owner.String, Hint: r.hint.String, Replaces: r.replaces.String,
		CreatedAt: timeOf(r.created.Int64), ExpiresAt: timeOf(r.expires.Int64), RevokedAt: timeOf(r.revoked.Int64),
	}
	if r.scopes.String != "" {
		key.Scopes = strings.Split(r.scopes.String, " ")
	}
	if r.metadata.String != "" {
		if err := json.Unmarshal([]byte(r.metadata.String), &key.Metadata); err != nil {
			return apikey.Key{}, fmt.Errorf("sqlstore: key %s: column metadata: %w", key.ID, err)
		}
	}
	return key, nil
}

// values are the columns that a Key fills: name, fold, fold_id, owner, hint, scopes,
// metadata, replaces, created_at, expires_at, revoked_at, dead.
func values(key *apikey.Key) []any {
	metadata := ""
	if len(key.Metadata) > 0 {
		b, _ := json.Marshal(key.Metadata) // a map of strings cannot fail
		metadata = string(b)
	}
	dead := 0
	if !key.RevokedAt.IsZero() {
		dead = 1
	}
	return []any{
		key.Name, listing.Fold(key.Name), listing.Fold(key.ID + "\n" + key.Hint), key.Owner, key.Hint,
		strings.Join(key.Scopes, " "), metadata, key.Replaces,
		microsOf(key.CreatedAt), microsOf(key.ExpiresAt), microsOf(key.RevokedAt), dead,
	}
}

// timeOf and microsOf turn times into microseconds since 1970 and back; 0 is never.
func timeOf(micros int64) time.Time {
	if micros == 0 {
		return time.Time{}
	}
	return time.UnixMicro(micros).UTC()
}

func microsOf(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}
