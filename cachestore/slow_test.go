package cachestore_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

func TestStoreThatIgnoresItsContextDelaysLookupByQueryTimeout(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{MaxLoads: 2}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		hook, resume := pause()
		cl.db.before.Store(&hook)
		for i, want := range []time.Duration{time.Second, time.Second, time.Second} {
			// The first two lookups hold the load slots. The third waits for one.
			begun := time.Now()
			wantLookup(t, cl.remote, d, apikey.ErrUnavailable)
			assert.Equal(t, want, time.Since(begun), "duration of lookup %d", i+1)
		}
		assert.EqualValues(t, 2, cl.db.reads.Load(), "reads, MaxLoads")
		st := cl.remote.Stats()
		assert.True(t, st.Loads == 2 && st.LoadErrors == 3, "Stats() = %+v; want 2 Loads and 3 LoadErrors", st)
		cl.db.before.Store(nil)
		cl.db.revoke(t, 1)
		resume()
		synctest.Wait()
		st = cl.remote.Stats()
		assert.Zero(t, st.Keys, "Stats() = %+v; want the late answer not to be cached", st)
		wantLookup(t, cl.remote, d, apikey.ErrRevoked)
	})
}

func TestCloseWaitsForStoreThatIgnoresItsContext(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		hook, resume := pause()
		cl.db.before.Store(&hook)
		lookup := lookupAsync(t.Context(), cl.remote, digestOf(1))
		synctest.Wait()
		closed := make(chan struct{})
		go func() { cl.remote.Close(); close(closed) }()
		begun := time.Now()
		err := lookup()
		assert.True(t, errors.Is(err, apikey.ErrUnavailable) && time.Since(begun) <= time.Second, "lookup = %v after %v; want ErrUnavailable within 1 s", err, time.Since(begun))
		time.Sleep(time.Hour)
		select {
		case <-closed:
			t.Error("Close returned while a read of the store was running")
		default:
		}
		resume()
		<-closed
	})
}

// A cancelled request leaves its read behind. While the store does not answer, the number of reads
// must stay bounded.
func TestUnfinishedReadsAreBounded(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		const most = 10_000
		hook, resume := pause()
		cl.db.before.Store(&hook)
		ctx, cancel := context.WithCancel(t.Context())
		var waits []func() error
		for i := range most {
			waits = append(waits, lookupAsync(ctx, cl.remote, digestOf(i)))
		}
		synctest.Wait()
		cancel()
		for _, wait := range waits {
			wait()
		}
		err := outcome(t.Context(), cl.remote, digestOf(most))
		assert.True(t, errors.Is(err, apikey.ErrUnavailable) && strings.Contains(err.Error(), "too many"), "lookup %d = %v; want ErrUnavailable because of too many lookups", most+1, err)
		same := lookupAsync(t.Context(), cl.remote, digestOf(0))
		synctest.Wait()
		cl.db.before.Store(nil)
		resume()
		assert.ErrorIs(t, same(), apikey.ErrNotFound, "lookup that joins a running read")
		synctest.Wait()
		wantLookup(t, cl.remote, digestOf(most), apikey.ErrNotFound)
	})
}
