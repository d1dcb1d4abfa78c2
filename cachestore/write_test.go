package cachestore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

func TestWritesOfThisProcessAreSeenByTheNextLookup(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		for i := range 100 {
			d := w.db.create(t, i)
			wants(t, w.here, d, nil)
			wants(t, w.here, d, nil)
			w.db.revoke(t, i)
			wants(t, w.here, d, apikey.ErrRevoked)
		}
	})
}

func TestAKeyIsValidThoughItWasCachedAsUnknown(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		for i := range 20 {
			time.Sleep(time.Duration(i) * 77 * time.Millisecond)
			for range 2 {
				wants(t, w.here, digestOf(i), apikey.ErrNotFound)
				wants(t, w.there, digestOf(i), apikey.ErrNotFound)
			}
			d := w.db.create(t, i)
			wants(t, w.here, d, nil)
			time.Sleep(1001 * time.Millisecond)
			wants(t, w.there, d, nil)
		}
		if st := w.there.Stats(); st.UnknownHits < 20 {
			t.Errorf("%d UnknownHits; they were to be cached", st.UnknownHits)
		}
	})
}

// The unknown digest is read while the key is created: the answer is ErrNotFound, and must
// not be kept.
func TestAReadBegunBeforeACreationIsNotKept(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		hook, resume := pause()
		w.db.after.Store(&hook)
		here := background(t.Context(), w.here, digestOf(1))
		there := background(t.Context(), w.there, digestOf(1))
		synctest.Wait()
		w.db.after.Store(nil)
		d := w.db.create(t, 1)
		wants(t, w.here, d, nil)
		resume()
		here()
		there()
		wants(t, w.here, d, nil)
		time.Sleep(1001 * time.Millisecond)
		wants(t, w.there, d, nil)
	})
}

// A store whose Create failed may have created the key all the same.
func TestAWriteThatMayHaveHappenedEndsTheLease(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d, other := w.db.create(t, 1), w.db.create(t, 2)
		wants(t, w.there, d, nil)
		wants(t, w.there, other, nil)
		time.Sleep(500 * time.Millisecond)

		// The revocation happened, and its answer was lost.
		w.db.revoke(t, 1)
		polls := w.remote.polls.Load()
		w.remote.announce(d, apikey.Cursor{})
		if st := w.there.Stats(); st.LeaseRemaining != 0 || st.Keys != 1 {
			t.Errorf("%+v", st)
		}
		wants(t, w.there, d, apikey.ErrRevoked)
		wants(t, w.there, other, nil) // by the poll that was called for
		if n := w.remote.polls.Load() - polls; n != 1 {
			t.Errorf("%d polls", n)
		}
		if now := clockTime(); now != 500*time.Millisecond {
			t.Errorf("it is %v; the poll was to come at once", now)
		}

		// The poll does not wait for a lookup.
		time.Sleep(100 * time.Millisecond)
		polls = w.remote.polls.Load()
		w.remote.announce(d, apikey.Cursor{})
		synctest.Wait()
		if n := w.remote.polls.Load() - polls; n != 1 {
			t.Errorf("%d polls", n)
		}

		// And when nothing can be reached.
		time.Sleep(time.Second)
		w.remote.fail()
		w.remote.announce(d, apikey.Cursor{})
		wants(t, w.there, other, apikey.ErrUnavailable)
	})
}

func TestAPollSentBeforeAWriteThatMayHaveHappenedRenewsNoLease(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.there, d, nil)
		asked, gate := make(chan struct{}), make(chan struct{})
		w.remote.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
			w.remote.fail()
			c, err := ask()
			close(asked)
			<-gate
			return c, err
		})
		<-asked
		w.remote.announce(digestOf(9), apikey.Cursor{})
		waiting := background(t.Context(), w.there, d)
		synctest.Wait()
		close(gate)
		if err := waiting(); err == nil {
			t.Error("accepted by a poll from before the doubt")
		}
		w.remote.heal()
		time.Sleep(300 * time.Millisecond)
		wants(t, w.there, d, nil)
	})
}

func TestAWriteInAnotherEpochEndsTheLease(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.there, d, nil)
		w.remote.announce(digestOf(9), apikey.Cursor{Epoch: 7, Revision: 1})
		if st := w.there.Stats(); st.LeaseRemaining != 0 {
			t.Errorf("%+v", st)
		}
		wants(t, w.there, d, nil)
	})
}

// The read that was under way must not come back after a Reset that was sent before the
// write: it lowers what is known to be the latest state.
func TestAResetDoesNotForgetAWriteThatWasAnnouncedSince(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		lagging := false
		var old apikey.Cursor
		store := replica{w.db, func(at apikey.Cursor) apikey.Cursor {
			if lagging {
				return old
			}
			return at
		}}
		f := &feed{ChangeFeed: w.db.Store}
		cache := open(t, store, f, cachestore.Options{})
		asked, gate := make(chan struct{}), make(chan struct{})
		f.through(func(_ context.Context, ask poll) (apikey.Changes, error) {
			f.heal()
			c, err := ask()
			c.Reset, old = true, c.Head
			close(asked)
			<-gate
			return c, err
		})
		<-asked
		w.db.create(t, 2) // announced, after the answer was read
		lagging = true
		close(gate)
		synctest.Wait()
		wants(t, cache, d, apikey.ErrUnavailable)
	})
}
