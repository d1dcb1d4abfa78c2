package drivertest

import (
	"errors"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestEveryRevisionHasAnAuditEntry(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		db := e.openDB(t, dsn)
		ctx := t.Context()
		seed := rand.Uint64()
		t.Log("seed", seed)
		random := rand.New(rand.NewPCG(seed, 0))
		fails := map[error]int{}
		for range 150 {
			id, name := keyOf(random.IntN(12)).ID, "Renamed"
			var err error
			switch random.IntN(6) {
			case 0, 1: // also with an existing digest or ID
				n := random.IntN(12)
				err = store.Create(ctx, digestOf(n+random.IntN(2)), keyOf(n))
			case 2:
				if random.IntN(3) == 0 {
					name = ""
				}
				_, err = store.Update(ctx, id, apikey.Patch{Name: &name})
			case 3:
				_, err = store.Revoke(ctx, id)
			case 4:
				n := random.IntN(24)
				_, err = store.Replace(ctx, id, time.Now().Add(time.Hour), digestOf(n), keyOf(n))
			case 5:
				store.Touch(digestOf(random.IntN(12)), apikey.Use{At: time.Now()})
				err = store.Flush(ctx)
			}
			for _, target := range []error{apikey.ErrExists, apikey.ErrInvalid, apikey.ErrNotFound, apikey.ErrRevoked, apikey.ErrExpired, apikey.ErrReplaced} {
				if errors.Is(err, target) {
					fails[target]++
					err = nil
				}
			}
			require.NoError(t, err)
		}
		requireConsistentRevisions(t, db)
		assert.Greater(t, len(fails), 3, "kinds of failures in the history: %v", fails)
	})
}

func TestNoRevisionWithoutChange(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		store := e.openStore(t, e.create(t), sqlstore.Options{})
		ctx, later, name := t.Context(), time.Now().Add(time.Hour), ""
		addKeys(t, store, 0, 2)
		_, err := store.Revoke(ctx, keyOf(0).ID)
		require.NoError(t, err)
		before := head(t, store)
		for _, test := range []struct {
			name string
			want error
			do   func() error
		}{
			{"revoking again", nil, func() error { return errorOf(store.Revoke(ctx, keyOf(0).ID)) }},
			{"revoking an unknown key", apikey.ErrNotFound, func() error { return errorOf(store.Revoke(ctx, "unknown")) }},
			{"an invalid update", apikey.ErrInvalid, func() error { return errorOf(store.Update(ctx, keyOf(1).ID, apikey.Patch{Name: &name})) }},
			{"an existing ID", apikey.ErrExists, func() error { return store.Create(ctx, digestOf(9), keyOf(1)) }},
			{"an existing digest", apikey.ErrExists, func() error { return store.Create(ctx, digestOf(1), keyOf(9)) }},
			{"replacing a revoked key", apikey.ErrRevoked, func() error { return errorOf(store.Replace(ctx, keyOf(0).ID, later, digestOf(9), keyOf(9))) }},
			{"a successor with an existing digest", apikey.ErrExists, func() error { return errorOf(store.Replace(ctx, keyOf(1).ID, later, digestOf(0), keyOf(9))) }},
		} {
			t.Run(test.name, func(t *testing.T) {
				if err := test.do(); test.want == nil {
					require.NoError(t, err)
				} else {
					require.ErrorIs(t, err, test.want)
				}
				assert.Equal(t, before, head(t, store))
			})
		}
	})
}

// Two processes write while a third polls. After each poll, every change up to its Version has been
// listed exactly once. A poll would miss changes if it read the keys before the Version, or if
// revisions were committed out of order.
func TestPollMissesNoChange(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		const writers, each = 4, 25
		dsn := e.create(t)
		nodes := []*sqlstore.Store{e.openStore(t, dsn, sqlstore.Options{}), e.openStore(t, dsn, sqlstore.Options{})}
		poller := e.openStore(t, dsn, sqlstore.Options{ReadTimeout: time.Minute})
		addKeys(t, nodes[0], 0, writers*each)

		var mu sync.Mutex
		revisions := map[apikey.Digest]uint64{} // of the only change of each key
		for _, node := range nodes {
			defer node.Subscribe(func(d apikey.Digest, at apikey.Version) {
				mu.Lock()
				defer mu.Unlock()
				revisions[d] = at.Revision
			})()
		}
		at := head(t, poller)
		written := make(chan struct{})
		var all sync.WaitGroup
		for w := range writers {
			all.Go(func() {
				for n := w * each; n < (w+1)*each; n++ {
					assert.NoError(t, errorOf(nodes[w%2].Revoke(t.Context(), keyOf(n).ID)))
				}
			})
		}
		go func() { all.Wait(); close(written) }()

		listed := map[apikey.Digest]uint64{} // the revision of the poll that listed each key
		for last := false; !last; {
			select {
			case <-written:
				last = true
			default:
			}
			c, err := poller.Changes(t.Context(), at)
			require.NoError(t, err)
			require.False(t, c.Reset)
			require.GreaterOrEqual(t, c.Head.Revision, at.Revision)
			for _, d := range c.Digests {
				require.Zero(t, listed[d], "listed twice")
				listed[d] = c.Head.Revision
			}
			at = c.Head
		}
		require.Len(t, listed, writers*each)
		requireConsistentRevisions(t, e.openDB(t, dsn))
		// The first poll at or after the revision of a change listed it.
		polls := map[uint64]bool{}
		for _, poll := range listed {
			polls[poll] = true
		}
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, revisions, writers*each)
		for d, revision := range revisions {
			require.GreaterOrEqual(t, listed[d], revision)
			for poll := range polls {
				if poll >= revision {
					require.LessOrEqual(t, listed[d], poll, "the poll at revision %d did not list the change of revision %d", poll, revision)
				}
			}
		}
	})
}
