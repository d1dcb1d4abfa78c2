package sqlstore

import (
	"context"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// Successors returns the successor's ID for each key that was rotated, keyed by the ID of that key.
// Of several successors it returns the one that is not revoked, otherwise the newest. It executes
// one query. The error is [apikey.ErrInvalid] for more than [apikey.MaxSuccessors] IDs.
func (s *Store) Successors(ctx context.Context, ids []string) (map[string]string, error) {
	if len(ids) > apikey.MaxSuccessors {
		return nil, invalid("ids", "%d IDs; want at most %d", len(ids), apikey.MaxSuccessors)
	}
	var args []any
	for _, id := range ids {
		if isID(id) {
			args = append(args, id)
		}
	}
	found := map[string]string{}
	if len(args) == 0 {
		return found, ctx.Err()
	}
	// The last row for each key wins: revoked successors come first, then older before newer ones.
	query := "SELECT replaces, id FROM apikey_keys WHERE replaces IN (?" + strings.Repeat(", ?", len(args)-1) + ") AND replaces <> '' " +
		"ORDER BY CASE WHEN revoked_at = 0 THEN 1 ELSE 0 END, seq"
	err := s.read(ctx, func(ctx context.Context) error {
		clear(found)
		rows, err := s.query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var old, successor string
			if err := rows.Scan(&old, &successor); err != nil {
				return err
			}
			found[old] = successor
		}
		return rows.Err()
	})
	return found, err
}
