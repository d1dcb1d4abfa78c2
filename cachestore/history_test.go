package cachestore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

// A history records the writes of a random test. The answers of the store and the feed are slow, late
// or lost.
type history struct {
	mu      sync.Mutex
	random  *rand.Rand
	created map[int]time.Time // when Create had returned
	revoked map[int]time.Time // when Revoke had returned
}

func (h *history) delay(most time.Duration) time.Duration {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.random.IntN(3) == 0 {
		return 0
	}
	return time.Duration(h.random.Int64N(int64(most)))
}

func (h *history) intn(n int) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.random.IntN(n)
}

// age returns how long ago key i was created and revoked, or -1.
func (h *history) age(i int) (created, revoked time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	created, revoked = -1, -1
	if at, ok := h.created[i]; ok {
		created = time.Since(at)
	}
	if at, ok := h.revoked[i]; ok {
		revoked = time.Since(at)
	}
	return created, revoked
}

func TestRandomHistoryKeepsTheBounds(t *testing.T) {
	t.Parallel()
	for _, stamped := range []bool{true, false} {
		for range 4 {
			seed := rand.Uint64()
			withCluster(t, cachestore.Options{MaxKeys: 10, MaxUnknown: 5}, func(t *testing.T, cl *cluster) {
				testHistory(t, cl, seed, stamped)
			})
			if t.Failed() {
				t.Fatalf("seed %d, stamped %v", seed, stamped)
			}
		}
	}
}

// testHistory runs requests and writers in two processes and checks every outcome.
func testHistory(t *testing.T, cl *cluster, seed uint64, stamped bool) {
	const keys, during = 30, 3 * time.Minute
	h := &history{
		random:  rand.New(rand.NewPCG(seed, 0)),
		created: make(map[int]time.Time), revoked: make(map[int]time.Time),
	}
	localCache, remoteCache := cl.local, cl.remote
	if !stamped {
		localCache = open(t, unstamped{cl.db}, cl.localFeed, cachestore.Options{MaxKeys: 10})
		remoteCache = open(t, unstamped{cl.db}, cl.remoteFeed, cachestore.Options{MaxKeys: 10})
	}
	slow := func(ctx context.Context) error {
		time.Sleep(h.delay(700 * time.Millisecond)) // ignores ctx
		if h.intn(50) == 0 {
			return errDown
		}
		return nil
	}
	cl.db.before.Store(&slow)
	cl.db.after.Store(&slow)
	for _, f := range []*feed{cl.localFeed, cl.remoteFeed} {
		f.intercept(func(ctx context.Context, ask poll) (apikey.Changes, error) {
			if h.intn(10) == 0 {
				time.Sleep(h.delay(5 * time.Second))
				return apikey.Changes{}, errDown
			}
			time.Sleep(h.delay(500 * time.Millisecond))
			c, err := ask()
			time.Sleep(h.delay(2500 * time.Millisecond))
			return c, err
		})
	}
	var wg sync.WaitGroup
	end := time.Now().Add(during)
	wg.Go(func() { // the writer
		for time.Now().Before(end) {
			i := h.intn(keys)
			created, revoked := h.age(i)
			switch {
			case created < 0:
				cl.db.create(t, i)
				h.mu.Lock()
				h.created[i] = time.Now()
				h.mu.Unlock()
			case revoked < 0 && h.intn(3) == 0:
				cl.db.revoke(t, i)
				h.mu.Lock()
				h.revoked[i] = time.Now()
				h.mu.Unlock()
			}
			time.Sleep(h.delay(3 * time.Second))
		}
	})
	accepted, refused, unavailable := 0, 0, 0
	for range 20 {
		wg.Go(func() {
			for time.Now().Before(end) {
				i := h.intn(keys)
				created, revoked := h.age(i)
				local := h.intn(2) == 0
				cache := remoteCache
				if local {
					cache = localCache
				}
				ctx, cancel := context.WithTimeout(t.Context(), h.delay(3*time.Second)+time.Nanosecond)
				err := outcome(ctx, cache, digestOf(i))
				cancel()
				h.mu.Lock()
				switch {
				case err == nil && revoked >= 0 && (local || revoked >= 3*time.Second):
					t.Errorf("seed %d: at %v: lookup accepted a key that was revoked %v before the request; local: %v", seed, clockTime(), revoked, local)
				case errors.Is(err, apikey.ErrNotFound) && created >= 0 && (local || created >= 3*time.Second):
					t.Errorf("seed %d: at %v: lookup = ErrNotFound for a key that was created %v before the request; local: %v", seed, clockTime(), created, local)
				case err == nil:
					accepted++
				case errors.Is(err, apikey.ErrRevoked), errors.Is(err, apikey.ErrNotFound):
					refused++
				case errors.Is(err, apikey.ErrUnavailable), err == ctx.Err():
					unavailable++
				default:
					t.Errorf("seed %d: lookup = %v", seed, err)
				}
				h.mu.Unlock()
				time.Sleep(h.delay(100 * time.Millisecond))
			}
		})
	}
	wg.Wait()
	assert.True(t, accepted >= 100 && refused >= 100 && unavailable >= 100, "seed %d: %d accepted, %d refused, %d unavailable; want at least 100 of each", seed, accepted, refused, unavailable)
}

// Goroutines on several cores race between the read of a key, its insertion and its removal.
func TestConcurrentLoadAndRevoke(t *testing.T) {
	t.Parallel()
	const together, rounds = 20, 300
	withCluster(t, cachestore.Options{MaxLoads: together}, func(t *testing.T, cl *cluster) {
		for round := range rounds {
			hook, resume := pause()
			cl.db.after.Store(&hook)
			var wg sync.WaitGroup
			for i := range together {
				d := cl.db.create(t, round*together+i)
				wg.Go(func() { outcome(t.Context(), cl.local, d) })
			}
			synctest.Wait() // every load has read its key, and no key is cached yet
			cl.db.after.Store(nil)
			keys := cl.local.Stats().Keys
			resume()
			for cl.local.Stats().Keys == keys { // the first key is cached, the others are about to be
			}
			for i := range together {
				cl.db.revoke(t, round*together+i)
			}
			wg.Wait()
			for i := range together {
				wantLookup(t, cl.local, digestOf(round*together+i), apikey.ErrRevoked)
			}
		}
	})
}
