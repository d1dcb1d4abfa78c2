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

// forge changes the answers of the following polls.
func (f *feed) forge(change func(*apikey.Changes)) {
	f.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
		c, err := ask()
		change(&c)
		return c, err
	})
}

func TestResetEmptiesTheCache(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*apikey.Changes){
		"a Reset":                       func(c *apikey.Changes) { c.Reset, c.Digests = true, nil },
		"another epoch":                 func(c *apikey.Changes) { c.Head.Epoch, c.Digests = 7, nil },
		"a Reset to the same revision":  func(c *apikey.Changes) { c.Reset, c.Digests, c.Head.Tag = true, nil, 9 },
		"a Reset to another epoch":      func(c *apikey.Changes) { c.Reset, c.Head.Epoch = true, 7 },
		"a Reset to a distant revision": func(c *apikey.Changes) { c.Reset, c.Head.Revision = true, c.Head.Revision+20_000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
				d := cl.db.create(t, 1)
				for i := 2; i < 10; i++ {
					cl.db.create(t, i)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				wantLookup(t, cl.remote, d, nil)
				wantLookup(t, cl.remote, digestOf(-1), apikey.ErrNotFound)
				cl.remoteFeed.forge(change)
				time.Sleep(time.Second)
				synctest.Wait()
				st := cl.remote.Stats()
				assert.True(t, st.Keys == 0 && st.UnknownDigests == 0 && st.Resets == 1, "Stats() = %+v; want one reset and an empty cache", st)
				assert.GreaterOrEqual(t, st.LeaseRemaining, 2900*time.Millisecond, "LeaseRemaining")
			})
		})
	}
}

func TestPollOfAnOlderVersionFails(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*apikey.Changes){
		"older than the last poll": func(c *apikey.Changes) { c.Head.Revision, c.Digests = 1, nil },
		"zero Version":             func(c *apikey.Changes) { c.Head, c.Digests = apikey.Version{}, nil },
		"zero Version with Reset":  func(c *apikey.Changes) { *c = apikey.Changes{Reset: true} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
				d := cl.db.create(t, 1)
				cl.db.create(t, 2)
				time.Sleep(1100 * time.Millisecond)
				wantLookup(t, cl.remote, d, nil)
				cl.db.revoke(t, 1)
				cl.remoteFeed.forge(change)
				last := lastAccepted(t, cl.remote, d, time.Now(), 10*time.Second)
				assert.LessOrEqual(t, last, 2900*time.Millisecond, "with a lagging feed the key was accepted for %v; want at most the rest of the lease", last)
				wantLookup(t, cl.remote, d, apikey.ErrUnavailable)
				cl.remoteFeed.heal()
				time.Sleep(300 * time.Millisecond)
				wantLookup(t, cl.remote, d, apikey.ErrRevoked)
			})
		})
	}
	t.Run("older than a local write", func(t *testing.T) {
		t.Parallel()
		withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
			head, _ := cl.db.Changes(t.Context(), apikey.Version{})
			cl.localFeed.forge(func(c *apikey.Changes) { c.Head, c.Digests = head.Head, nil })
			d := cl.db.create(t, 1)
			wantLookup(t, cl.local, d, nil)
			last := lastAccepted(t, cl.local, d, time.Now(), 10*time.Second)
			assert.Less(t, last, 3*time.Second, "with a lagging feed the key was accepted for %v; want less than the lease of 3 s", last)
		})
	})
	t.Run("a local write during the poll does not fail it", func(t *testing.T) {
		t.Parallel()
		withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
			cl.localFeed.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
				c, err := ask()
				time.Sleep(500 * time.Millisecond)
				return c, err
			})
			time.Sleep(1200 * time.Millisecond)
			d := cl.db.create(t, 1)
			wantLookup(t, cl.local, d, nil)
			time.Sleep(5 * time.Second)
			wantLookup(t, cl.local, d, nil)
			assert.Zero(t, cl.local.Stats().PollFailures, "PollFailures")
		})
	})
}

func TestPanicOfTheFeedIsAFailedPoll(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.remote, d, nil)
		cl.remoteFeed.intercept(func(context.Context, poll) (apikey.Changes, error) { panic("nil map") })
		time.Sleep(4 * time.Second)
		wantLookup(t, cl.remote, d, apikey.ErrUnavailable)
		cl.remoteFeed.heal()
		time.Sleep(time.Second)
		wantLookup(t, cl.remote, d, nil)
	})
}

func TestPollEndsAtQueryTimeout(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.remote, d, nil)
		time.Sleep(500 * time.Millisecond)
		cl.remoteFeed.intercept(func(ctx context.Context, _ poll) (apikey.Changes, error) {
			cl.remoteFeed.heal() // the next poll succeeds
			<-ctx.Done()
			return apikey.Changes{}, ctx.Err()
		})
		last := lastAccepted(t, cl.remote, d, time.Now(), 6*time.Second)
		assert.GreaterOrEqual(t, last, 5900*time.Millisecond, "one lost poll ended the lease after %v; want the next poll to renew it", last)
	})
}

func TestWakePollsAtOnceWithinARate(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.remote, d, nil)
		time.Sleep(500 * time.Millisecond)
		cl.db.revoke(t, 1)
		cl.remote.Wake()
		synctest.Wait()
		wantLookup(t, cl.remote, d, apikey.ErrRevoked)

		polls := cl.remoteFeed.polls.Load()
		for range 5000 {
			cl.remote.Wake()
			time.Sleep(time.Millisecond)
		}
		n := cl.remoteFeed.polls.Load() - polls
		assert.True(t, n >= 240 && n <= 251, "%d polls in 5 s with Wake every millisecond; want 240 to 251", n)
		time.Sleep(time.Second)
		polls = cl.remoteFeed.polls.Load()
		time.Sleep(10 * time.Second)
		assert.EqualValues(t, 10, cl.remoteFeed.polls.Load()-polls, "polls in 10 s without Wake")
	})
}

// A poll that runs when Wake is called may have read its answer before.
func TestWakeSendsAPollAfterTheRunningOne(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.remote, d, nil)
		asked := make(chan struct{})
		cl.remoteFeed.intercept(func(_ context.Context, ask poll) (apikey.Changes, error) {
			cl.remoteFeed.heal()
			c, err := ask()
			close(asked)
			time.Sleep(100 * time.Millisecond)
			return c, err
		})
		<-asked
		cl.db.revoke(t, 1)
		cl.remote.Wake()
		time.Sleep(101 * time.Millisecond)
		wantLookup(t, cl.remote, d, apikey.ErrRevoked)
	})
}
