package sqlstore

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-dev/apikey"
)

// read runs f within the ReadTimeout, when there is a connection to spare for it. Once it has
// begun it is not canceled with ctx, though it keeps its deadline: drivers end a canceled
// query by closing its connection, and clients that go away would cost the pool one each.
func (s *Store) read(ctx context.Context, f func(ctx context.Context) error) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	deadline := time.Now().Add(s.options.ReadTimeout)
	if sooner, ok := ctx.Deadline(); ok && sooner.Before(deadline) {
		deadline = sooner
	}
	if s.reads != nil {
		select {
		case s.reads <- struct{}{}:
			defer func() { <-s.reads }()
		case <-ctx.Done():
			return fmt.Errorf("sqlstore: waiting for a connection: %w", ctx.Err())
		case <-time.After(time.Until(deadline)):
			return fmt.Errorf("sqlstore: waiting for a connection: %w", context.DeadlineExceeded)
		}
	}
	detached, cancel := context.WithDeadline(context.WithoutCancel(ctx), deadline)
	defer cancel()
	begun := time.Now()
	err := f(detached)
	if err != nil && detached.Err() != nil {
		s.weed(s.db, begun)
	}
	if err != nil && !isOurs(err) {
		return fmt.Errorf("sqlstore: %w", err)
	}
	return err
}

// query asks what is not asked often enough to be prepared.
func (s *Store) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	return s.db.QueryContext(ctx, s.d.rebind(query), args...)
}

// A querier asks the database.
type querier func(query string, args ...any) (*sql.Rows, error)

// snapshot lets f ask more than once about one state of the database.
func (s *Store) snapshot(ctx context.Context, f func(q querier) error) error {
	conn, err := s.db.Conn(ctx)
	if err != nil {
		return err
	}
	t := &tx{ctx: ctx, conn: conn, d: s.d}
	err = t.execAll(ctx, s.d.snapshot)
	if err == nil {
		err = f(t.query)
	}
	if err == nil {
		err = t.execAll(ctx, s.d.commit)
	}
	if err != nil {
		t.discard() // whatever of it was done
		return err
	}
	return conn.Close()
}

// isOurs reports whether an error tells of the key or the arguments, not of the database.
func isOurs(err error) bool {
	for _, own := range [...]error{apikey.ErrNotFound, apikey.ErrExists, apikey.ErrInvalid, apikey.ErrRevoked, apikey.ErrExpired} {
		if errors.Is(err, own) {
			return true
		}
	}
	return false
}

// Lookup returns the key with this digest, or [apikey.ErrNotFound].
func (s *Store) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	key, _, err := s.LookupAt(ctx, d)
	return key, err
}

// LookupAt is Lookup, and tells the state that the key was read from, in the same
// statement.
func (s *Store) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	var r row
	var at apikey.Cursor
	err := s.read(ctx, func(ctx context.Context) error {
		found, err := s.scanStamped(ctx, s.d.lookup, d, &r, &at)
		if err == nil && !found && s.d.stamp != "" {
			// Also the key: it may have been created since.
			found, err = s.scanStamped(ctx, s.d.stamp, d, &r, &at)
		}
		if err == nil && !found {
			err = errNoMeta
		}
		return err
	})
	if err != nil {
		return nil, apikey.Cursor{}, err
	}
	if !r.seq.Valid {
		return nil, at, apikey.ErrNotFound
	}
	key, err := r.key()
	if err != nil {
		return nil, apikey.Cursor{}, err
	}
	return &key, at, nil
}

var errNoMeta = errors.New("table apikey_meta has no row: call Migrate")

func (s *Store) scanStamped(ctx context.Context, query string, d apikey.Digest, r *row, at *apikey.Cursor) (found bool, err error) {
	rows, err := s.stmts.query(ctx, s.db, query, d[:])
	if err != nil {
		return false, err
	}
	defer rows.Close()
	if !rows.Next() {
		return false, rows.Err()
	}
	var epoch, rev sql.NullInt64
	if err := rows.Scan(append([]any{&epoch, &rev}, r.fields()...)...); err != nil {
		return false, err
	}
	if !epoch.Valid || !rev.Valid {
		return false, errNoMeta
	}
	*at = apikey.Cursor{Epoch: uint64(epoch.Int64), Revision: uint64(rev.Int64)}
	return true, rows.Err()
}

const withUse = "SELECT " + keyColumns + ", u.at FROM apikey_keys k LEFT JOIN apikey_used u ON u.seq = k.seq "

// Get returns the key with this ID.
func (s *Store) Get(ctx context.Context, id string) (apikey.Key, error) {
	if !isID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	var key apikey.Key
	err := s.read(ctx, func(ctx context.Context) error {
		rows, err := s.stmts.query(ctx, s.db, withUse+"WHERE k.id = ?", id)
		if err != nil {
			return err
		}
		keys, err := scanKeys(rows)
		if err == nil && len(keys) == 0 {
			err = apikey.ErrNotFound
		}
		if err == nil {
			key = keys[0].key
		}
		return err
	})
	return key, err
}

// A stored is a key with what identifies it in the database.
type stored struct {
	key    apikey.Key
	seq    int64
	digest apikey.Digest
}

// scanKeys reads what withUse selects.
func scanKeys(rows *sql.Rows) (keys []stored, err error) {
	defer rows.Close()
	for rows.Next() {
		var r row
		var used sql.NullInt64
		if err := rows.Scan(append(r.fields(), &used)...); err != nil {
			return nil, err
		}
		key, err := r.key()
		if err != nil {
			return nil, err
		}
		key.LastUsedAt = timeOf(used.Int64)
		keys = append(keys, stored{key, r.seq.Int64, apikey.Digest(r.digest)})
	}
	return keys, rows.Err()
}
