package cachestore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

func TestLocalWriteIsSeenByTheNextLookup(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		for i := range 100 {
			d := cl.db.create(t, i)
			wantLookup(t, cl.local, d, nil)
			wantLookup(t, cl.local, d, nil)
			cl.db.revoke(t, i)
			wantLookup(t, cl.local, d, apikey.ErrRevoked)
		}
	})
}

func TestNewKeyIsValidAfterItWasCachedAsUnknown(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		for i := range 20 {
			time.Sleep(time.Duration(i) * 77 * time.Millisecond)
			for range 2 {
				wantLookup(t, cl.local, digestOf(i), apikey.ErrNotFound)
				wantLookup(t, cl.remote, digestOf(i), apikey.ErrNotFound)
			}
			d := cl.db.create(t, i)
			wantLookup(t, cl.local, d, nil)
			time.Sleep(1001 * time.Millisecond)
			wantLookup(t, cl.remote, d, nil)
		}
		assert.GreaterOrEqual(t, cl.remote.Stats().UnknownHits, uint64(20), "UnknownHits")
	})
}

// The store answers ErrNotFound just before the key is created. The cache must not keep that answer.
func TestReadFromBeforeCreationIsNotCached(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		hook, resume := pause()
		cl.db.after.Store(&hook)
		here := lookupAsync(t.Context(), cl.local, digestOf(1))
		there := lookupAsync(t.Context(), cl.remote, digestOf(1))
		synctest.Wait()
		cl.db.after.Store(nil)
		d := cl.db.create(t, 1)
		wantLookup(t, cl.local, d, nil)
		resume()
		here()
		there()
		wantLookup(t, cl.local, d, nil)
		time.Sleep(1001 * time.Millisecond)
		wantLookup(t, cl.remote, d, nil)
	})
}

// A write that returned an error may have happened.
func TestUncertainWriteEndsTheLease(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d, other := cl.db.create(t, 1), cl.db.create(t, 2)
		wantLookup(t, cl.remote, d, nil)
		wantLookup(t, cl.remote, other, nil)
		time.Sleep(500 * time.Millisecond)

		// The revocation happened, but its answer was lost.
		cl.db.revoke(t, 1)
		polls := cl.remoteFeed.polls.Load()
		cl.remoteFeed.announce(d, apikey.Version{})
		st := cl.remote.Stats()
		assert.True(t, st.LeaseRemaining == 0 && st.Keys == 1, "Stats() = %+v; want no lease and 1 key", st)
		wantLookup(t, cl.remote, d, apikey.ErrRevoked)
		wantLookup(t, cl.remote, other, nil) // after the poll that the announcement requested
		assert.EqualValues(t, 1, cl.remoteFeed.polls.Load()-polls, "polls")
		assert.Equal(t, 500*time.Millisecond, clockTime(), "the poll did not come at once")

		// The poll does not wait for a lookup.
		time.Sleep(100 * time.Millisecond)
		polls = cl.remoteFeed.polls.Load()
		cl.remoteFeed.announce(d, apikey.Version{})
		synctest.Wait()
		assert.EqualValues(t, 1, cl.remoteFeed.polls.Load()-polls, "polls without a lookup")

		// The lease also ends when the feed does not answer.
		time.Sleep(time.Second)
		cl.remoteFeed.fail()
		cl.remoteFeed.announce(d, apikey.Version{})
		wantLookup(t, cl.remote, other, apikey.ErrUnavailable)
	})
}

func TestPollSentBeforeUncertainWriteDoesNotRenewLease(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.remote, d, nil)
		asked, gate := make(chan struct{}), make(chan struct{})
		cl.remoteFeed.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
			cl.remoteFeed.fail()
			c, err := ask()
			close(asked)
			<-gate
			return c, err
		})
		<-asked
		cl.remoteFeed.announce(digestOf(9), apikey.Version{})
		waiting := lookupAsync(t.Context(), cl.remote, d)
		synctest.Wait()
		close(gate)
		assert.Error(t, waiting(), "lookup after a poll that was sent before the uncertain write")
		cl.remoteFeed.heal()
		time.Sleep(300 * time.Millisecond)
		wantLookup(t, cl.remote, d, nil)
	})
}

func TestWriteInAnotherEpochEndsTheLease(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.remote, d, nil)
		cl.remoteFeed.announce(digestOf(9), apikey.Version{Epoch: 7, Revision: 1})
		assert.Zero(t, cl.remote.Stats().LeaseRemaining, "LeaseRemaining")
		wantLookup(t, cl.remote, d, nil)
	})
}

// A Reset may lower the known Version, but not below a write that was announced after the poll was
// sent. Otherwise an older read could be cached again.
func TestResetKeepsAWriteAnnouncedDuringThePoll(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		lagging := false
		var old apikey.Version
		store := replica{cl.db, func(at apikey.Version) apikey.Version {
			if lagging {
				return old
			}
			return at
		}}
		f := &feed{ChangeFeed: cl.db.Store}
		cache := open(t, store, f, cachestore.Options{})
		asked, gate := make(chan struct{}), make(chan struct{})
		f.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
			f.heal()
			c, err := ask()
			c.Reset, old = true, c.Head
			close(asked)
			<-gate
			return c, err
		})
		<-asked
		cl.db.create(t, 2) // announced, after the answer was read
		lagging = true
		close(gate)
		synctest.Wait()
		wantLookup(t, cache, d, apikey.ErrUnavailable)
	})
}
