package cachestore

import (
	"math"
	"time"
)

// An instant is a time by two clocks, in nanoseconds. The monotonic clock is never set. The wall clock
// continues while the machine is suspended.
type instant struct{ mono, wall int64 }

// never is the earliest instant. No instant is before it.
var never = instant{math.MinInt64, math.MinInt64}

// maxDuration keeps sums of instants and durations far from an overflow.
const maxDuration = 10 * 365 * 24 * time.Hour

// now reads both clocks.
func (s *Store) now() instant {
	if s.clock != nil {
		return s.clock()
	}
	t := time.Now()
	return instant{int64(t.Sub(s.start)), t.UnixNano()}
}

// before reports whether t is before u by both clocks.
func (t instant) before(u instant) bool { return t.mono < u.mono && t.wall < u.wall }

// after reports whether t is after u by either clock.
func (t instant) after(u instant) bool { return t.mono > u.mono || t.wall > u.wall }

func (t instant) add(d time.Duration) instant {
	return instant{t.mono + int64(d), t.wall + int64(d)}
}

// setLease sets the end of the lease. The two writes are not atomic together. Each clock bounds the
// lease by itself, so a reader that sees one old and one new half is still correct.
func (s *Store) setLease(end instant) {
	s.leaseMono.Store(end.mono)
	s.leaseWall.Store(end.wall)
}

// leased reports whether entries may be used now.
func (s *Store) leased(now instant) bool {
	return now.mono < s.leaseMono.Load() && now.wall < s.leaseWall.Load()
}
