package cachestore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A round is one poll, for all who wait for it.
type round struct {
	done chan struct{}
	err  error
}

func newRound() *round { return &round{done: make(chan struct{})} }

// A failure is that of the last poll.
type failure struct {
	retry int64 // monotonic: nobody probes before
	err   error
}

// Wake asks for a poll now rather than at the next interval, as when the database has told
// that something changed. It returns at once; polls are sent at most 50 times a second.
// Nothing depends on Wake being called.
func (s *Store) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // one is due already, which will be sent after this
	}
}

// pollForever polls until the cache is closed.
func (s *Store) pollForever() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for s.closing.Err() == nil {
		begun := time.Now()
		wait := s.retry()
		if err := s.poll(); err == nil {
			// From its beginning: the Lease is.
			wait = max(0, s.o.Poll-time.Since(begun))
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
			continue
		case <-s.wake:
		case <-s.closing.Done():
			return
		}
		// However often it is woken, and never not at all.
		timer.Reset(max(0, minPoll-time.Since(begun)))
		select {
		case <-timer.C:
		case <-s.closing.Done():
			return
		}
	}
}

func (s *Store) retry() time.Duration { return min(retryPoll, s.o.Poll) }

// poll asks the feed once, and tells those who wait.
func (s *Store) poll() error {
	s.mu.Lock()
	s.polling = true
	s.written = apikey.Cursor{}
	since, floor, doubts := s.cur, s.floor, s.doubts
	s.mu.Unlock()

	sent := s.now() // before it is sent: what the answer does not tell of came after this
	changes, err := s.changes(since)
	s.counters.polls.Add(1)
	if err == nil {
		err = s.plausible(changes, floor, sent)
	}
	s.report(err)

	s.mu.Lock()
	r := s.round
	if err == nil {
		s.apply(changes)
		s.renew(sent, doubts)
	}
	r.err = err
	s.round, s.polling = newRound(), false
	s.mu.Unlock()
	close(r.done)
	return err
}

// changes asks the feed.
func (s *Store) changes(since apikey.Cursor) (c apikey.Changes, err error) {
	ctx, cancel := context.WithTimeout(s.closing, s.o.QueryTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.o.Logger.Error("cachestore: the change feed panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the change feed panicked: %v", p)
		}
	}()
	return s.feed.Changes(ctx, since)
}

// plausible refuses answers that would not keep the promise: those of a replica that lags
// behind what was known when it was asked, and a head from which nothing could be asked for.
// A backup that was restored looks like a replica, but for being the same for longer than
// replicas lag: when a Lease is over, in which no entry was renewed, its Reset is one.
func (s *Store) plausible(c apikey.Changes, floor apikey.Cursor, sent instant) error {
	if c.Head == (apikey.Cursor{}) {
		return errors.New("the change feed has the zero Cursor as its head")
	}
	if c.Head.Epoch != floor.Epoch || c.Head.Revision >= floor.Revision {
		s.older = never
		return nil
	}
	if s.older == never {
		s.older = sent
	}
	if c.Reset && s.older.add(s.o.Lease).before(sent) {
		s.older = never
		return nil
	}
	return fmt.Errorf("the change feed answers from the revision %d, after %d was known; is it a replica, or was a backup restored?",
		c.Head.Revision, floor.Revision)
}

// apply removes what has changed. The caller holds the lock.
func (s *Store) apply(c apikey.Changes) {
	first := s.cur == apikey.Cursor{}
	if c.Reset || c.Head.Epoch != s.cur.Epoch {
		if !first {
			s.counters.resets.Add(1)
			s.o.Logger.Warn("cachestore: the change feed cannot tell what changed; all keys are read again")
		}
		s.known.clear()
		s.unknown.clear()
		for d, f := range s.flights {
			f.void = true
			delete(s.flights, d)
		}
		// Down as well, where a backup was restored; but not below a write that was
		// announced while the poll was under way.
		s.floor = c.Head
		s.raise(s.written)
	} else {
		for _, d := range c.Digests {
			s.forget(d)
		}
		s.raise(c.Head)
	}
	s.cur = c.Head
	s.revision.Store(c.Head.Revision)
}

// renew lets entries be used again, now that those that changed are gone. A poll that was
// sent before a write which may have happened does not tell whether it has. The caller
// holds the lock.
func (s *Store) renew(sent instant, doubts uint64) {
	if s.closed || s.doubts != doubts {
		return
	}
	until := sent.add(s.o.Lease)
	s.lease(until)
	s.stale = until.add(s.o.AllowStaleAfterLease)
}

// report remembers a failure, and logs the first of several.
func (s *Store) report(err error) {
	before := s.failure.Load()
	switch {
	case err == nil && before != nil:
		s.o.Logger.Info("cachestore: the change feed answers again")
	case err != nil && s.closing.Err() == nil:
		s.counters.pollFailures.Add(1)
		if before == nil {
			s.o.Logger.Warn("cachestore: the change feed does not answer", "error", err)
		}
	}
	if err == nil {
		s.failure.Store(nil)
		return
	}
	s.failure.Store(&failure{s.now().mono + int64(s.retry()), fmt.Errorf("the change feed does not answer: %w", err)})
}

// awaitPoll waits for the poll that is under way or the next one, for which it calls.
func (s *Store) awaitPoll(ctx context.Context) error {
	s.mu.Lock()
	r := s.round
	if !s.polling {
		s.Wake()
	}
	s.mu.Unlock()
	timer := time.NewTimer(s.o.QueryTimeout)
	defer timer.Stop()
	select {
	case <-r.done:
		if r.err != nil {
			return unavailable(fmt.Errorf("the change feed does not answer: %w", r.err))
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return unavailable(fmt.Errorf("the change feed: %w", errSlow))
	case <-s.closing.Done():
		return unavailable(errClosed)
	}
}
