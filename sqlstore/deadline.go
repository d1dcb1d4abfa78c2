package sqlstore

import (
	"context"
	"fmt"
	"time"
)

// A deadline is the time by which a call must end. It names its source for the errors of calls
// that take longer.
type deadline struct {
	source string
	begun  time.Time
	at     time.Time
}

// newDeadline returns the earlier of an option's timeout and the caller's own deadline.
func newDeadline(ctx context.Context, option string, timeout time.Duration) deadline {
	d := deadline{source: option, begun: time.Now()}
	d.at = d.begun.Add(timeout)
	if callers, ok := ctx.Deadline(); ok && callers.Before(d.at) {
		d.source, d.at = "the caller's deadline", callers
	}
	return d
}

// explain names the source of the deadline in an error.
func (d *deadline) explain(problem string, err error) error {
	return fmt.Errorf("%s within %v, which is %s: %w", problem, time.Since(d.begun).Round(time.Millisecond), d.source, err)
}

// defaultReadTimeout is the default of Options.ReadTimeout without the round trips.
const defaultReadTimeout = 2 * time.Second

// readTimeout returns Options.ReadTimeout or its default.
func (s *Store) readTimeout() time.Duration {
	if s.options.ReadTimeout > 0 {
		return s.options.ReadTimeout
	}
	return defaultReadTimeout + s.roundTrips(6) // to connect with TLS, to prepare and to query
}

// writeTimeout returns Options.WriteTimeout or its default.
func (s *Store) writeTimeout() time.Duration {
	if s.options.WriteTimeout > 0 {
		return s.options.WriteTimeout
	}
	return 5*time.Second + s.roundTrips(16) // to connect, and to execute each statement of a write twice
}

// roundTrips estimates how long n round trips take, up to a second each.
func (s *Store) roundTrips(n time.Duration) time.Duration {
	const longest = time.Second
	recent := time.Duration(s.latency.recent.Load())
	switch {
	case !s.d.server:
		return 0
	case recent == 0: // not measured yet
		return n * longest
	}
	return n * min(recent, longest)
}

// Timeouts returns the longest time that a lookup and a poll may take. A cache of package
// cachestore uses them unless its QueryTimeout is set.
func (s *Store) Timeouts() (lookup, poll time.Duration) {
	lookup = s.readTimeout()
	return lookup, min(pollTimeout, lookup)
}
