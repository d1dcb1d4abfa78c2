package cachestore

import (
	"context"
	"math"
	"reflect"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A Store is an [apikey.KeyStore] that caches the keys of another one. [New] makes one. A Store is
// safe for concurrent use.
type Store struct {
	inner   apikey.KeyStore
	stamped apikey.StampedStore // inner, or nil if it is not one or there is no feed
	feed    apikey.ChangeFeed   // nil if entries live for the TTL
	o       Options
	start   time.Time
	clock   func() instant // nil means the clocks of the machine

	// Entries are used only before this instant, by both clocks.
	leaseMono, leaseWall atomic.Int64
	known                boundedTable[*apikey.Key]
	unknown              boundedTable[uint64] // the revision at which the digest was unknown
	revision             atomic.Uint64        // version.Revision, for readers without the lock

	failure atomic.Pointer[failure]

	// The padding keeps fields that are written often off the cache line that every hit reads.
	_ [64]byte

	counters      counters
	loadSlots     chan struct{} // holds one value for each running load
	lookupTimeout time.Duration // limits a load; o.QueryTimeout limits a poll
	maxJoinAge    time.Duration // a request joins no call that is older
	wake          chan struct{}
	closing       context.Context
	close         context.CancelFunc
	unsubscribe   func()
	wg            sync.WaitGroup
	laggingSince  instant // when a poll first answered from an older Version; only the poller uses it

	// mu protects the following fields and every insertion into and removal from the tables. One
	// lock for both keeps an answer from before a change from being inserted after the removal.
	// The cache never calls the store or the feed while it holds mu, because they call
	// subscribers under their own locks.
	mu              sync.Mutex
	closed          bool
	version         apikey.Version // of the last successful poll; zero before the first
	minVersion      apikey.Version // the latest one seen; older answers are not cached
	announced       apikey.Version // of the latest write announced since the running poll was sent
	uncertainWrites uint64         // writes announced without a Version
	staleUntil      instant        // end of AllowStaleAfterLease
	calls           map[apikey.Digest]*call
	unfinished      int // calls that run, including those that requests no longer join
	nextPoll        *pollResult
	polling         bool
	keyTTL          time.Duration // maximum age of known entries, before jitter
	unknownTTL      time.Duration // maximum age of unknown entries, before jitter
}

// New returns a Store that caches the keys of store. It finds the [apikey.ChangeFeed] of the store with
// [apikey.StoreAs]. It starts a goroutine, which [Store.Close] ends, unless [Options.TTLOnly] is set.
//
// New returns an [apikey.InvalidError] for a nil store and for an option out of its limits. It also
// refuses a store without a ChangeFeed unless [Options.TTLOnly] is set.
func New(store apikey.KeyStore, o Options) (*Store, error) {
	var feed apikey.ChangeFeed
	if !isNil(store) && !o.TTLOnly {
		var found bool
		if feed, found = apikey.StoreAs[apikey.ChangeFeed](store); !found || isNil(feed) {
			return nil, invalid("KeyStore", "%T has no ChangeFeed; want one, or Options.TTLOnly to accept revoked keys for up to the TTL", store)
		}
	}
	return newStore(store, feed, o, nil)
}

func newStore(store apikey.KeyStore, feed apikey.ChangeFeed, o Options, clock func() instant) (*Store, error) {
	if isNil(store) {
		return nil, invalid("KeyStore", "nil; want the store to cache")
	}
	lookupTimeout, pollTimeout := o.timeouts(store, feed)
	o.QueryTimeout = pollTimeout
	if err := o.setDefaults(feed != nil); err != nil {
		return nil, err
	}
	s := &Store{
		inner:         store,
		feed:          feed,
		o:             o,
		start:         time.Now(),
		clock:         clock,
		loadSlots:     make(chan struct{}, o.MaxLoads),
		wake:          make(chan struct{}, 1),
		calls:         make(map[apikey.Digest]*call),
		nextPoll:      newPollResult(),
		lookupTimeout: lookupTimeout,
		maxJoinAge:    o.Lease,
		keyTTL:        o.MaxAge,
		unknownTTL:    o.MaxAge,
		staleUntil:    never,
		laggingSince:  never,
	}
	s.known.max, s.unknown.max = o.MaxKeys, o.MaxUnknown
	s.closing, s.close = context.WithCancel(context.Background())
	if feed == nil {
		s.keyTTL, s.unknownTTL, s.maxJoinAge = o.TTL, min(o.TTL, maxUnknownTTL), o.TTL
		s.setLease(instant{math.MaxInt64, math.MaxInt64})
		return s, nil
	}
	// StoreAs would search behind a wrapper and bypass its Lookup.
	if s.stamped, _ = store.(apikey.StampedStore); s.stamped == nil {
		s.keyTTL, s.unknownTTL = o.TTL, o.TTL
	}
	s.setLease(never)
	s.unsubscribe = feed.Subscribe(s.onWrite)
	s.wg.Go(s.pollLoop)
	return s, nil
}

// Unwrap returns the store behind the cache.
func (s *Store) Unwrap() apikey.KeyStore { return s.inner }

// Close stops the polls and cancels the reads of the store, and waits for both. It takes as long as a
// store or a feed that ignores its context. Lookups that begin after Close was called fail with an
// error that wraps [apikey.ErrUnavailable]. Close may be called several times.
func (s *Store) Close() {
	s.mu.Lock()
	first := !s.closed
	s.closed = true
	s.mu.Unlock()
	if first {
		s.setLease(never)
		s.close()
		if s.unsubscribe != nil {
			s.unsubscribe()
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

// isNil reports whether v is nil or an interface that holds a nil pointer.
func isNil(v any) bool {
	switch v := reflect.ValueOf(v); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		return v.IsNil()
	}
	return false
}
