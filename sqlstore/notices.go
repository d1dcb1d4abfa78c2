package sqlstore

import (
	"context"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// SentNotices returns the set of the given notices that were finished. It executes one query. The error
// is [apikey.ErrInvalid] for more than [apikey.MaxNotices] IDs.
func (s *Store) SentNotices(ctx context.Context, ids []string) (map[string]bool, error) {
	if len(ids) > apikey.MaxNotices {
		return nil, invalid("ids", "%d IDs; want at most %d", len(ids), apikey.MaxNotices)
	}
	var args []any
	for _, id := range ids {
		if isID(id) {
			args = append(args, id)
		}
	}
	sent := map[string]bool{}
	if len(args) == 0 {
		return sent, ctx.Err()
	}
	query := "SELECT id FROM apikey_notices WHERE id IN (?" + strings.Repeat(", ?", len(args)-1) + ") AND sent_at <> 0"
	err := s.read(ctx, func(ctx context.Context) error {
		clear(sent)
		rows, err := s.query(ctx, query, args...)
		if err != nil {
			return err
		}
		defer rows.Close()
		for rows.Next() {
			var id string
			if err := rows.Scan(&id); err != nil {
				return err
			}
			sent[id] = true
		}
		return rows.Err()
	})
	return sent, err
}

// ClaimNotice reports whether the caller has the claim and must send the notice. Like every write, it
// waits for other writes of the database. The error is [apikey.ErrNotFound] for an unknown key, and
// [apikey.ErrInvalid] for an invalid claim. After an error that wraps [apikey.ErrUncertain] the claim
// may be in force until its Until.
func (s *Store) ClaimNotice(ctx context.Context, c apikey.NoticeClaim) (claimed bool, err error) {
	c, err = c.Validate()
	if err != nil {
		return false, err
	}
	if !isID(c.KeyID) {
		return false, apikey.ErrNotFound
	}
	err = s.writeNotice(ctx, func(t *tx) error {
		claimed = false
		seq, err := t.number("SELECT seq FROM apikey_keys WHERE id = ?", c.KeyID)
		if err != nil {
			return err
		}
		if seq == 0 {
			return apikey.ErrNotFound
		}
		until, err := t.numbers("SELECT CASE WHEN sent_at <> 0 THEN -1 ELSE claimed_until END FROM apikey_notices WHERE id = ?", c.ID)
		switch {
		case err != nil:
			return err
		case len(until) == 0:
			err = t.exec("INSERT INTO apikey_notices (id, key_seq, claimed_until, sent_at) VALUES (?, ?, ?, 0)", c.ID, seq, microsOf(c.Until))
		case until[0] < 0 || until[0] > microsOf(c.At):
			return errUnchanged
		default:
			err = t.exec("UPDATE apikey_notices SET claimed_until = ? WHERE id = ?", microsOf(c.Until), c.ID)
		}
		claimed = err == nil
		return err
	})
	return claimed && err == nil, err
}

// FinishNotice records that the notice was sent. It ignores a notice that was never claimed.
func (s *Store) FinishNotice(ctx context.Context, c apikey.NoticeClaim) error {
	c, err := c.Validate()
	if err != nil {
		return err
	}
	return s.writeNotice(ctx, func(t *tx) error {
		return t.exec("UPDATE apikey_notices SET sent_at = ? WHERE id = ? AND sent_at = 0", microsOf(t.now), c.ID)
	})
}

// ReleaseNotice ends the claim, unless a later claim is in force or the notice was finished.
func (s *Store) ReleaseNotice(ctx context.Context, c apikey.NoticeClaim) error {
	c, err := c.Validate()
	if err != nil {
		return err
	}
	return s.writeNotice(ctx, func(t *tx) error {
		return t.exec("UPDATE apikey_notices SET claimed_until = 0 WHERE id = ? AND claimed_until = ? AND sent_at = 0", c.ID, microsOf(c.Until))
	})
}

// writeNotice executes f while no other write runs on the database. It creates no revision, because
// caches do not hold notices.
func (s *Store) writeNotice(ctx context.Context, f func(t *tx) error) error {
	return s.transact(ctx, func(t *tx) ([]apikey.Digest, error) {
		if err := t.lock(); err != nil {
			return nil, err
		}
		return nil, f(t)
	})
}
