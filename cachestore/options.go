package cachestore

import (
	"cmp"
	"fmt"
	"log/slog"
	"math"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Options configures [New]. The zero value is ready for use. Negative durations and counts are
// errors.
type Options struct {
	// MaxKeys is the maximum number of cached keys; 0 is 100,000. An entry takes about 90 bytes
	// besides its Key, which takes 208 bytes and its text.
	MaxKeys int

	// MaxUnknown is the maximum number of cached unknown digests; 0 is 4,096.
	MaxUnknown int

	// Poll is the interval between two polls of the ChangeFeed; 0 is one second. The minimum is
	// 20 ms.
	Poll time.Duration

	// Lease is how long entries are used after the last successful poll was sent; 0 is 3 seconds. It
	// bounds how long any process accepts a revoked key. It must be longer than Poll and the
	// QueryTimeout of a poll together.
	Lease time.Duration

	// QueryTimeout limits a lookup in the store and a poll of the feed. If it is 0, the limits are
	// those that the store and the feed return from a method Timeouts() (lookup, poll
	// time.Duration), or one second if they have no such method. The Timeouts of package sqlstore
	// include the time to open a connection. The cache ignores a poll timeout that does not fit
	// into the Lease.
	//
	// If MaxLoads other lookups run, a lookup may take twice as long, because it first waits for its
	// turn and then for the answer. The limit holds even if a store ignores its context.
	QueryTimeout time.Duration

	// MaxAge is how long a key is used before the cache reads it again, even if the feed reports no
	// change; 0 is 5 minutes. Entries end up to a quarter earlier, so that they do not all end at
	// once.
	MaxAge time.Duration

	// TTLOnly lets entries live for the TTL and reads no ChangeFeed. It is for stores without one. A
	// revoked key is then accepted for up to the TTL.
	TTLOnly bool

	// TTL replaces MaxAge if TTLOnly is set or the store is not a StampedStore; 0 is 5 seconds. With
	// TTLOnly, an unknown digest is cached for at most one second.
	TTL time.Duration

	// MaxLoads is the maximum number of concurrent reads of the store; 0 is 8. If the feed shares a
	// connection pool with the store, MaxLoads must be less than the size of the pool. Otherwise
	// polls wait behind lookups.
	MaxLoads int

	// AllowStaleAfterLease is how long cached keys stay in use after the Lease has ended, if the
	// feed does not answer; 0 means that they are not used. It weakens the bound: a key that another
	// process revoked is accepted for Lease plus AllowStaleAfterLease, even beyond MaxAge. It is an
	// error with TTLOnly, where a longer TTL has the same effect.
	AllowStaleAfterLease time.Duration

	// Logger reports when the feed fails and when it answers again; nil is slog.Default(). It gets no
	// digests.
	Logger *slog.Logger
}

const (
	defaultPoll         = time.Second
	defaultLease        = 3 * time.Second
	defaultQueryTimeout = time.Second

	minPoll       = 20 * time.Millisecond  // the least time between two polls, also after Wake
	retryPoll     = 250 * time.Millisecond // the time to the next poll after a failed one
	maxUnknownTTL = time.Second            // with TTLOnly, where no feed reports creations
)

// setDefaults sets the fields that are 0. It returns an [apikey.InvalidError] for a field out of its
// limits.
func (o *Options) setDefaults(hasFeed bool) error {
	for _, f := range [...]struct {
		name     string
		value    *int
		fallback int
	}{
		{"MaxKeys", &o.MaxKeys, 100_000},
		{"MaxUnknown", &o.MaxUnknown, 4096},
		{"MaxLoads", &o.MaxLoads, 8},
	} {
		if *f.value == 0 {
			*f.value = f.fallback
		}
		if *f.value < 0 || *f.value > math.MaxInt32 {
			return invalid(f.name, "%d: want 1 to %d, or 0 for %d", *f.value, math.MaxInt32, f.fallback)
		}
	}
	for _, f := range [...]struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"Poll", &o.Poll, defaultPoll},
		{"Lease", &o.Lease, defaultLease},
		{"QueryTimeout", &o.QueryTimeout, defaultQueryTimeout},
		{"MaxAge", &o.MaxAge, 5 * time.Minute},
		{"TTL", &o.TTL, 5 * time.Second},
		{"AllowStaleAfterLease", &o.AllowStaleAfterLease, 0},
	} {
		if *f.value == 0 {
			*f.value = f.fallback
		}
		if *f.value < 0 || *f.value > maxDuration {
			return invalid(f.name, "%v: want 0 to %v", *f.value, maxDuration)
		}
	}
	switch {
	case hasFeed && o.Poll < minPoll:
		return invalid("Poll", "%v: want at least %v", o.Poll, minPoll)
	case hasFeed && o.Poll+o.QueryTimeout >= o.Lease:
		return invalid("Lease", "%v: want more than Poll (%v) plus QueryTimeout (%v)", o.Lease, o.Poll, o.QueryTimeout)
	case !hasFeed && o.AllowStaleAfterLease > 0:
		return invalid("AllowStaleAfterLease", "%v: want 0 with TTLOnly, which has no Lease", o.AllowStaleAfterLease)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// timeouts returns the time limits of a lookup and of a poll. A lookup may take longer than the Lease,
// because no request joins a call that is older than the Lease.
func (o *Options) timeouts(store apikey.KeyStore, feed apikey.ChangeFeed) (lookup, poll time.Duration) {
	if o.QueryTimeout != 0 {
		return o.QueryTimeout, o.QueryTimeout
	}
	lookup, poll = defaultQueryTimeout, defaultQueryTimeout
	if t, ok := apikey.StoreAs[timeouter](store); ok {
		lookup, _ = t.Timeouts()
	}
	if t, ok := feed.(timeouter); ok {
		_, wanted := t.Timeouts()
		if cmp.Or(o.Poll, defaultPoll)+wanted < cmp.Or(o.Lease, defaultLease) {
			poll = wanted
		}
	}
	return lookup, poll
}

// A timeouter is a store or a feed that knows how long its database may take to answer.
type timeouter interface {
	Timeouts() (lookup, poll time.Duration)
}

func invalid(field, format string, args ...any) error {
	return fmt.Errorf("cachestore: %w", &apikey.InvalidError{Field: field, Problem: fmt.Sprintf(format, args...)})
}
