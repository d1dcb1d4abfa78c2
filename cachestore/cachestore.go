package cachestore

import (
	"context"
	"fmt"
	"log/slog"
	"math"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A Store is an [apikey.KeyStore] that answers from memory what it can, and asks the store
// behind it for the rest. It is safe for concurrent use; make it with [New].
type Store struct {
	inner   apikey.KeyStore
	stamped apikey.StampedStore // inner, where answers can be compared with the feed
	feed    apikey.ChangeFeed   // nil: entries live for a TTL
	o       Options
	start   time.Time
	clock   func() instant // nil: the real ones

	// Entries hold before this, by both clocks.
	until, untilWall atomic.Int64
	known            bounded[*apikey.Key]
	unknown          bounded[uint64] // the revision in which nobody had the digest
	revision         atomic.Uint64   // cur.Revision, for those without the lock
	failure          atomic.Pointer[failure]

	// What is written often does not share a cache line with what every hit reads.
	_ [64]byte

	counters counters
	slots    chan struct{} // one for each load that the store is asked for
	wake     chan struct{}
	closing  context.Context
	close    context.CancelFunc
	silence  func() // ends the subscription
	wg       sync.WaitGroup
	older    instant // since when the feed answers from older states than are known of; the poller's own

	// mu is held for what removes entries and for what adds them, so that an answer
	// from before a change is not added after it. Neither store nor feed is called under
	// it: subscribers are called under locks of theirs.
	mu       sync.Mutex
	closed   bool
	cur      apikey.Cursor // of the last poll; zero before the first
	floor    apikey.Cursor // the latest state known of; what is older is not kept
	written  apikey.Cursor // the latest write announced since the running poll was sent
	doubts   uint64        // writes that may have happened
	stale    instant       // the end of what AllowStaleAfterLease permits
	flights  map[apikey.Digest]*flight
	flying   int // flights that are not over, also those that nobody may join any more
	round    *round
	polling  bool
	limit    time.Duration // how old entries get, less some jitter
	unknowns time.Duration // the same of unknown digests
}

// Options configures [New]. The zero value is ready for use. Durations and counts that are
// negative are errors.
type Options struct {
	// MaxKeys is how many keys are kept; 0 is 100,000. Each takes some 90 bytes besides
	// the Key itself, which takes 208 and its texts.
	MaxKeys int

	// MaxUnknown is how many digests that nobody has are kept; 0 is 4,096.
	MaxUnknown int

	// Poll is how often the feed is asked for changes; 0 is one second, at least 20 ms.
	Poll time.Duration

	// Lease is how long entries are used after a poll was sent, if no later one was
	// answered; 0 is 3 seconds. It bounds how long a revoked key is accepted anywhere.
	// It must be longer than Poll and QueryTimeout together.
	Lease time.Duration

	// QueryTimeout is how long the store and the feed may take to answer; 0 is one
	// second. A lookup waits as long again if MaxLoads others are before it, but no
	// longer, though a store may not heed its context.
	QueryTimeout time.Duration

	// MaxAge is how long a key is used before it is read again, in spite of a feed that
	// tells of no change; 0 is 5 minutes. Entries end up to a quarter of it earlier, not
	// all at once.
	MaxAge time.Duration

	// TTL takes the place of MaxAge where there is no feed, or where the store is no
	// StampedStore; 0 is 5 seconds. Without a feed it is how long a revoked key is
	// accepted, and unknown digests are kept for one second of it at most.
	TTL time.Duration

	// MaxLoads is how many reads of the store run at once; 0 is 8. Where the feed has no
	// connections of its own, it must be less than the store has, so that polls do not
	// wait behind lookups.
	MaxLoads int

	// AllowStaleAfterLease keeps keys that are in memory in use for this long after the
	// Lease has ended, if the feed does not answer; 0 is not at all. It loosens the
	// promise: a key that was revoked elsewhere is accepted for Lease and
	// AllowStaleAfterLease together, whatever MaxAge says. Without a feed it is an error:
	// make the TTL longer.
	AllowStaleAfterLease time.Duration

	// Logger is told when the feed fails and when it answers again; nil is
	// slog.Default(). It is given no digests.
	Logger *slog.Logger
}

const (
	// A poll is sent at most this often, however often it is woken.
	minPoll = 20 * time.Millisecond
	// After a poll has failed the next one comes so soon, and nobody else probes.
	retryPoll = 250 * time.Millisecond
	// Unknown digests are kept no longer where nobody tells of creations.
	maxUnknownTTL = time.Second
)

// New returns a Store in front of store. feed tells what changes in it; the store often is
// one itself, and its ChangeFeed is found by [apikey.StoreAs]. A nil feed makes entries live
// for a TTL. With a feed it starts a goroutine, which [Store.Close] ends.
//
// A store that is nil, a nil pointer in store or feed, and options out of their limits are
// errors that wrap [apikey.ErrInvalid] and name the field.
func New(store apikey.KeyStore, feed apikey.ChangeFeed, o Options) (*Store, error) {
	return newStore(store, feed, o, nil)
}

func newStore(store apikey.KeyStore, feed apikey.ChangeFeed, o Options, clock func() instant) (*Store, error) {
	if isNil(store) {
		return nil, invalid("KeyStore: nil; a cache needs a store behind it")
	}
	if feed != nil && isNil(feed) {
		return nil, invalid("ChangeFeed: a nil %T; for no feed at all, pass nil itself", feed)
	}
	if err := o.complete(feed != nil); err != nil {
		return nil, err
	}
	s := &Store{
		inner:    store,
		feed:     feed,
		o:        o,
		start:    time.Now(),
		clock:    clock,
		slots:    make(chan struct{}, o.MaxLoads),
		wake:     make(chan struct{}, 1),
		flights:  make(map[apikey.Digest]*flight),
		round:    newRound(),
		limit:    o.MaxAge,
		unknowns: o.MaxAge,
		stale:    never,
		older:    never,
	}
	s.known.max, s.unknown.max = o.MaxKeys, o.MaxUnknown
	s.closing, s.close = context.WithCancel(context.Background())
	if feed == nil {
		s.limit, s.unknowns = o.TTL, min(o.TTL, maxUnknownTTL)
		s.lease(instant{math.MaxInt64, math.MaxInt64})
		return s, nil
	}
	// Not by StoreAs: what a wrapper's Lookup refuses must not be read behind its back.
	if s.stamped, _ = store.(apikey.StampedStore); s.stamped == nil {
		s.limit, s.unknowns = o.TTL, o.TTL
	}
	s.lease(never)
	s.silence = feed.Subscribe(s.announced)
	s.wg.Go(s.pollForever)
	return s, nil
}

// complete fills in what is zero, and refuses what is out of its limits.
func (o *Options) complete(fed bool) error {
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
			return invalid("%s %d: want 1 to %d, or 0 for %d", f.name, *f.value, math.MaxInt32, f.fallback)
		}
	}
	for _, f := range [...]struct {
		name     string
		value    *time.Duration
		fallback time.Duration
	}{
		{"Poll", &o.Poll, time.Second},
		{"Lease", &o.Lease, 3 * time.Second},
		{"QueryTimeout", &o.QueryTimeout, time.Second},
		{"MaxAge", &o.MaxAge, 5 * time.Minute},
		{"TTL", &o.TTL, 5 * time.Second},
		{"AllowStaleAfterLease", &o.AllowStaleAfterLease, 0},
	} {
		if *f.value == 0 {
			*f.value = f.fallback
		}
		if *f.value < 0 || *f.value > maxDuration {
			return invalid("%s %v: want at most %v and nothing negative", f.name, *f.value, maxDuration)
		}
	}
	switch {
	case fed && o.Poll < minPoll:
		return invalid("Poll %v: want at least %v", o.Poll, minPoll)
	case fed && o.Poll+o.QueryTimeout >= o.Lease:
		return invalid("Lease %v: want more than Poll and QueryTimeout together, which are %v and %v", o.Lease, o.Poll, o.QueryTimeout)
	case o.AllowStaleAfterLease > 0 && !fed:
		return invalid("AllowStaleAfterLease %v: there is no Lease without a ChangeFeed; TTL is how long entries live", o.AllowStaleAfterLease)
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	return nil
}

// Unwrap returns the store behind the cache.
func (s *Store) Unwrap() apikey.KeyStore { return s.inner }

// Close ends the cache. It waits for the polls and loads that are running, which are
// cancelled, and so for as long as a store or a feed takes that does not heed its context. It
// returns at once if it was called before and has ended. Lookups fail from
// then on, with an error that wraps [apikey.ErrUnavailable].
func (s *Store) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		s.lease(never)
		s.close()
		if s.silence != nil {
			s.silence()
		}
	}
	s.wg.Wait()
	if first {
		s.mu.Lock()
		s.known.clear()
		s.unknown.clear()
		s.mu.Unlock()
	}
}

// isNil also finds the nil pointer in a non-nil interface.
func isNil(v any) bool {
	switch v := reflect.ValueOf(v); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		return v.IsNil()
	}
	return false
}

func invalid(format string, args ...any) error {
	return fmt.Errorf("cachestore: %w "+format, append([]any{apikey.ErrInvalid}, args...)...)
}
