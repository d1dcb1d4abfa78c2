package cachestore

import (
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// Stats are counters since the cache was made and gauges of its current size, for metrics. The values
// of one call are not a snapshot of one instant.
type Stats struct {
	Hits        uint64 // lookups answered by a cached key; estimated above 65,536
	UnknownHits uint64 // lookups answered by a cached unknown digest
	Misses      uint64 // lookups that waited for a read of the store
	StaleHits   uint64 // lookups answered only because of AllowStaleAfterLease
	Refused     uint64 // lookups that returned ErrUnavailable

	Loads      uint64 // reads of the store
	LoadErrors uint64 // reads that failed or did not get a slot in time

	Evictions        uint64 // keys evicted because the cache was full
	UnknownEvictions uint64 // unknown digests evicted because the cache was full

	Polls        uint64 // polls of the feed
	PollFailures uint64 // polls that failed
	Resets       uint64 // polls that emptied the cache

	Keys           int           // cached keys
	UnknownDigests int           // cached unknown digests, including outdated ones
	LeaseRemaining time.Duration // how long cached keys are used if the feed stops answering; 0 without a feed
}

// Stats returns the current statistics.
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
		st.LeaseRemaining = time.Duration(min(s.leaseMono.Load()-now.mono, s.leaseWall.Load()-now.wall))
	}
	return st
}

type counters struct {
	hits hitCounter
	_    [56]byte // separates hits, which every request writes, from the others

	unknownHits, misses, stale, refused, loads, loadErrors atomic.Uint64
	polls, pollFailures, resets                            atomic.Uint64
}

// A hitCounter counts exactly up to exactHits and then samples, because cores that write the same word
// wait for each other. Its error is about half a percent after a million hits. It samples by random
// numbers, because requests at regular intervals could be in step with a sample by the clock.
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
