package cachestore

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-dev/apikey"
)

// Lookup returns the key with this digest from memory or from the store. A ctx that is done
// ends the waiting, with ctx's error, but not the read of the store, which has a timeout of
// its own and sees none of ctx's values: others may be waiting for it.
//
// Errors other than ctx's wrap [apikey.ErrNotFound] or [apikey.ErrUnavailable].
func (s *Store) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	now := s.now()
	if s.leased(now) {
		if e := s.known.get(&d); e != nil && now.before(e.until) {
			e.use()
			s.counters.hits.add()
			return e.value, nil
		}
	}
	return s.lookup(ctx, d, now)
}

// lookup is Lookup where the answer is not at hand.
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

func (s *Store) find(ctx context.Context, d apikey.Digest, now instant) (*apikey.Key, error) {
	if err := ctx.Err(); err != nil {
		return nil, err
	}
	// Once more after a poll, and after another in case that the first was sent before a
	// write which may have happened.
	for range 3 {
		if s.leased(now) {
			if e := s.known.get(&d); e != nil && now.before(e.until) {
				e.use()
				s.counters.hits.add()
				return e.value, nil
			}
			// Who is not there in one state may be created in the next. A read that was
			// ahead of the poll holds until a poll is ahead of it.
			if e := s.unknown.get(&d); e != nil && now.before(e.until) && e.value >= s.revision.Load() {
				e.use()
				s.counters.unknownHits.Add(1)
				return nil, apikey.ErrNotFound
			}
			return s.load(ctx, d)
		}
		if f := s.failure.Load(); f != nil && (now.mono < f.retry || s.o.AllowStaleAfterLease > 0 && s.known.get(&d) != nil) {
			// Only the poller probes: a herd of probes is no help to a database that is
			// down, and the waiting none to requests.
			return nil, unavailable(f.err)
		}
		if s.known.get(&d) == nil {
			return s.load(ctx, d)
		}
		if err := s.awaitPoll(ctx); err != nil {
			return nil, err
		}
		now = s.now()
	}
	return nil, unavailable(errLeaseEnded)
}

// staleKey returns the key of an entry that may not be used any more, but for
// AllowStaleAfterLease.
func (s *Store) staleKey(d apikey.Digest) *apikey.Key {
	if s.o.AllowStaleAfterLease == 0 {
		return nil
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	e := s.known.get(&d)
	if e == nil || s.closed || !s.now().before(s.stale) {
		return nil
	}
	e.use()
	return e.value
}

var (
	errClosed     = errors.New("the cache is closed")
	errLeaseEnded = errors.New("the lease has ended")
	errSlow       = errors.New("no answer within the QueryTimeout")
	errCrowded    = errors.New("too many other lookups wait for the store")
	errOld        = errors.New("the store answers from an older state than is known of; is it a replica?")
	errNeither    = errors.New("Lookup returned neither a key nor an error")
)

func unavailable(cause error) error {
	return fmt.Errorf("cachestore: %w: %w", apikey.ErrUnavailable, cause)
}
