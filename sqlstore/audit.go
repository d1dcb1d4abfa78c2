package sqlstore

import (
	"context"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// Audit returns entries of the audit trail from the newest on: those of one key, or of all
// if keyID is "". cursor is the next of the page before, and limit 1 to 500, or 0 for 50.
func (s *Store) Audit(ctx context.Context, keyID, cursor string, limit int) (entries []apikey.AuditEntry, next string, err error) {
	o, err := apikey.ListOptions{Cursor: cursor, Limit: limit}.Validate()
	if err != nil {
		return nil, "", err
	}
	// A cursor of a list of keys is none of this one.
	o.Owner, o.Status = keyID, "audit"
	from, follows, err := listing.Parse(o)
	if err != nil {
		return nil, "", err
	}
	query, args := "SELECT rev, at, actor, action, key_id, detail FROM apikey_audit WHERE rev < ? ", []any{from.Seq}
	if !follows {
		args[0] = int64(1<<63 - 1)
	}
	if keyID != "" {
		if !isID(keyID) {
			return nil, "", nil
		}
		query += "AND key_seq = (SELECT seq FROM apikey_keys WHERE id = ?) "
		args = append(args, keyID)
	}
	err = s.read(ctx, func(ctx context.Context) error {
		rows, err := s.query(ctx, query+"ORDER BY rev DESC LIMIT ?", append(args, o.Limit+1)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		var rev int64
		for rows.Next() {
			if len(entries) == o.Limit {
				next = listing.Cursor(o, listing.Position{Seq: rev})
				return nil
			}
			var e apikey.AuditEntry
			var at int64
			if err := rows.Scan(&rev, &at, &e.Actor, &e.Action, &e.KeyID, &e.Detail); err != nil {
				return err
			}
			e.At = timeOf(at)
			entries = append(entries, e)
		}
		return rows.Err()
	})
	if err != nil {
		return nil, "", err
	}
	return entries, next, nil
}
