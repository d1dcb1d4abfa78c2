package cachestore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

func TestAStoreThatIgnoresItsContextDelaysALookupByTheQueryTimeout(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{MaxLoads: 2}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		hook, resume := pause()
		w.db.before.Store(&hook)
		for i, want := range []time.Duration{time.Second, time.Second, time.Second} {
			// The first two have the places, and whoever is next waits for one.
			begun := time.Now()
			wants(t, w.there, d, apikey.ErrUnavailable)
			if took := time.Since(begun); took != want {
				t.Errorf("lookup %d took %v; want %v", i+1, took, want)
			}
		}
		if n := w.db.reads.Load(); n != 2 {
			t.Errorf("%d reads; MaxLoads is 2", n)
		}
		if st := w.there.Stats(); st.Loads != 2 || st.LoadErrors != 3 {
			t.Errorf("%+v", st)
		}
		w.db.before.Store(nil)
		w.db.revoke(t, 1)
		resume()
		synctest.Wait()
		if st := w.there.Stats(); st.Keys != 0 {
			t.Errorf("what came too late was kept: %+v", st)
		}
		wants(t, w.there, d, apikey.ErrRevoked)
	})
}

func TestCloseWaitsForAStoreThatIgnoresItsContextAndLookupsDoNot(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		hook, resume := pause()
		w.db.before.Store(&hook)
		lookup := background(t.Context(), w.there, digestOf(1))
		synctest.Wait()
		closed := make(chan struct{})
		go func() { w.there.Close(); close(closed) }()
		begun := time.Now()
		if err := lookup(); !errors.Is(err, apikey.ErrUnavailable) || time.Since(begun) > time.Second {
			t.Errorf("%v after %v", err, time.Since(begun))
		}
		time.Sleep(time.Hour)
		select {
		case <-closed:
			t.Error("closed, and the store was still asked")
		default:
		}
		resume()
		<-closed
	})
}

// Requests that go away leave their reads behind. While the store does not answer, these must
// not become ever more.
func TestReadsThatWaitForTheStoreAreBounded(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		const most = 10_000
		hook, resume := pause()
		w.db.before.Store(&hook)
		ctx, cancel := context.WithCancel(t.Context())
		var waits []func() error
		for i := range most {
			waits = append(waits, background(ctx, w.there, digestOf(i)))
		}
		synctest.Wait()
		cancel()
		for _, wait := range waits {
			wait()
		}
		if err := outcome(t.Context(), w.there, digestOf(most)); !errors.Is(err, apikey.ErrUnavailable) || !strings.Contains(err.Error(), "too many") {
			t.Errorf("one more ends with %v", err)
		}
		same := background(t.Context(), w.there, digestOf(0))
		synctest.Wait()
		w.db.before.Store(nil)
		resume()
		if err := same(); !errors.Is(err, apikey.ErrNotFound) {
			t.Errorf("who asks for the same ends with %v", err)
		}
		synctest.Wait()
		wants(t, w.there, digestOf(most), apikey.ErrNotFound)
	})
}
