package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"math"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
)

// maxChanges is the maximum number of digests in an answer of the feed. With more changes the
// answer is a Reset.
const maxChanges = 10_000

// pollTimeout is the longest poll that Timeouts suggests to a cache. A poll that takes a second
// leaves time for another within a lease of three seconds.
const pollTimeout = 1500 * time.Millisecond

// Changes returns the digests of keys that changed after since. One statement reads them, so they
// are from one snapshot. Changes reads the keys and not the audit trail. It therefore does not list
// creations, and deleting old audit entries causes at most one Reset. More than 10,000 changes, a
// restored backup and a new epoch also cause a Reset.
//
// Changes returns an error if the database is a replica or read-only, or if autocommit is off. A
// session whose transactions are read-only by default is accepted, because writes override that.
func (s *Store) Changes(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
	d := newDeadline(ctx, "Options.ReadTimeout", s.readTimeout())
	ctx, cancel := context.WithDeadline(ctx, d.at)
	defer cancel()
	c, err := hedge(ctx, s, operation[apikey.Changes]{
		db:     s.feed,
		urgent: true,
		do:     func(ctx context.Context) (apikey.Changes, error) { return s.poll(ctx, since) },
	})
	if err == nil {
		err = s.file.check(ctx)
	}
	switch {
	case err == nil:
		return c, nil
	case ctx.Err() == context.DeadlineExceeded:
		err = d.explain("no answer to a poll", err)
	}
	return apikey.Changes{}, fmt.Errorf("sqlstore: %w", s.explain(err))
}

// poll executes the poll on the connection of the previous poll if it is still open, otherwise on a
// new one.
func (s *Store) poll(ctx context.Context, since apikey.Version) (apikey.Changes, error) {
	if !s.polls.enabled {
		return s.changes(ctx, since, s.feedQuery)
	}
	query := s.d.bind(s.d.poll())
	for c := s.polls.take(); ; c = nil {
		reused := c != nil
		if !reused {
			var err error
			if c, err = s.polls.open(ctx, query); err != nil {
				return apikey.Changes{}, err
			}
		}
		changes, err := s.changes(ctx, since, func(ctx context.Context, _ string, args ...any) (*sql.Rows, error) {
			return c.query(ctx, query, args...)
		})
		if err == nil {
			s.polls.keep(c)
			return changes, nil
		}
		c.discard()
		if !reused || ctx.Err() != nil {
			return apikey.Changes{}, err
		}
	}
}

// poll returns the statement of a poll.
func (d *dialect) poll() string {
	return "SELECT m.epoch, m.rev, m.tag, " + d.notPrimary + ", (SELECT a.tag FROM apikey_audit a WHERE a.rev = ?), k.digest " +
		// The condition changed > 0 makes the partial index usable.
		"FROM apikey_meta m LEFT JOIN apikey_keys k ON k.changed > 0 AND k.changed > ? " +
		fmt.Sprintf("WHERE m.one = 1 ORDER BY k.changed LIMIT %d", maxChanges+1)
}

// changes executes the poll with query and converts its rows.
func (s *Store) changes(ctx context.Context, since apikey.Version, query func(ctx context.Context, query string, args ...any) (*sql.Rows, error)) (c apikey.Changes, err error) {
	after := int64(since.Revision)
	if since == (apikey.Version{}) {
		after = math.MaxInt64 // selects only the head
	}
	rows, err := query(ctx, s.d.poll(), after, after)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	var sinceTag sql.NullInt64 // the tag that the audit trail has for since.Revision
	hasMeta := false
	for rows.Next() {
		var epoch, rev, tag, notPrimary int64
		var digest []byte
		if err := rows.Scan(&epoch, &rev, &tag, &notPrimary, &sinceTag, &digest); err != nil {
			return c, err
		}
		if err := s.d.primaryError(notPrimary); err != nil {
			return c, err
		}
		c.Head = apikey.Version{Epoch: uint64(epoch), Revision: uint64(rev), Tag: uint64(tag)}
		hasMeta = true
		if len(digest) == len(apikey.Digest{}) {
			c.Digests = append(c.Digests, apikey.Digest(digest))
		}
	}
	switch {
	case rows.Err() != nil:
		return apikey.Changes{}, rows.Err()
	case !hasMeta:
		return apikey.Changes{}, s.d.noMeta()
	case since == (apikey.Version{}), since == c.Head:
		c.Digests = nil
	case since.Epoch != c.Head.Epoch, since.Revision >= c.Head.Revision, len(c.Digests) > maxChanges,
		// A restored backup that was written to afterwards has another tag.
		since.Revision > 0 && (!sinceTag.Valid || uint64(sinceTag.Int64) != since.Tag):
		c.Digests, c.Reset = nil, true
	}
	return c, nil
}

// feedQuery executes a query on the feed's pool. s.stmts prepares statements for s.db only.
func (s *Store) feedQuery(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s.feed == s.db {
		return s.stmts.query(ctx, s.db, query, args...)
	}
	return s.feed.QueryContext(ctx, s.d.bind(query), args...)
}

// Subscribe registers f for the writes of this Store. After the commit and before the method
// returns, the Store calls f with the digest of each written key and the new Version. The Version
// is zero if the outcome of the commit is unknown. f must not call the Store. The returned function
// unsubscribes f.
func (s *Store) Subscribe(f func(apikey.Digest, apikey.Version)) (cancel func()) {
	return s.subs.add(f)
}

// subscribers are the functions that Subscribe registered.
type subscribers struct {
	mu   sync.RWMutex
	next int
	m    map[int]func(apikey.Digest, apikey.Version)
}

func (s *subscribers) add(f func(apikey.Digest, apikey.Version)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[int]func(apikey.Digest, apikey.Version))
	}
	id := s.next
	s.next++
	s.m[id] = f
	return func() {
		s.mu.Lock()
		defer s.mu.Unlock()
		delete(s.m, id)
	}
}

// publish calls each subscriber.
func (s *subscribers) publish(d apikey.Digest, at apikey.Version) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range s.m {
		f(d, at)
	}
}
