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

// A call is one read of the store, shared by all requests that wait for the same digest.
type call struct {
	started     instant
	done        chan struct{} // closed when the call has finished
	key         *apikey.Key
	err         error          // nil, ErrNotFound itself, or an error that wraps ErrUnavailable
	version     apikey.Version // the answer contains every change up to it
	invalidated bool           // the digest changed after the call started; guarded by Store.mu
	finished    bool           // guarded by Store.mu
}

// maxCalls bounds the calls that run or wait for a slot, because each takes a goroutine and some
// kilobytes even after its request has ended.
const maxCalls = 10_000

// fetch returns the answer of the store. The answer contains every change that the cache knew of when
// fetch was called.
func (s *Store) fetch(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	s.counters.misses.Add(1)
	c, atLeast, err := s.join(d)
	for retried := false; err == nil; retried = true {
		select {
		case <-c.done:
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		switch {
		case c.err != nil && c.err != apikey.ErrNotFound, notOlder(c.version, atLeast):
			return c.key, c.err
		case retried:
			// An old ErrNotFound does not prove that the key is unknown now.
			return nil, unavailable(errLagging)
		case c.version.Epoch != atLeast.Epoch:
			// Only the feed knows the order of two epochs.
			if err := s.awaitPoll(ctx); err != nil {
				return nil, err
			}
			c, atLeast, err = s.join(d)
		default:
			// The call started before this request.
			c, _, err = s.join(d)
		}
	}
	return nil, err
}

// notOlder reports whether v is certainly not older than atLeast.
func notOlder(v, atLeast apikey.Version) bool {
	return atLeast == apikey.Version{} || v.Epoch == atLeast.Epoch && v.Revision >= atLeast.Revision
}

// join returns a recent call for a digest, or starts one. It also returns the Version that the answer
// must contain.
func (s *Store) join(d apikey.Digest) (*call, apikey.Version, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.closed {
		return nil, apikey.Version{}, unavailable(errClosed)
	}
	c, now := s.calls[d], s.now()
	if c == nil || now.after(c.started.add(s.maxJoinAge)) {
		if s.unfinished >= maxCalls {
			return nil, apikey.Version{}, unavailable(errTooManyCalls)
		}
		s.unfinished++
		// An answer without a Version is at least as new as minVersion at the start of the call.
		c = &call{started: now, done: make(chan struct{}), version: s.minVersion}
		s.calls[d] = c
		s.wg.Go(func() { s.load(d, c) })
	}
	return c, s.minVersion, nil
}

// load reads the store. It does not use the context of the request, because the end of that request
// would close the connection and fail the other requests.
func (s *Store) load(d apikey.Digest, c *call) {
	var key *apikey.Key
	var err error
	var sent instant
	version := c.version
	// The deferred call runs even if the store ends the goroutine by runtime.Goexit.
	defer func() { s.finish(d, c, key, version, err, sent) }()
	if err = s.acquireSlot(); err != nil {
		return
	}
	defer func() { <-s.loadSlots }()
	s.counters.loads.Add(1)
	sent = s.now()
	// A store that ignores its context keeps its slot, but requests stop waiting for it.
	late := time.AfterFunc(s.lookupTimeout, func() { s.finish(d, c, nil, apikey.Version{}, s.timeoutError(), sent) })
	defer late.Stop()
	err = unavailable(errNoAnswer) // remains if the store ends the goroutine
	key, version, err = s.read(d, version)
}

// finish sets the result of a call, caches it and wakes the requests that wait. It ignores every
// result of the call after the first.
func (s *Store) finish(d apikey.Digest, c *call, key *apikey.Key, version apikey.Version, err error, sent instant) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if c.finished {
		return
	}
	c.finished = true
	s.unfinished--
	// The time is read under the lock, because waiting for the lock may have made the answer late.
	// So may a suspended machine.
	if (err == nil || err == apikey.ErrNotFound) && s.now().after(sent.add(s.lookupTimeout)) {
		key, err = nil, s.timeoutError()
	}
	if err != nil && err != apikey.ErrNotFound {
		s.counters.loadErrors.Add(1)
	}
	c.key, c.version, c.err = key, version, err
	s.insert(d, c, sent)
	close(c.done)
}

// acquireSlot waits for a free load slot.
func (s *Store) acquireSlot() error {
	select {
	case s.loadSlots <- struct{}{}:
		return nil
	default:
	}
	timer := time.NewTimer(s.lookupTimeout)
	defer timer.Stop()
	select {
	case s.loadSlots <- struct{}{}:
		return nil
	case <-timer.C:
		return unavailable(fmt.Errorf("%d other lookups are before this one: %w of %v", s.o.MaxLoads, errTimeout, s.lookupTimeout))
	case <-s.closing.Done():
		return unavailable(errClosed)
	}
}

// read looks a digest up in the store. The error is nil, ErrNotFound itself, or wraps ErrUnavailable.
func (s *Store) read(d apikey.Digest, atLeast apikey.Version) (key *apikey.Key, version apikey.Version, err error) {
	ctx, cancel := context.WithTimeout(s.closing, s.lookupTimeout)
	defer cancel()
	defer func() {
		// An unrecovered panic in this goroutine would end the process.
		if p := recover(); p != nil {
			s.o.Logger.Error("cachestore: the key store panicked", "panic", p, "stack", string(debug.Stack()))
			key, version, err = nil, atLeast, unavailable(fmt.Errorf("the store panicked: %v", p))
		}
	}()
	version = atLeast
	if s.stamped != nil {
		key, version, err = s.stamped.LookupAt(ctx, d)
	} else {
		key, err = s.inner.Lookup(ctx, d)
	}
	switch {
	case err == nil && key != nil:
		return key, version, nil
	case err == nil:
		return nil, version, unavailable(errNoAnswer)
	case errors.Is(err, apikey.ErrUnavailable):
		return nil, version, fmt.Errorf("cachestore: %w", err)
	case errors.Is(err, apikey.ErrNotFound):
		return nil, version, apikey.ErrNotFound
	}
	return nil, version, unavailable(err)
}

// insert removes a finished call from the list and caches its answer. It does not cache an answer
// that a change since the start of the call may have made wrong. The caller holds s.mu.
func (s *Store) insert(d apikey.Digest, c *call, sent instant) {
	if s.calls[d] == c {
		delete(s.calls, d)
	}
	if c.invalidated || s.closed || c.version.Epoch != s.version.Epoch || !notOlder(c.version, s.minVersion) {
		return
	}
	// The age counts from when the read was sent, because the answer may be that old.
	switch c.err {
	case nil:
		s.unknown.remove(&d)
		s.known.put(d, c.key, sent.add(jittered(s.keyTTL)))
	case apikey.ErrNotFound:
		s.known.remove(&d)
		s.unknown.put(d, c.version.Revision, sent.add(jittered(s.unknownTTL)))
	}
}

func (s *Store) timeoutError() error {
	return unavailable(fmt.Errorf("%w of %v", errTimeout, s.lookupTimeout))
}

// jittered shortens a duration by up to a quarter, so that entries that were loaded together do not
// end together.
func jittered(d time.Duration) time.Duration { return d - rand.N(d/4+1) }
