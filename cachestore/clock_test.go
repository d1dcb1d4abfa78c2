package cachestore

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// open makes a cache whose wall clock can be set without the monotonic one. It holds the
// key with the zero digest, and has polled once.
func open(t *testing.T, feed func(*memstore.Store) apikey.ChangeFeed, o Options) (*Store, *memstore.Store, *atomic.Int64) {
	t.Helper()
	db := memstore.New()
	if err := db.Create(t.Context(), apikey.Digest{}, apikey.Key{ID: "k", Name: "key"}); err != nil {
		t.Fatal(err)
	}
	var suspended atomic.Int64
	start := time.Now()
	s, err := newStore(db, feed(db), o, func() instant {
		mono := int64(time.Since(start))
		return instant{mono, start.UnixNano() + mono + suspended.Load()}
	})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(s.Close)
	synctest.Wait()
	return s, db, &suspended
}

// A deaf feed announces nothing, and is down when it is told to be.
type deaf struct {
	apikey.ChangeFeed
	down *atomic.Bool
}

func (deaf) Subscribe(func(apikey.Digest, apikey.Cursor)) func() { return func() {} }
func (f deaf) Changes(ctx context.Context, since apikey.Cursor) (apikey.Changes, error) {
	if f.down.Load() {
		return apikey.Changes{}, errors.New("down")
	}
	return f.ChangeFeed.Changes(ctx, since)
}

func TestASuspendedMachineDoesNotProlongTheLease(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		down bool
		want error
	}{{"and the database answers", false, apikey.ErrRevoked}, {"and the database is down", true, apikey.ErrUnavailable}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var down atomic.Bool
				s, db, suspended := open(t, func(db *memstore.Store) apikey.ChangeFeed { return deaf{db, &down} },
					Options{AllowStaleAfterLease: time.Minute})
				if _, err := s.Lookup(t.Context(), apikey.Digest{}); err != nil {
					t.Fatal(err)
				}
				time.Sleep(500 * time.Millisecond)
				if _, err := db.Revoke(t.Context(), "k"); err != nil {
					t.Fatal(err)
				}
				down.Store(test.down)
				suspended.Store(int64(time.Hour))
				key, err := s.Lookup(t.Context(), apikey.Digest{})
				if err == nil {
					err = key.Check(time.Now())
				}
				if !errors.Is(err, test.want) {
					t.Errorf("after an hour's sleep the lookup ends with %v; want %v", err, test.want)
				}
			})
		})
	}
}

func TestASuspendedMachineDoesNotProlongTheTTL(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, db, suspended := open(t, func(*memstore.Store) apikey.ChangeFeed { return nil }, Options{})
		if _, err := s.Lookup(t.Context(), apikey.Digest{}); err != nil {
			t.Fatal(err)
		}
		if _, err := db.Revoke(t.Context(), "k"); err != nil {
			t.Fatal(err)
		}
		suspended.Store(int64(6 * time.Second))
		if key, err := s.Lookup(t.Context(), apikey.Digest{}); err != nil || key.Check(time.Now()) == nil {
			t.Errorf("an entry outlived its TTL in the machine's sleep: %v, %v", key, err)
		}
	})
}

// A wall clock that is set back must not prolong anything either.
func TestAWallClockThatIsSetBackDoesNotProlongTheLease(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var down atomic.Bool
		s, _, set := open(t, func(db *memstore.Store) apikey.ChangeFeed { return deaf{db, &down} }, Options{})
		if _, err := s.Lookup(t.Context(), apikey.Digest{}); err != nil {
			t.Fatal(err)
		}
		down.Store(true)
		set.Store(-int64(time.Hour))
		if _, err := s.Lookup(t.Context(), apikey.Digest{}); err != nil {
			t.Error(err)
		}
		time.Sleep(3 * time.Second)
		if _, err := s.Lookup(t.Context(), apikey.Digest{}); !errors.Is(err, apikey.ErrUnavailable) {
			t.Errorf("after the lease: %v", err)
		}
	})
}

func TestAHitTakesNoLock(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s, _, _ := open(t, func(db *memstore.Store) apikey.ChangeFeed { return db }, Options{})
		unknown := apikey.Digest{1}
		s.Lookup(t.Context(), apikey.Digest{})
		s.Lookup(t.Context(), unknown)
		s.mu.Lock()
		defer s.mu.Unlock()
		if _, err := s.Lookup(t.Context(), apikey.Digest{}); err != nil {
			t.Error(err)
		}
		if _, err := s.Lookup(t.Context(), unknown); err != apikey.ErrNotFound {
			t.Error(err)
		}
	})
}

// A returning store tells when it has answered.
type returning struct {
	*memstore.Store
	returned atomic.Bool
}

func (r *returning) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	defer r.returned.Store(true)
	return r.Store.LookupAt(ctx, d)
}

// An answer that came in time may have to wait for the lock that lets it in, and be late then.
func TestAnAnswerThatWaitedTooLongForTheLockIsNotUsed(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		db := &returning{Store: memstore.New()}
		if err := db.Create(t.Context(), apikey.Digest{}, apikey.Key{ID: "k", Name: "key"}); err != nil {
			t.Fatal(err)
		}
		var cache atomic.Pointer[Store]
		start := time.Now()
		s, err := newStore(db, db.Store, Options{}, func() instant {
			now := instant{int64(time.Since(start)), time.Now().UnixNano()}
			if s := cache.Load(); s != nil && db.returned.Load() {
				if s.mu.TryLock() {
					s.mu.Unlock()
				} else { // whoever asks has the lock
					now = now.add(1001 * time.Millisecond)
				}
			}
			return now
		})
		if err != nil {
			t.Fatal(err)
		}
		defer s.Close()
		synctest.Wait()
		cache.Store(s)
		if _, err := s.Lookup(t.Context(), apikey.Digest{}); !errors.Is(err, apikey.ErrUnavailable) {
			t.Errorf("%v; want ErrUnavailable", err)
		}
		if st := s.Stats(); st.Keys != 0 {
			t.Errorf("it was kept: %+v", st)
		}
	})
}
