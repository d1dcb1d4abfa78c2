package sqlstore

import (
	"context"

	"github.com/latchkey-dev/apikey"
)

// outdatedStatus selects the suspended keys that a program of version 1 changed since. It writes
// dead = 0, because it does not know that keys can be suspended.
const outdatedStatus = "suspended_at > 0 AND revoked_at = 0 AND dead = 0"

// repairStatus corrects the column dead, by which lists find suspended keys.
func (s *Store) repairStatus(ctx context.Context) error {
	outdated := false
	err := s.read(ctx, func(ctx context.Context) error {
		rows, err := s.query(ctx, "SELECT seq FROM apikey_keys WHERE "+outdatedStatus+" LIMIT 1")
		if err != nil {
			return err
		}
		defer rows.Close()
		outdated = rows.Next()
		return rows.Err()
	})
	if err != nil || !outdated {
		return err
	}
	return s.transact(ctx, func(t *tx) ([]apikey.Digest, error) {
		if err := t.lock(); err != nil {
			return nil, err
		}
		return nil, t.exec("UPDATE apikey_keys SET dead = 2 WHERE " + outdatedStatus)
	})
}
