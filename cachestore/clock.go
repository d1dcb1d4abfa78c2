package cachestore

import (
	"math"
	"time"
)

// An instant is a time by both clocks, in nanoseconds: the monotonic one, which is never
// set, and the wall clock, which goes on while the machine is suspended.
type instant struct{ mono, wall int64 }

// never is before every instant, so that nothing is before it.
var never = instant{math.MinInt64, math.MinInt64}

// maxDuration keeps sums of instants and durations far from overflowing.
const maxDuration = 10 * 365 * 24 * time.Hour

// now reads both clocks at once.
func (s *Store) now() instant {
	if s.clock != nil {
		return s.clock()
	}
	t := time.Now()
	return instant{int64(t.Sub(s.start)), t.UnixNano()}
}

// before reports whether t is before u by both clocks.
func (t instant) before(u instant) bool { return t.mono < u.mono && t.wall < u.wall }

func (t instant) add(d time.Duration) instant {
	return instant{t.mono + int64(d), t.wall + int64(d)}
}

// lease lets entries be used before an instant. Each half holds by itself, so that nobody
// who reads one old and one new half goes wrong.
func (s *Store) lease(until instant) {
	s.until.Store(until.mono)
	s.untilWall.Store(until.wall)
}

func (s *Store) leased(now instant) bool {
	return now.mono < s.until.Load() && now.wall < s.untilWall.Load()
}

// after reports whether t is after u by either clock.
func (t instant) after(u instant) bool { return t.mono > u.mono || t.wall > u.wall }
