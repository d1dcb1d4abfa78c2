package sqlstore

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"fmt"
	"net/netip"
	"time"

	"github.com/latchkey-dev/apikey"
)

// maxReads bounds concurrent reads, even in a pool without a bound. More connections do not answer
// sooner, and opening many connections at once slows a server down.
const maxReads = 32

// A readContext is the context of one read. The caller's context does not cancel it, because
// drivers close the connection of a canceled query. Each client that goes away would otherwise
// cost the pool a connection.
type readContext struct {
	context.Context
	deadline deadline
	cancel   context.CancelFunc
	release  func() // frees the slot for another read
}

// beginRead waits until a connection is free for a read.
func (s *Store) beginRead(ctx context.Context) (*readContext, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	d := newDeadline(ctx, "Options.ReadTimeout", s.readTimeout())
	detached, cancel := context.WithDeadline(context.WithoutCancel(ctx), d.at)
	select {
	case s.readSlots <- struct{}{}:
		return &readContext{detached, d, cancel, func() { <-s.readSlots }}, nil
	case <-ctx.Done():
	case <-detached.Done():
	}
	defer cancel()
	if err := ctx.Err(); err != nil && detached.Err() == nil {
		return nil, fmt.Errorf("sqlstore: waiting for a connection: %w", err)
	}
	return nil, fmt.Errorf("sqlstore: %w", d.explain("no free connection for a read", s.queue.explain(d.begun, detached.Err())))
}

// tryBeginRead takes a slot for a second attempt of a read. It does not wait.
func (s *Store) tryBeginRead() (release func(), ok bool) {
	select {
	case s.readSlots <- struct{}{}:
		return func() { <-s.readSlots }, true
	default:
		return nil, false
	}
}

// endRead returns the error that the caller of a read gets.
func (s *Store) endRead(r *readContext, err error) error {
	if err == nil || isKeyError(err) {
		// If another file took the place of this one, the key may be in the other file.
		err = cmp.Or(s.file.checkFile(r), err)
	}
	switch {
	case err == nil || isKeyError(err):
		return err
	case r.Err() != nil:
		// The time since the read began includes the wait for a slot.
		err = r.deadline.explain("no answer", s.queue.explain(r.deadline.begun, err))
	}
	return fmt.Errorf("sqlstore: %w", s.explain(err))
}

// read runs f, which may execute several queries, within the ReadTimeout.
func (s *Store) read(ctx context.Context, f func(ctx context.Context) error) error {
	r, err := s.beginRead(ctx)
	if err != nil {
		return err
	}
	defer r.cancel()
	defer r.release()
	begun := time.Now()
	_, err = withConnection(r, r, s, false, func(ctx context.Context) (struct{}, error) { return struct{}{}, f(ctx) })
	if err != nil && r.Err() != nil {
		go s.evict(s.db, begun)
	}
	return s.endRead(r, err)
}

// readHedged runs f as a hedged operation within the ReadTimeout. f may run twice concurrently.
func readHedged[T any](ctx context.Context, s *Store, f func(ctx context.Context) (T, error)) (T, error) {
	var zero T
	r, err := s.beginRead(ctx)
	if err != nil {
		return zero, err
	}
	defer r.cancel()
	value, err := hedge(r, s, operation[T]{db: s.db, do: f, release: r.release, tryAgain: s.tryBeginRead})
	if err := s.endRead(r, err); err != nil {
		return value, err
	}
	return value, nil
}

// query executes a query that is too rare to be prepared.
func (s *Store) query(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	query, args = s.d.withArgs(query, args)
	return s.db.QueryContext(ctx, query, args...)
}

// isKeyError reports whether an error is about the key or the arguments, not about the database.
func isKeyError(err error) bool {
	if _, ok := causeOfCheck(err); ok {
		return true
	}
	for _, target := range [...]error{apikey.ErrNotFound, apikey.ErrExists, apikey.ErrInvalid, apikey.ErrRevoked, apikey.ErrSuspended, apikey.ErrExpired,
		apikey.ErrReplaced, apikey.ErrTooManyKeys} {
		if errors.Is(err, target) {
			return true
		}
	}
	return false
}

// Lookup returns the key with this digest, even if it is revoked, suspended or expired. It returns
// [apikey.ErrNotFound] if no key has the digest. The key's LastUsedAt is zero.
func (s *Store) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	key, _, err := s.LookupAt(ctx, d)
	return key, err
}

// LookupAt is like [Store.Lookup], but also returns the Version that the answer was read from. One
// statement reads both. The Tag of the Version is 0.
func (s *Store) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
	found, err := readHedged(ctx, s, func(ctx context.Context) (*stamped, error) {
		found, err := s.scanStamped(ctx, s.d.lookup, d)
		if err == nil && found == nil && s.d.stamp != "" {
			// This statement reads the key too, because it may have been created since.
			found, err = s.scanStamped(ctx, s.d.stamp, d)
		}
		if err == nil && found == nil {
			err = s.d.noMeta()
		}
		return found, err
	})
	if err != nil {
		return nil, apikey.Version{}, err
	}
	if !found.row.seq.Valid {
		return nil, found.at, apikey.ErrNotFound
	}
	key, err := found.row.key()
	if err != nil {
		return nil, apikey.Version{}, fmt.Errorf("sqlstore: %w", err)
	}
	return &key, found.at, nil
}

var errNoMeta = errors.New("has no row: call Migrate")

func (d *dialect) noMeta() error { return fmt.Errorf("table %s %w", d.bind("apikey_meta"), errNoMeta) }

// A stamped row comes with the Version that it was read from.
type stamped struct {
	row row // empty if no key was found
	at  apikey.Version
}

// scanStamped executes a lookup statement. It returns nil if the statement returns no row.
func (s *Store) scanStamped(ctx context.Context, query string, d apikey.Digest) (*stamped, error) {
	rows, err := s.stmts.query(ctx, s.db, query, d[:])
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	if !rows.Next() {
		return nil, rows.Err()
	}
	var found stamped
	var epoch, rev sql.NullInt64
	if err := rows.Scan(append([]any{&epoch, &rev}, found.row.destinations()...)...); err != nil {
		return nil, err
	}
	if !epoch.Valid || !rev.Valid {
		return nil, s.d.noMeta()
	}
	found.at = apikey.Version{Epoch: uint64(epoch.Int64), Revision: uint64(rev.Int64)}
	return &found, rows.Err()
}

const selectKeys = "SELECT " + keyColumns + ", u.at, u.addr FROM apikey_keys k LEFT JOIN apikey_used u ON u.seq = k.seq "

// Get returns the key with this ID, or [apikey.ErrNotFound].
func (s *Store) Get(ctx context.Context, id string) (apikey.Key, error) {
	if !isID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	return readHedged(ctx, s, func(ctx context.Context) (apikey.Key, error) {
		rows, err := s.stmts.query(ctx, s.db, selectKeys+"WHERE k.id = ?", id)
		if err != nil {
			return apikey.Key{}, err
		}
		keys, err := scanKeys(rows)
		if err != nil {
			return apikey.Key{}, err
		}
		if len(keys) == 0 {
			return apikey.Key{}, apikey.ErrNotFound
		}
		return keys[0].key, nil
	})
}

// A storedKey is a key with its identifiers in the database.
type storedKey struct {
	key    apikey.Key
	seq    int64
	digest apikey.Digest
}

// scanKeys reads the rows of selectKeys. If it returns errUnknownRules, the last of the returned
// keys has these rules.
func scanKeys(rows *sql.Rows) (keys []storedKey, err error) {
	defer rows.Close()
	for rows.Next() {
		var r row
		var used sql.NullInt64
		var addr sql.NullString
		if err := rows.Scan(append(r.destinations(), &used, &addr)...); err != nil {
			return nil, err
		}
		key, err := r.key()
		key.LastUsedAt = timeOf(used.Int64)
		key.LastUsedAddr, _ = netip.ParseAddr(addr.String)
		keys = append(keys, storedKey{key, r.seq.Int64, apikey.Digest(r.digest)})
		if err != nil {
			return keys, err
		}
	}
	return keys, rows.Err()
}
