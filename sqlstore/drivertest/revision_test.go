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

func TestEveryRevisionHasItsEntry(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
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
			case 0, 1: // also of keys that are there, by digest or by ID
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
				store.Touch(digestOf(random.IntN(12)), time.Now())
				err = store.Flush(ctx)
			}
			for _, ours := range []error{apikey.ErrExists, apikey.ErrInvalid, apikey.ErrNotFound, apikey.ErrRevoked, apikey.ErrExpired} {
				if errors.Is(err, ours) {
					fails[ours]++
					err = nil
				}
			}
			require.NoError(t, err)
		}
		requireSoundRevisions(t, db)
		assert.Greater(t, len(fails), 3, "kinds of failures in the history: %v", fails)
	})
}

func TestWhatChangesNothingCountsNoRevision(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
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
			{"revoking what is not there", apikey.ErrNotFound, func() error { return errorOf(store.Revoke(ctx, "nobody")) }},
			{"updating to what is invalid", apikey.ErrInvalid, func() error { return errorOf(store.Update(ctx, keyOf(1).ID, apikey.Patch{Name: &name})) }},
			{"an ID that is taken", apikey.ErrExists, func() error { return store.Create(ctx, digestOf(9), keyOf(1)) }},
			{"a digest that is taken", apikey.ErrExists, func() error { return store.Create(ctx, digestOf(1), keyOf(9)) }},
			{"replacing a revoked key", apikey.ErrRevoked, func() error { return errorOf(store.Replace(ctx, keyOf(0).ID, later, digestOf(9), keyOf(9))) }},
			{"a successor that is there", apikey.ErrExists, func() error { return errorOf(store.Replace(ctx, keyOf(1).ID, later, digestOf(0), keyOf(9))) }},
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

// Two processes write while a third polls: after each poll, whatever was changed up to its
// state has been named, and once only. Keys that were read before the state they are said to
// be of, or revisions that are committed out of order, would be missed.
func TestThePollMissesNoChange(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
		const writers, each = 4, 25
		dsn := e.create(t)
		nodes := []*sqlstore.Store{e.openStore(t, dsn, sqlstore.Options{}), e.openStore(t, dsn, sqlstore.Options{})}
		poller := e.openStore(t, dsn, sqlstore.Options{ReadTimeout: time.Minute})
		addKeys(t, nodes[0], 0, writers*each)

		var mu sync.Mutex
		revisions := map[apikey.Digest]uint64{} // of each key's one change
		for _, node := range nodes {
			defer node.Subscribe(func(d apikey.Digest, at apikey.Cursor) {
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

		named := map[apikey.Digest]uint64{} // the state that each was named in
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
				require.Zero(t, named[d], "named twice")
				named[d] = c.Head.Revision
			}
			at = c.Head
		}
		require.Len(t, named, writers*each)
		requireSoundRevisions(t, e.openDB(t, dsn))
		// No change was named by a poll of a later state than the first that it was in.
		states := map[uint64]bool{}
		for _, state := range named {
			states[state] = true
		}
		mu.Lock()
		defer mu.Unlock()
		require.Len(t, revisions, writers*each)
		for d, revision := range revisions {
			require.GreaterOrEqual(t, named[d], revision)
			for state := range states {
				if state >= revision {
					require.LessOrEqual(t, named[d], state, "the poll of state %d did not name the change of revision %d", state, revision)
				}
			}
		}
	})
}
