package sqlstore

import (
	"cmp"
	"context"
	"fmt"
	"math/rand/v2"
)

// deficit selects how far the revision counter is behind the highest number that it has given to a
// row. It is positive only if a table was restored without the others.
const deficit = "SELECT COALESCE(MAX(n), 0) - (SELECT rev FROM apikey_meta WHERE one = 1) FROM (" +
	"SELECT MAX(seq) AS n FROM apikey_keys UNION ALL " +
	"SELECT MAX(changed) AS n FROM apikey_keys WHERE changed > 0 UNION ALL " +
	"SELECT MAX(seq) AS n FROM apikey_used UNION ALL " +
	"SELECT MAX(key_seq) AS n FROM apikey_notices UNION ALL " +
	"SELECT MAX(rev) AS n FROM apikey_audit) numbered"

// newEpoch returns a random number that distinguishes a database from another one that replaces it.
func newEpoch() int64 { return 1 + rand.Int64N(1<<62) }

// raiseCounter raises a counter that is behind to the highest number in use, because the next
// creation would otherwise take an existing number. It also changes the epoch, so that caches drop
// the keys that they read before.
func (s *Store) raiseCounter(ctx context.Context) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	n, err := (&tx{ctx: ctx, conn: conn, d: s.d}).number(deficit)
	if err := cmp.Or(err, conn.Close()); err != nil || n <= 0 {
		return err
	}
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	n, err = t.raise()
	if err == nil {
		err = t.exec(s.d.commit)
	}
	if err != nil {
		return t.rollback(err)
	}
	t.release()
	if n > 0 {
		s.options.Logger.WarnContext(ctx, "sqlstore: raised the revision counter, which was behind the other tables, as after restoring one table alone",
			"table", s.d.bind("apikey_meta"), "by", n)
	}
	return nil
}

// raise locks the counter row, compares again because other writes may have run, and raises it.
func (t *tx) raise() (by int64, err error) {
	if err := t.exec("UPDATE apikey_meta SET rev = rev WHERE one = 1"); err != nil {
		return 0, err
	}
	by, err = t.number(deficit)
	if err != nil || by <= 0 {
		return 0, err
	}
	return by, t.exec("UPDATE apikey_meta SET epoch = ?, rev = rev + ?, tag = ? WHERE one = 1", newEpoch(), by, rand.Int64())
}

// explainDuplicate adds the cause to the error of a write whose revision number exists already.
func (s *Store) explainDuplicate(ctx context.Context, err error) error {
	if !isUniqueViolation(err) {
		return err
	}
	var n int64
	if s.read(ctx, func(ctx context.Context) error {
		return s.db.QueryRowContext(ctx, s.d.bind(deficit)).Scan(&n)
	}) == nil && n > 0 {
		err = fmt.Errorf("table %s is %d revisions behind the others, as after restoring one table alone: call Migrate: %w",
			s.d.bind("apikey_meta"), n, err)
	}
	return err
}
