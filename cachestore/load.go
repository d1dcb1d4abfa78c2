package cachestore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"runtime/debug"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A flight is one read of the store, for all who wait for the same digest.
type flight struct {
	done chan struct{}
	key  *apikey.Key
	err  error // nil, ErrNotFound, or an outage
	at   apikey.Cursor
	void bool // the digest has changed since; under Store.mu
	over bool // done is closed; under Store.mu
}

// maxFlights is how many digests are read at once or wait for their turn, at most. Each takes a
// goroutine and some kilobytes, also when the request that began it has gone. A store that
// answers would not get to more of them within the QueryTimeout.
const maxFlights = 10_000

// load returns the store's answer, not older than what was known when load was called.
func (s *Store) load(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	s.counters.misses.Add(1)
	f, least, err := s.join(d)
	for again := true; err == nil; again = false {
		select {
		case <-f.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		switch {
		case f.err != nil && f.err != apikey.ErrNotFound, notOlder(f.at, least):
			return f.key, f.err
		case !again:
			// Neither a key nor ErrNotFound: what is old says nothing about now.
			return nil, unavailable(errOld)
		case f.at.Epoch != least.Epoch:
			// Only the feed can tell which of the two was before the other.
			if err := s.awaitPoll(ctx); err != nil {
				return nil, err
			}
			f, least, err = s.join(d)
		default:
			// The flight had begun before this request.
			f, _, err = s.join(d)
		}
	}
	return nil, err
}

// notOlder reports whether a state is known not to be before another.
func notOlder(at, least apikey.Cursor) bool {
	return least == apikey.Cursor{} || at.Epoch == least.Epoch && at.Revision >= least.Revision
}

// join returns the flight for a digest, begun now if there is none, and the state that the
// answer must not be older than.
func (s *Store) join(d apikey.Digest) (*flight, apikey.Cursor, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, apikey.Cursor{}, unavailable(errClosed)
	}
	f := s.flights[d]
	if f == nil {
		if s.flying >= maxFlights {
			return nil, apikey.Cursor{}, unavailable(errCrowded)
		}
		s.flying++
		// Without a stamp, an answer is as new as what was known before the question.
		f = &flight{done: make(chan struct{}), at: s.floor}
		s.flights[d] = f
		s.wg.Go(func() { s.fly(d, f) })
	}
	return f, s.floor, nil
}

// fly reads the store. It is detached from the request, whose end would break off the query
// and with it the connection, and fail the others.
func (s *Store) fly(d apikey.Digest, f *flight) {
	var key *apikey.Key
	var err error
	var asked instant
	at := f.at
	// Deferred, since a store that ends its goroutine must not leave others waiting.
	defer func() { s.end(d, f, key, at, err, asked) }()
	if err = s.acquire(); err != nil {
		return
	}
	defer func() { <-s.slots }()
	s.counters.loads.Add(1)
	asked = s.now()
	// A store that does not heed its context keeps its place, but nobody waiting.
	late := time.AfterFunc(s.o.QueryTimeout, func() { s.end(d, f, nil, apikey.Cursor{}, unavailable(errSlow), asked) })
	defer late.Stop()
	err = unavailable(errNeither) // unless it is replaced by what follows
	key, at, err = s.read(d, at)
}

// end ends a flight with its first answer, and tells those who wait for it.
func (s *Store) end(d apikey.Digest, f *flight, key *apikey.Key, at apikey.Cursor, err error, asked instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if f.over {
		return
	}
	f.over = true
	s.flying--
	if (err == nil || err == apikey.ErrNotFound) && s.now().after(asked.add(s.o.QueryTimeout)) {
		// Under the lock, for which it may have waited. Also of suspended machines.
		key, err = nil, unavailable(errSlow)
	}
	if err != nil && err != apikey.ErrNotFound {
		s.counters.loadErrors.Add(1)
	}
	f.key, f.at, f.err = key, at, err
	s.land(d, f, asked)
	close(f.done)
}

// acquire waits for its turn to ask the store.
func (s *Store) acquire() error {
	select {
	case s.slots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(s.o.QueryTimeout)
	defer timer.Stop()
	select {
	case s.slots <- struct{}{}:
		return nil
	case <-timer.C:
		return unavailable(fmt.Errorf("%d other lookups are before this one: %w", s.o.MaxLoads, errSlow))
	case <-s.closing.Done():
		return unavailable(errClosed)
	}
}

// read asks the store, and tells a key from ErrNotFound itself from an outage.
func (s *Store) read(d apikey.Digest, at apikey.Cursor) (key *apikey.Key, stamp apikey.Cursor, err error) {
	ctx, cancel := context.WithTimeout(s.closing, s.o.QueryTimeout)
	defer cancel()
	defer func() {
		// In a goroutine of ours nobody else would recover, and the process would end.
		if p := recover(); p != nil {
			s.o.Logger.Error("cachestore: the key store panicked", "panic", p, "stack", string(debug.Stack()))
			key, stamp, err = nil, at, unavailable(fmt.Errorf("the store panicked: %v", p))
		}
	}()
	stamp = at
	if s.stamped != nil {
		key, stamp, err = s.stamped.LookupAt(ctx, d)
	} else {
		key, err = s.inner.Lookup(ctx, d)
	}
	switch {
	case err == nil && key != nil:
		return key, stamp, nil
	case err == nil:
		return nil, stamp, unavailable(errNeither)
	case errors.Is(err, apikey.ErrUnavailable):
		return nil, stamp, fmt.Errorf("cachestore: %w", err)
	case errors.Is(err, apikey.ErrNotFound):
		return nil, stamp, apikey.ErrNotFound
	}
	return nil, stamp, unavailable(err)
}

// land takes a flight off the list, and keeps its answer if nothing has happened since that could make
// it wrong. The caller holds the lock, as those do who remove.
func (s *Store) land(d apikey.Digest, f *flight, asked instant) {
	if s.flights[d] == f {
		delete(s.flights, d)
	}
	if f.void || s.closed || f.at.Epoch != s.cur.Epoch || !notOlder(f.at, s.floor) {
		return
	}
	// From when the store was asked, since the answer may be as old.
	switch f.err {
	case nil:
		s.unknown.remove(&d)
		s.known.put(d, f.key, asked.add(jittered(s.limit)))
	case apikey.ErrNotFound:
		s.known.remove(&d)
		s.unknown.put(d, f.at.Revision, asked.add(jittered(s.unknowns)))
	}
}

// jittered shortens a duration by up to a quarter, so that what was loaded together is not
// loaded together again.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/4+1) }
