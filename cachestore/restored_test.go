package cachestore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

// An ancient is a store that for a while answers from a state that is over, as a node does that
// lags behind, or a backup that was restored.
type ancient struct {
	*database
	old bool
	at  apikey.Cursor
	key *apikey.Key
}

func (a *ancient) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	if a.old {
		return a.key, a.at, nil
	}
	return a.database.LookupAt(ctx, d)
}

// A pool may lead to another node for a moment, which does not know yet of a revocation, and
// whose feed cannot tell what comes after a state that it has not got to.
func TestANodeThatLagsUndoesNoRevocation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		deaf bool
	}{{"made here", false}, {"seen by a poll", true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
				d := w.db.create(t, 1)
				key, at, err := w.db.LookupAt(t.Context(), d)
				if err != nil {
					t.Fatal(err)
				}
				store := &ancient{database: w.db, at: at, key: key}
				f := &feed{ChangeFeed: w.db.Store, deaf: test.deaf}
				cache := open(t, store, f, cachestore.Options{})
				wants(t, cache, d, nil)
				w.db.revoke(t, 1)
				time.Sleep(1001 * time.Millisecond)
				wants(t, cache, d, apikey.ErrRevoked)
				store.old = true
				f.forge(func(c *apikey.Changes) { *c = apikey.Changes{Head: at, Reset: true} })
				if last := lastAccepted(t, cache, d, time.Now(), 2900*time.Millisecond); last >= 0 {
					t.Errorf("accepted %v after another node was asked", last)
				}
				store.old = false
				f.heal()
				time.Sleep(300 * time.Millisecond)
				wants(t, cache, d, apikey.ErrRevoked)
				if st := cache.Stats(); st.Resets != 0 || st.PollFailures == 0 {
					t.Errorf("%+v", st)
				}
			})
		})
	}
}

// After a restored backup the revision is smaller. That is known when it has been so for a
// Lease, and the cache goes on from there.
func TestAResetToAnOlderStateIsTheStateFromThenOn(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		backup, _ := w.db.Changes(t.Context(), apikey.Cursor{})
		key, _, _ := w.db.LookupAt(t.Context(), d)
		for i := 2; i < 10; i++ {
			w.db.create(t, i)
		}
		w.db.revoke(t, 1)
		store := &ancient{database: w.db, at: backup.Head, key: key}
		f := &feed{ChangeFeed: w.db.Store, deaf: true}
		cache := open(t, store, f, cachestore.Options{})
		wants(t, cache, digestOf(2), nil)
		wants(t, cache, d, apikey.ErrRevoked)
		store.old = true
		f.forge(func(c *apikey.Changes) { *c = apikey.Changes{Head: backup.Head, Reset: true} })
		time.Sleep(2999 * time.Millisecond)
		wants(t, cache, d, apikey.ErrRevoked) // by the lease from before
		time.Sleep(time.Second)               // when it is a Lease since the first answer of this kind
		wants(t, cache, d, apikey.ErrUnavailable)
		if st := cache.Stats(); st.Resets != 0 {
			t.Errorf("%+v", st)
		}
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		if st := cache.Stats(); st.Resets != 1 || st.Keys != 0 {
			t.Errorf("%+v", st)
		}
		f.heal()
		f.forge(func(c *apikey.Changes) { *c = apikey.Changes{Head: backup.Head} })
		wants(t, cache, d, nil)
		time.Sleep(10 * time.Second)
		wants(t, cache, d, nil)
		if st := cache.Stats(); st.Keys != 1 || st.Hits == 0 {
			t.Errorf("%+v", st)
		}
	})
}

// What was read before the backup was restored has a larger revision than the state now.
func TestAReadFromBeforeARestoredBackupIsNotKept(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		store := &scripted{keys: map[apikey.Digest]*apikey.Key{digestOf(1): {ID: "k1", Name: "one"}}}
		store.at = apikey.Cursor{Epoch: 1, Revision: 100}
		f := &feed{ChangeFeed: store}
		cache := open(t, store, f, cachestore.Options{QueryTimeout: 1900 * time.Millisecond})
		restored := apikey.Cursor{Epoch: 1, Revision: 50}
		f.forge(func(c *apikey.Changes) { *c = apikey.Changes{Head: restored, Reset: true} })
		time.Sleep(2900 * time.Millisecond) // the lease is not over
		store.took = 1500 * time.Millisecond
		old := background(t.Context(), cache, digestOf(1))
		synctest.Wait()
		store.mu.Lock()
		store.at, store.took = restored, 0
		store.mu.Unlock()
		store.set(digestOf(1), nil)
		time.Sleep(1400 * time.Millisecond) // the Reset is believed
		f.heal()
		if st := cache.Stats(); st.Resets != 1 {
			t.Errorf("%+v", st)
		}
		if err := old(); err != nil {
			t.Error(err)
		}
		wants(t, cache, digestOf(1), apikey.ErrNotFound)
	})
}
