package cachestore

import (
	"context"
	"errors"
	"fmt"
	"runtime/debug"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A pollResult is the result of one poll, shared by all lookups that wait for it.
type pollResult struct {
	done chan struct{}
	err  error
}

func newPollResult() *pollResult { return &pollResult{done: make(chan struct{})} }

// A failure describes a failed poll.
type failure struct {
	retry int64 // monotonic time before which lookups do not wait for another poll
	err   error
}

// Wake sends the next poll now instead of after the Poll interval. Call it when the database reports a
// change, for example by LISTEN and NOTIFY. It returns at once. The cache sends at most 50 polls a
// second. The bounds of the package documentation hold without Wake.
func (s *Store) Wake() {
	select {
	case s.wake <- struct{}{}:
	default: // a poll is due already and will be sent after this call
	}
}

// pollLoop polls until the cache is closed.
func (s *Store) pollLoop() {
	timer := time.NewTimer(0)
	defer timer.Stop()
	<-timer.C
	for s.closing.Err() == nil {
		started := time.Now()
		wait := s.retryInterval()
		if err := s.poll(); err == nil {
			// The interval counts from the start of the poll, as the lease does.
			wait = max(0, s.o.Poll-time.Since(started))
		}
		timer.Reset(wait)
		select {
		case <-timer.C:
			continue
		case <-s.wake:
		case <-s.closing.Done():
			return
		}
		// Wake can neither send polls more often than this nor postpone them.
		timer.Reset(max(0, minPoll-time.Since(started)))
		select {
		case <-timer.C:
		case <-s.closing.Done():
			return
		}
	}
}

func (s *Store) retryInterval() time.Duration { return min(retryPoll, s.o.Poll) }

// poll reads the feed once and wakes the lookups that wait for it.
func (s *Store) poll() error {
	s.mu.Lock()
	s.polling = true
	s.announced = apikey.Version{}
	since, atLeast, uncertain := s.version, s.minVersion, s.uncertainWrites
	s.mu.Unlock()

	// The lease counts from here, because the answer may lack every change after this instant.
	sent := s.now()
	changes, err := s.changes(since)
	s.counters.polls.Add(1)
	if err == nil {
		err = s.checkHead(changes, atLeast, sent)
	}
	s.report(err)

	s.mu.Lock()
	result := s.nextPoll
	if err == nil {
		s.apply(changes)
		s.renewLease(sent, uncertain)
	}
	result.err = err
	s.nextPoll, s.polling = newPollResult(), false
	s.mu.Unlock()
	close(result.done)
	return err
}

// changes reads the feed with a timeout, and returns a panic as an error.
func (s *Store) changes(since apikey.Version) (c apikey.Changes, err error) {
	ctx, cancel := context.WithTimeout(s.closing, s.o.QueryTimeout)
	defer cancel()
	defer func() {
		if p := recover(); p != nil {
			s.o.Logger.Error("cachestore: the change feed panicked", "panic", p, "stack", string(debug.Stack()))
			err = fmt.Errorf("the change feed panicked: %v", p)
		}
	}()
	c, err = s.feed.Changes(ctx, since)
	if err != nil && ctx.Err() == context.DeadlineExceeded {
		err = fmt.Errorf("%w of %v: %w", errTimeout, s.o.QueryTimeout, err)
	}
	return c, err
}

// checkHead refuses the zero Head, because the next poll could not continue from it. It also refuses
// a Head older than atLeast, which a lagging replica returns.
//
// A restored backup looks like a lagging replica. Its Reset is accepted only after it has persisted
// for a whole Lease. By then every cached entry has expired.
func (s *Store) checkHead(c apikey.Changes, atLeast apikey.Version, sent instant) error {
	if c.Head == (apikey.Version{}) {
		return errors.New("the change feed has the zero Version as its Head")
	}
	if c.Head.Epoch != atLeast.Epoch || c.Head.Revision >= atLeast.Revision {
		s.laggingSince = never
		return nil
	}
	if s.laggingSince == never {
		s.laggingSince = sent
	}
	if c.Reset && s.laggingSince.add(s.o.Lease).before(sent) {
		s.laggingSince = never
		return nil
	}
	return fmt.Errorf("the change feed answers from revision %d, but revision %d was seen before; is it a replica, or was a backup restored?",
		c.Head.Revision, atLeast.Revision)
}

// apply removes the entries that changed. The caller holds s.mu.
func (s *Store) apply(c apikey.Changes) {
	first := s.version == apikey.Version{}
	if c.Reset || c.Head.Epoch != s.version.Epoch {
		if !first {
			s.counters.resets.Add(1)
			s.o.Logger.Warn("cachestore: the change feed does not know the changes; the cache drops every entry")
		}
		s.known.clear()
		s.unknown.clear()
		for d, c := range s.calls {
			c.invalidated = true
			delete(s.calls, d)
		}
		// minVersion goes back after a restored backup, but not below a write that was announced
		// while the poll ran.
		s.minVersion = c.Head
		s.raiseMinVersion(s.announced)
	} else {
		for _, d := range c.Digests {
			s.invalidate(d)
		}
		s.raiseMinVersion(c.Head)
	}
	s.version = c.Head
	s.revision.Store(c.Head.Revision)
}

// renewLease renews the lease after apply has removed the entries that changed. It does not renew it
// if an uncertain write was announced after the poll was sent, because the answer may lack that
// write. The caller holds s.mu.
func (s *Store) renewLease(sent instant, uncertain uint64) {
	if s.closed || s.uncertainWrites != uncertain {
		return
	}
	end := sent.add(s.o.Lease)
	s.setLease(end)
	s.staleUntil = end.add(s.o.AllowStaleAfterLease)
}

// report records the result of a poll. It logs the first failure and the recovery.
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
	s.failure.Store(&failure{s.now().mono + int64(s.retryInterval()), fmt.Errorf("the change feed does not answer: %w", err)})
}

// awaitPoll waits for the running poll, or requests one and waits for it.
func (s *Store) awaitPoll(ctx context.Context) error {
	s.mu.Lock()
	result := s.nextPoll
	if !s.polling {
		s.Wake()
	}
	s.mu.Unlock()
	timer := time.NewTimer(s.o.QueryTimeout)
	defer timer.Stop()
	select {
	case <-result.done:
		if result.err != nil {
			return unavailable(fmt.Errorf("the change feed does not answer: %w", result.err))
		}
		return nil
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return unavailable(fmt.Errorf("the change feed: %w of %v", errTimeout, s.o.QueryTimeout))
	case <-s.closing.Done():
		return unavailable(errClosed)
	}
}
