package cachestore_test

import (
	"context"
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

// A history is what many requests and writers of two processes did, while answers of store
// and feed were slow, late or lost.
type history struct {
	mu      sync.Mutex
	random  *rand.Rand
	created map[int]time.Time
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

// before tells what was true when a request began.
func (h *history) before(i int) (created, revoked time.Duration) {
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

func TestNoHistoryAcceptsAKeyBeyondThePromise(t *testing.T) {
	t.Parallel()
	for _, stamped := range []bool{true, false} {
		for range 4 {
			seed := rand.Uint64()
			inWorld(t, cachestore.Options{MaxKeys: 10, MaxUnknown: 5}, func(t *testing.T, w *world) {
				testHistory(t, w, seed, stamped)
			})
			if t.Failed() {
				t.Fatalf("seed %d, stamped %v", seed, stamped)
			}
		}
	}
}

func testHistory(t *testing.T, w *world, seed uint64, stamped bool) {
	const keys, during = 30, 3 * time.Minute
	h := &history{
		random:  rand.New(rand.NewPCG(seed, 0)),
		created: make(map[int]time.Time), revoked: make(map[int]time.Time),
	}
	here, there := w.here, w.there
	if !stamped {
		here = open(t, unstamped{w.db}, w.local, cachestore.Options{MaxKeys: 10})
		there = open(t, unstamped{w.db}, w.remote, cachestore.Options{MaxKeys: 10})
	}
	slow := func(ctx context.Context) error {
		time.Sleep(h.delay(700 * time.Millisecond)) // whether ctx is done or not
		if h.intn(50) == 0 {
			return errDown
		}
		return nil
	}
	w.db.before.Store(&slow)
	w.db.after.Store(&slow)
	for _, f := range []*feed{w.local, w.remote} {
		f.through(func(ctx context.Context, ask poll) (apikey.Changes, error) {
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
			created, revoked := h.before(i)
			switch {
			case created < 0:
				w.db.create(t, i)
				h.mu.Lock()
				h.created[i] = time.Now()
				h.mu.Unlock()
			case revoked < 0 && h.intn(3) == 0:
				w.db.revoke(t, i)
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
				created, revoked := h.before(i)
				local := h.intn(2) == 0
				cache := there
				if local {
					cache = here
				}
				ctx, cancel := context.WithTimeout(t.Context(), h.delay(3*time.Second)+time.Nanosecond)
				err := outcome(ctx, cache, digestOf(i))
				cancel()
				h.mu.Lock()
				switch {
				case err == nil && revoked >= 0 && (local || revoked >= 3*time.Second):
					t.Errorf("seed %d: at %v a key was accepted that had been revoked for %v when the request began; local %v", seed, clockTime(), revoked, local)
				case errors.Is(err, apikey.ErrNotFound) && created >= 0 && (local || created >= 3*time.Second):
					t.Errorf("seed %d: at %v a key was unknown that had existed for %v when the request began; local %v", seed, clockTime(), created, local)
				case err == nil:
					accepted++
				case errors.Is(err, apikey.ErrRevoked), errors.Is(err, apikey.ErrNotFound):
					refused++
				case errors.Is(err, apikey.ErrUnavailable), err == ctx.Err():
					unavailable++
				default:
					t.Errorf("seed %d: %v", seed, err)
				}
				h.mu.Unlock()
				time.Sleep(h.delay(100 * time.Millisecond))
			}
		})
	}
	wg.Wait()
	if accepted < 100 || refused < 100 || unavailable < 100 {
		t.Errorf("seed %d: %d accepted, %d refused, %d unavailable: the history tests little", seed, accepted, refused, unavailable)
	}
}

// The same without waiting: real cores race for the instants between a read, its insertion
// and a removal.
func TestNoRaceBringsARevokedKeyBack(t *testing.T) {
	t.Parallel()
	const together, rounds = 20, 300
	inWorld(t, cachestore.Options{MaxLoads: together}, func(t *testing.T, w *world) {
		for round := range rounds {
			hook, resume := pause()
			w.db.after.Store(&hook)
			var wg sync.WaitGroup
			for i := range together {
				d := w.db.create(t, round*together+i)
				wg.Go(func() { outcome(t.Context(), w.here, d) })
			}
			synctest.Wait() // all have read, and none has kept it
			w.db.after.Store(nil)
			keys := w.here.Stats().Keys
			resume()
			for w.here.Stats().Keys == keys { // the first is kept now, others are about to be
			}
			for i := range together {
				w.db.revoke(t, round*together+i)
			}
			wg.Wait()
			for i := range together {
				wants(t, w.here, digestOf(round*together+i), apikey.ErrRevoked)
			}
		}
	})
}
