package cachestore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

// forge has the next polls answered by what f makes of the true answer.
func (f *feed) forge(change func(*apikey.Changes)) {
	f.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
		c, err := ask()
		change(&c)
		return c, err
	})
}

func TestAResetForgetsEverything(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*apikey.Changes){
		"told":                        func(c *apikey.Changes) { c.Reset, c.Digests = true, nil },
		"another epoch":               func(c *apikey.Changes) { c.Head.Epoch, c.Digests = 7, nil },
		"a reset to the same cursor":  func(c *apikey.Changes) { c.Reset, c.Digests, c.Head.Tag = true, nil, 9 },
		"another epoch and a reset":   func(c *apikey.Changes) { c.Reset, c.Head.Epoch = true, 7 },
		"many changes since, a reset": func(c *apikey.Changes) { c.Reset, c.Head.Revision = true, c.Head.Revision+20_000 },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
				d := w.db.create(t, 1)
				for i := 2; i < 10; i++ {
					w.db.create(t, i)
				}
				time.Sleep(time.Second)
				synctest.Wait()
				wants(t, w.there, d, nil)
				wants(t, w.there, digestOf(-1), apikey.ErrNotFound)
				w.remote.forge(change)
				time.Sleep(time.Second)
				synctest.Wait()
				st := w.there.Stats()
				if st.Keys != 0 || st.UnknownDigests != 0 || st.Resets != 1 {
					t.Errorf("%+v", st)
				}
				if st.LeaseRemaining < 2900*time.Millisecond {
					t.Errorf("the lease has %v", st.LeaseRemaining)
				}
			})
		})
	}
}

func TestAPollOfAnOlderStateIsNoAnswer(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*apikey.Changes){
		"before the last poll":   func(c *apikey.Changes) { c.Head.Revision, c.Digests = 1, nil },
		"the zero Cursor":        func(c *apikey.Changes) { c.Head, c.Digests = apikey.Cursor{}, nil },
		"the zero Cursor, reset": func(c *apikey.Changes) { *c = apikey.Changes{Reset: true} },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
				d := w.db.create(t, 1)
				w.db.create(t, 2)
				time.Sleep(1100 * time.Millisecond)
				wants(t, w.there, d, nil)
				w.db.revoke(t, 1)
				w.remote.forge(change)
				last := lastAccepted(t, w.there, d, time.Now(), 10*time.Second)
				if last > 2900*time.Millisecond {
					t.Errorf("accepted for %v by a lagging feed", last)
				}
				wants(t, w.there, d, apikey.ErrUnavailable)
				w.remote.heal()
				time.Sleep(300 * time.Millisecond)
				wants(t, w.there, d, apikey.ErrRevoked)
			})
		})
	}
	t.Run("before a write of this process", func(t *testing.T) {
		t.Parallel()
		inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
			head, _ := w.db.Changes(t.Context(), apikey.Cursor{})
			w.local.forge(func(c *apikey.Changes) { c.Head, c.Digests = head.Head, nil })
			d := w.db.create(t, 1)
			wants(t, w.here, d, nil)
			if last := lastAccepted(t, w.here, d, time.Now(), 10*time.Second); last >= 3*time.Second {
				t.Errorf("accepted for %v by a lagging feed", last)
			}
		})
	})
	t.Run("but not if the write came while it was under way", func(t *testing.T) {
		t.Parallel()
		inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
			w.local.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
				c, err := ask()
				time.Sleep(500 * time.Millisecond)
				return c, err
			})
			time.Sleep(1200 * time.Millisecond)
			d := w.db.create(t, 1)
			wants(t, w.here, d, nil)
			time.Sleep(5 * time.Second)
			wants(t, w.here, d, nil)
			if st := w.here.Stats(); st.PollFailures != 0 {
				t.Errorf("%+v", st)
			}
		})
	})
}

func TestAFeedThatPanicsIsOneThatDoesNotAnswer(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.there, d, nil)
		w.remote.through(func(context.Context, poll) (apikey.Changes, error) { panic("nil map") })
		time.Sleep(4 * time.Second)
		wants(t, w.there, d, apikey.ErrUnavailable)
		w.remote.heal()
		time.Sleep(time.Second)
		wants(t, w.there, d, nil)
	})
}

func TestAPollIsLostByTheQueryTimeout(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.there, d, nil)
		time.Sleep(500 * time.Millisecond)
		w.remote.through(func(ctx context.Context, _ poll) (apikey.Changes, error) {
			w.remote.heal() // the next connection is a good one
			<-ctx.Done()
			return apikey.Changes{}, ctx.Err()
		})
		if last := lastAccepted(t, w.there, d, time.Now(), 6*time.Second); last < 5900*time.Millisecond {
			t.Errorf("one lost poll ended the lease after %v", last)
		}
	})
}

func TestWakeIsSeenAtOnceAndBounded(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.there, d, nil)
		time.Sleep(500 * time.Millisecond)
		w.db.revoke(t, 1)
		w.there.Wake()
		synctest.Wait()
		wants(t, w.there, d, apikey.ErrRevoked)

		polls := w.remote.polls.Load()
		for range 5000 { // steadily, each millisecond
			w.there.Wake()
			time.Sleep(time.Millisecond)
		}
		n := w.remote.polls.Load() - polls
		if n < 240 || n > 251 {
			t.Errorf("%d polls in 5 s of steady waking", n)
		}
		time.Sleep(time.Second)
		polls = w.remote.polls.Load()
		time.Sleep(10 * time.Second)
		if n := w.remote.polls.Load() - polls; n != 10 {
			t.Errorf("%d polls in 10 s without waking", n)
		}
	})
}

// A poll that was under way when Wake was called may have been answered before.
func TestWakeIsFollowedByAPollThatWasSentAfterIt(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.there, d, nil)
		asked := make(chan struct{})
		w.remote.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
			w.remote.heal()
			c, err := ask()
			close(asked)
			time.Sleep(100 * time.Millisecond)
			return c, err
		})
		<-asked
		w.db.revoke(t, 1)
		w.there.Wake()
		time.Sleep(101 * time.Millisecond)
		wants(t, w.there, d, apikey.ErrRevoked)
	})
}
