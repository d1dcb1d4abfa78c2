package cachestore_test

import (
	"context"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

// An outdatedStore answers every lookup with one key and an old Version while outdated is set, as a
// lagging node or a restored backup does.
type outdatedStore struct {
	*database
	outdated bool
	at       apikey.Version
	key      *apikey.Key
}

func (s *outdatedStore) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Version, error) {
	if s.outdated {
		return s.key, s.at, nil
	}
	return s.database.LookupAt(ctx, d)
}

// A connection pool may briefly use a lagging node. The node has not received a revocation, and its
// feed answers a later Version with a Reset.
func TestLaggingNodeUndoesNoRevocation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		mute bool
	}{{"local revocation", false}, {"revocation seen by a poll", true}} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
				d := cl.db.create(t, 1)
				key, at, err := cl.db.LookupAt(t.Context(), d)
				require.NoError(t, err)
				store := &outdatedStore{database: cl.db, at: at, key: key}
				f := &feed{ChangeFeed: cl.db.Store, mute: test.mute}
				cache := open(t, store, f, cachestore.Options{})
				wantLookup(t, cache, d, nil)
				cl.db.revoke(t, 1)
				time.Sleep(1001 * time.Millisecond)
				wantLookup(t, cache, d, apikey.ErrRevoked)
				store.outdated = true
				f.forge(func(c *apikey.Changes) { *c = apikey.Changes{Head: at, Reset: true} })
				last := lastAccepted(t, cache, d, time.Now(), 2900*time.Millisecond)
				assert.Negative(t, last, "key accepted %v after the pool changed to the lagging node; want never", last)
				store.outdated = false
				f.heal()
				time.Sleep(300 * time.Millisecond)
				wantLookup(t, cache, d, apikey.ErrRevoked)
				st := cache.Stats()
				assert.True(t, st.Resets == 0 && st.PollFailures != 0, "Stats() = %+v; want PollFailures and no Resets", st)
			})
		})
	}
}

// A restored backup has a smaller revision. The cache accepts it after it has persisted for a Lease.
func TestResetToAnOlderVersionIsAcceptedAfterALease(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		backup, _ := cl.db.Changes(t.Context(), apikey.Version{})
		key, _, _ := cl.db.LookupAt(t.Context(), d)
		for i := 2; i < 10; i++ {
			cl.db.create(t, i)
		}
		cl.db.revoke(t, 1)
		store := &outdatedStore{database: cl.db, at: backup.Head, key: key}
		f := &feed{ChangeFeed: cl.db.Store, mute: true}
		cache := open(t, store, f, cachestore.Options{})
		wantLookup(t, cache, digestOf(2), nil)
		wantLookup(t, cache, d, apikey.ErrRevoked)
		store.outdated = true
		f.forge(func(c *apikey.Changes) { *c = apikey.Changes{Head: backup.Head, Reset: true} })
		time.Sleep(2999 * time.Millisecond)
		wantLookup(t, cache, d, apikey.ErrRevoked) // under the lease from before
		time.Sleep(time.Second)                    // a Lease since the first answer from the backup
		wantLookup(t, cache, d, apikey.ErrUnavailable)
		assert.Zero(t, cache.Stats().Resets, "Resets")
		time.Sleep(300 * time.Millisecond)
		synctest.Wait()
		st := cache.Stats()
		assert.True(t, st.Resets == 1 && st.Keys == 0, "Stats() = %+v; want one reset and no keys", st)
		f.heal()
		f.forge(func(c *apikey.Changes) { *c = apikey.Changes{Head: backup.Head} })
		wantLookup(t, cache, d, nil)
		time.Sleep(10 * time.Second)
		wantLookup(t, cache, d, nil)
		st = cache.Stats()
		assert.True(t, st.Keys == 1 && st.Hits != 0, "Stats() = %+v; want one key and Hits", st)
	})
}

// A read from before the restore has a larger revision than the restored database.
func TestReadFromBeforeARestoreIsNotCached(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{}, func(t *testing.T, cl *cluster) {
		store := &scripted{keys: map[apikey.Digest]*apikey.Key{digestOf(1): {ID: "k1", Name: "one"}}}
		store.at = apikey.Version{Epoch: 1, Revision: 100}
		f := &feed{ChangeFeed: store}
		cache := open(t, store, f, cachestore.Options{QueryTimeout: 1900 * time.Millisecond})
		restored := apikey.Version{Epoch: 1, Revision: 50}
		f.forge(func(c *apikey.Changes) { *c = apikey.Changes{Head: restored, Reset: true} })
		time.Sleep(2900 * time.Millisecond) // the lease has not ended
		store.took = 1500 * time.Millisecond
		old := lookupAsync(t.Context(), cache, digestOf(1))
		synctest.Wait()
		store.mu.Lock()
		store.at, store.took = restored, 0
		store.mu.Unlock()
		store.set(digestOf(1), nil)
		time.Sleep(1400 * time.Millisecond) // the Reset is accepted
		f.heal()
		assert.EqualValues(t, 1, cache.Stats().Resets, "Resets")
		assert.NoError(t, old())
		wantLookup(t, cache, digestOf(1), apikey.ErrNotFound)
	})
}
