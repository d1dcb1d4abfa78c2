package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

const (
	purgeRead     = 5000           // keys that one statement of Purge reads
	purgeStep     = 500            // keys or audit entries that one transaction deletes
	purgeInterval = time.Hour      // between two calls of Purge for PurgeAfter
	minPurgeAfter = 24 * time.Hour // of PurgeAfter and of the age for Purge
	maxClockSkew  = time.Hour      // between the clocks of processes and of the database
)

// Purged is the result of [Store.Purge].
type Purged struct {
	Keys    int // number of deleted keys
	Entries int // number of deleted audit entries
}

// Purge deletes the audit entries made before a time, and the keys that were revoked or expired
// before it. It keeps a key that was created or changed since then, a suspended key that has not
// expired, and the successor of a key that it keeps. Each transaction deletes at most 500 rows, so
// that other writes wait only briefly. After an error, call Purge again.
//
// A deleted key is an unknown key: it gets the same 401 as before, its ID is free, and it can be
// imported again. Purge itself writes no audit entry. The error is [apikey.ErrInvalid] unless the
// time is at least 24 hours ago, because a cache must have applied every change of the keys.
//
// Purge deletes nothing and returns an error if the clock of this process is more than an hour ahead
// of the database's, because it would delete valid keys. Because the clocks of processes differ, an
// entry is never older than the one before it, and an entry with a time in the future is as old as the
// next one.
func (s *Store) Purge(ctx context.Context, before time.Time) (p Purged, err error) {
	if time.Since(before) < minPurgeAfter || before.UnixMicro() <= 0 {
		return p, invalid("before", "%v: want a time at least %v ago, such as 30 days", before, minPurgeAfter)
	}
	if err := s.checkClock(ctx); err != nil {
		return p, err
	}
	micros := before.UnixMicro()
	// Purge deletes the audit entries first. A cache that polls after a revision whose audit entry is
	// gone drops all its keys, so it cannot miss the change of a key that is deleted next.
	if p.Entries, err = s.purgeEntries(ctx, micros); err != nil {
		return p, err
	}
	p.Keys, err = s.purgeKeys(ctx, micros)
	return p, err
}

// checkClock returns an error if the clock of this process is ahead of the database's.
func (s *Store) checkClock(ctx context.Context) error {
	var clock int64
	err := s.read(ctx, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, "SELECT "+s.d.clock).Scan(&clock)
	})
	if err != nil {
		return err
	}
	if ahead := time.Since(time.Unix(clock, 0)); ahead > maxClockSkew {
		return fmt.Errorf("sqlstore: purge: the clock of this process is %v ahead of the database's; set the wrong clock", ahead.Round(time.Second))
	}
	return nil
}

// purgeEntries deletes the audit entries made before a time and returns their number.
func (s *Store) purgeEntries(ctx context.Context, before int64) (deleted int, err error) {
	now := time.Now().UnixMicro()
	for after := int64(0); ; {
		last, more, err := s.oldEntries(ctx, after, before, now)
		if err != nil || last == 0 {
			return deleted, err
		}
		n, err := s.deleteEntries(ctx, last)
		if err != nil {
			return deleted, err
		}
		if deleted += n; !more {
			return deleted, nil
		}
		after = last
	}
}

// purgeKeys deletes the keys that ended before a time and may be deleted, and returns their number.
func (s *Store) purgeKeys(ctx context.Context, before int64) (deleted int, err error) {
	var ended []int64
	for after, more := int64(0), true; more || len(ended) > 0; {
		for more && len(ended) < purgeStep {
			var found []int64
			if found, after, more, err = s.endedKeys(ctx, after, before); err != nil {
				return deleted, err
			}
			ended = append(ended, found...)
		}
		step := ended[:min(purgeStep, len(ended))]
		if len(step) == 0 {
			break
		}
		n, err := s.deleteKeys(ctx, step, before)
		if err != nil {
			return deleted, err
		}
		deleted += n
		ended = ended[len(step):]
	}
	return deleted, nil
}

// endedKeys reads up to purgeRead keys after a seq. It returns the keys that ended before a time, the
// last seq that it read, and whether there may be more keys.
func (s *Store) endedKeys(ctx context.Context, after, before int64) (ended []int64, last int64, more bool, err error) {
	err = s.read(ctx, func(ctx context.Context) error {
		ended, last = nil, after
		rows, err := s.query(ctx, "SELECT seq, revoked_at, expires_at FROM apikey_keys WHERE seq > ? ORDER BY seq LIMIT ?", after, purgeRead)
		if err != nil {
			return err
		}
		defer rows.Close()
		n := 0
		for ; rows.Next(); n++ {
			var revokedAt, expiresAt int64
			if err := rows.Scan(&last, &revokedAt, &expiresAt); err != nil {
				return err
			}
			if revokedAt > 0 && revokedAt < before || expiresAt > 0 && expiresAt < before {
				ended = append(ended, last)
			}
		}
		more = n == purgeRead
		return rows.Err()
	})
	return ended, last, more, err
}

// deleteKeys deletes the keys that may still be deleted and returns their number.
func (s *Store) deleteKeys(ctx context.Context, seqs []int64, before int64) (n int, err error) {
	err = s.transact(ctx, func(t *tx) ([]apikey.Digest, error) {
		if err := t.lock(); err != nil {
			return nil, err
		}
		// A cache knows every change before the oldest audit entry, or drops all its keys at its next poll.
		oldest, err := t.number("SELECT COALESCE(MIN(rev), (SELECT rev + 1 FROM apikey_meta WHERE one = 1)) FROM apikey_audit")
		if err != nil {
			return nil, err
		}
		deletable, err := t.numbers("SELECT k.seq FROM apikey_keys k WHERE k."+inStep+
			" AND (k.revoked_at > 0 AND k.revoked_at < ? OR k.expires_at > 0 AND k.expires_at < ?) AND k.seq < ? AND k.changed < ?"+
			" AND NOT EXISTS (SELECT 1 FROM apikey_keys p WHERE p.id = k.replaces AND k.replaces <> '')",
			append(stepArgs(seqs), before, before, oldest, oldest)...)
		if err != nil {
			return nil, err
		}
		if n = len(deletable); n == 0 {
			return nil, errUnchanged
		}
		for _, rows := range []string{"apikey_keys WHERE ", "apikey_used WHERE ", "apikey_notices WHERE key_"} {
			if _, err := t.delete("DELETE FROM "+rows+inStep, stepArgs(deletable)...); err != nil {
				return nil, err
			}
		}
		return nil, nil
	})
	return n, err
}

// inStep is a condition with the parameters of stepArgs. Their number is constant, so that a database
// can reuse the plan of a statement.
var inStep = "seq IN (?" + strings.Repeat(", ?", purgeStep-1) + ")"

// stepArgs returns the seqs of one step, filled up with the last one.
func stepArgs(seqs []int64) []any {
	args := make([]any, purgeStep)
	for i := range args {
		args[i] = seqs[min(i, len(seqs)-1)]
	}
	return args
}

// oldEntries reads up to purgeStep audit entries after a revision, until one that was not made before a
// time. It returns the revision of the last one that was, or 0, and whether there may be more. It
// regards an entry with a time after now as made when the next entry was made.
func (s *Store) oldEntries(ctx context.Context, after, before, now int64) (last int64, more bool, err error) {
	err = s.read(ctx, func(ctx context.Context) error {
		last, more = 0, false
		rows, err := s.query(ctx, "SELECT rev, at FROM apikey_audit WHERE rev > ? ORDER BY rev LIMIT ?", after, purgeStep)
		if err != nil {
			return err
		}
		defer rows.Close()
		var rev int64
		n := 0
		for ; rows.Next(); n++ {
			var at int64
			if err := rows.Scan(&rev, &at); err != nil {
				return err
			}
			if at >= before && at <= now {
				return nil
			}
			if at < before {
				last = rev
			}
		}
		more = n == purgeStep
		if err := rows.Err(); err != nil || !more || last > 0 {
			return err
		}
		// All of them have times in the future.
		rows.Close()
		var next sql.NullInt64 // the time of the next entry
		query, args := s.d.withArgs("SELECT MIN(at) FROM apikey_audit WHERE rev = "+
			"(SELECT MIN(rev) FROM apikey_audit WHERE rev > ? AND at <= ?)", []any{rev, now})
		err = s.db.QueryRowContext(ctx, query, args...).Scan(&next)
		if next.Valid && next.Int64 < before {
			last = rev
		}
		return err
	})
	return last, more, err
}

// deleteEntries deletes the audit entries up to a revision.
func (s *Store) deleteEntries(ctx context.Context, last int64) (n int, err error) {
	err = s.transact(ctx, func(t *tx) ([]apikey.Digest, error) {
		if err := t.lock(); err != nil {
			return nil, err
		}
		n, err = t.delete("DELETE FROM apikey_audit WHERE rev <= ?", last)
		return nil, err
	})
	return n, err
}

// purgeRegularly calls Purge every hour until ctx is done. The first pause is random, so that nodes
// that start together do not purge together.
func (s *Store) purgeRegularly(ctx context.Context) {
	for pause := rand.N(purgeInterval); ; pause = purgeInterval {
		select {
		case <-ctx.Done():
			return
		case <-time.After(pause):
		}
		if _, err := s.Purge(ctx, time.Now().Add(-s.options.PurgeAfter)); err != nil && ctx.Err() == nil {
			s.options.Logger.ErrorContext(ctx, "sqlstore: cannot delete old keys", "error", err)
		}
	}
}
