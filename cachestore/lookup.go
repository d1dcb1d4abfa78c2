package cachestore

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-dev/apikey"
)

// Lookup returns the key with this digest from memory or from the store. If ctx ends first, Lookup
// returns ctx's error. The read of the store continues, because other requests may wait for it. The
// read has its own timeout and gets none of ctx's values.
//
// Every other error wraps [apikey.ErrNotFound] or [apikey.ErrUnavailable]. Requests share the Key: do not
// write to it.
func (s *Store) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	now := s.now()
	if s.leased(now) {
		if e := s.known.get(&d); e != nil && now.before(e.end) {
			e.markUsed()
			s.counters.hits.add()
			return e.value, nil
		}
	}
	return s.lookup(ctx, d, now)
}

// lookup is Lookup for a digest that is not cached under the lease.
func (s *Store) lookup(ctx context.Context, d apikey.Digest, now instant) (*apikey.Key, error) {
	key, err := s.find(ctx, d, now)
	if err == nil || err == apikey.ErrNotFound || ctx.Err() != nil && err == ctx.Err() {
		return key, err
	}
	if key := s.staleKey(d); key != nil {
		s.counters.stale.Add(1)
		return key, nil
	}
	s.counters.refused.Add(1)
	return nil, err
}

// find returns a cached answer under the lease, or the answer of the store. If the lease has ended, it
// first waits for a poll that renews the lease.
func (s *Store) find(ctx context.Context, d apikey.Digest, now instant) (*apikey.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// The second pass follows a poll. That poll renews no lease if it was sent before an uncertain
	// write, so the third pass follows another poll.
	for range 3 {
		if s.leased(now) {
			if e := s.known.get(&d); e != nil && now.before(e.end) {
				e.markUsed()
				s.counters.hits.add()
				return e.value, nil
			}
			// Any new revision may have created the key. A read that was ahead of the poll remains
			// valid until a poll is ahead of it.
			if e := s.unknown.get(&d); e != nil && now.before(e.end) && e.value >= s.revision.Load() {
				e.markUsed()
				s.counters.unknownHits.Add(1)
				return nil, apikey.ErrNotFound
			}
			return s.fetch(ctx, d)
		}
		if f := s.failure.Load(); f != nil && (now.mono < f.retry || s.o.AllowStaleAfterLease > 0 && s.known.get(&d) != nil) {
			// Only the poller probes a database that is down. Probes by every request would load
			// the database and delay the requests.
			return nil, unavailable(f.err)
		}
		if s.known.get(&d) == nil {
			return s.fetch(ctx, d)
		}
		if err := s.awaitPoll(ctx); err != nil {
			return nil, err
		}
		now = s.now()
	}
	return nil, unavailable(errLeaseEnded)
}

// staleKey returns a cached key that may be used only because of AllowStaleAfterLease, or nil.
func (s *Store) staleKey(d apikey.Digest) *apikey.Key {
	if s.o.AllowStaleAfterLease == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known.get(&d)
	if e == nil || s.closed || !s.now().before(s.staleUntil) {
		return nil
	}
	e.markUsed()
	return e.value
}

var (
	errClosed       = errors.New("the cache is closed")
	errLeaseEnded   = errors.New("the lease has ended")
	errTimeout      = errors.New("no answer within Options.QueryTimeout")
	errTooManyCalls = errors.New("too many other lookups wait for the store")
	errLagging      = errors.New("the store answers from an older version than the cache has seen; is it a replica?")
	errNoAnswer     = errors.New("the store returned neither a key nor an error")
)

func unavailable(cause error) error {
	return fmt.Errorf("cachestore: %w: %w", apikey.ErrUnavailable, cause)
}
