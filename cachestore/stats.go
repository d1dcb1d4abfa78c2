package cachestore

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Stats are counts since the cache was made, and its present state. They are for metrics:
// those of one call were not all read at the same instant.
type Stats struct {
	Hits        uint64 // lookups answered by a key in memory; estimated above 65,536
	UnknownHits uint64 // lookups answered by an unknown digest in memory
	Misses      uint64 // lookups that waited for a read of the store
	StaleHits   uint64 // lookups answered because of AllowStaleAfterLease alone
	Refused     uint64 // lookups that ended with ErrUnavailable

	Loads      uint64 // reads of the store
	LoadErrors uint64 // of them those that were not answered, and those that never had their turn

	Evictions        uint64 // keys that made room for others
	UnknownEvictions uint64 // unknown digests that did

	Polls        uint64 // questions to the feed
	PollFailures uint64 // of them those that were not answered
	Resets       uint64 // answers by which all was forgotten

	Keys           int           // keys in memory
	UnknownDigests int           // unknown digests in memory, valid or not
	LeaseRemaining time.Duration // how long keys in memory are used if the feed does not answer; 0 without a feed
}

// Stats returns what a metrics collector asks for.
func (s *Store) Stats() Stats {
	c := &s.counters
	st := Stats{
		Hits:         c.hits.Load(),
		UnknownHits:  c.unknownHits.Load(),
		Misses:       c.misses.Load(),
		StaleHits:    c.stale.Load(),
		Refused:      c.refused.Load(),
		Loads:        c.loads.Load(),
		LoadErrors:   c.loadErrors.Load(),
		Polls:        c.polls.Load(),
		PollFailures: c.pollFailures.Load(),
		Resets:       c.resets.Load(),
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	st.Keys, st.Evictions = len(s.known.ring), s.known.evicted
	st.UnknownDigests, st.UnknownEvictions = len(s.unknown.ring), s.unknown.evicted
	if now := s.now(); s.feed != nil && s.leased(now) {
		st.LeaseRemaining = time.Duration(min(s.until.Load()-now.mono, s.untilWall.Load()-now.wall))
	}
	return st
}

type counters struct {
	hits hitCounter
	_    [56]byte // hits alone are counted on every request

	unknownHits, misses, stale, refused, loads, loadErrors atomic.Uint64
	polls, pollFailures, resets                            atomic.Uint64
}

// A hitCounter counts exactly up to a point, and then by tossing coins, because cores that
// all write the same word would wait for each other on every hit. Over a million hits it is
// off by half a percent. The coin is not the clock, with which a steady caller is in step.
type hitCounter struct{ atomic.Uint64 }

const (
	exactHits = 1 << 16
	hitSample = 16
)

func (c *hitCounter) add() {
	if c.Load() < exactHits {
		c.Add(1)
	} else if rand.Uint32()%hitSample == 0 {
		c.Add(hitSample)
	}
}
