package sqlstore

import (
	"context"
	"database/sql"
	"fmt"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
)

// maxChanges is how many changes one answer of the feed names; with more it is a Reset.
const maxChanges = 10_000

// Changes returns the digests of keys that were changed after since, from one statement,
// and so from one state of the database. It reads the keys and not the audit trail, so
// creations are not in it, and deleting old entries of the trail costs a Reset at most. It
// is an error if the database is a replica, is read-only, or does not commit by itself.
func (s *Store) Changes(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
	ctx, cancel := context.WithTimeout(ctx, s.options.ReadTimeout)
	defer cancel()
	begun := time.Now()
	c, err := s.changes(ctx, since)
	if err != nil {
		if ctx.Err() == context.DeadlineExceeded {
			s.weed(s.feed, begun) // the next one finds none of what was lost with this one
		}
		return apikey.Changes{}, fmt.Errorf("sqlstore: %w", err)
	}
	return c, nil
}

func (s *Store) changes(ctx context.Context, since apikey.Cursor) (c apikey.Changes, err error) {
	after := int64(since.Revision)
	if since == (apikey.Cursor{}) {
		after = 1<<63 - 1 // nothing: the head alone
	}
	query := "SELECT m.epoch, m.rev, m.tag, " + s.d.health + ", (SELECT a.tag FROM apikey_audit a WHERE a.rev = ?), k.digest " +
		// The literal lets the partial index serve.
		"FROM apikey_meta m LEFT JOIN apikey_keys k ON k.changed > 0 AND k.changed > ? " +
		fmt.Sprintf("WHERE m.one = 1 ORDER BY k.changed LIMIT %d", maxChanges+1)
	rows, err := s.feedQuery(ctx, query, after, after)
	if err != nil {
		return c, err
	}
	defer rows.Close()
	var ancestor sql.NullInt64
	read := false
	for rows.Next() {
		var epoch, rev, tag, unfit int64
		var digest []byte
		if err := rows.Scan(&epoch, &rev, &tag, &unfit, &ancestor, &digest); err != nil {
			return c, err
		}
		if unfit != 0 {
			return c, s.d.unfit()
		}
		c.Head = apikey.Cursor{Epoch: uint64(epoch), Revision: uint64(rev), Tag: uint64(tag)}
		read = true
		if len(digest) == len(apikey.Digest{}) {
			c.Digests = append(c.Digests, apikey.Digest(digest))
		}
	}
	switch {
	case rows.Err() != nil:
		return apikey.Changes{}, rows.Err()
	case !read:
		return apikey.Changes{}, errNoMeta
	case since == (apikey.Cursor{}), since == c.Head:
		c.Digests = nil
	case since.Epoch != c.Head.Epoch, since.Revision >= c.Head.Revision, len(c.Digests) > maxChanges,
		since.Revision > 0 && (!ancestor.Valid || uint64(ancestor.Int64) != since.Tag):
		// The tag tells a backup that was restored and then written to.
		c.Digests, c.Reset = nil, true
	}
	return c, nil
}

// feedQuery asks the feed's pool. Statements are prepared for the pool they were made with.
func (s *Store) feedQuery(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s.feed == s.db {
		return s.stmts.query(ctx, s.db, query, args...)
	}
	return s.feed.QueryContext(ctx, s.d.rebind(query), args...)
}

// Subscribe has f called for every key that this Store writes: after the commit and before
// the method returns, with the state that it made. If it is not known whether a commit
// happened, the Cursor is zero. f must not call the Store.
func (s *Store) Subscribe(f func(apikey.Digest, apikey.Cursor)) (cancel func()) {
	return s.subs.add(f)
}

type subscribers struct {
	mu   sync.RWMutex
	next int
	m    map[int]func(apikey.Digest, apikey.Cursor)
}

func (s *subscribers) add(f func(apikey.Digest, apikey.Cursor)) (cancel func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.m == nil {
		s.m = make(map[int]func(apikey.Digest, apikey.Cursor))
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

func (s *subscribers) publish(d apikey.Digest, at apikey.Cursor) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	for _, f := range s.m {
		f(d, at)
	}
}
