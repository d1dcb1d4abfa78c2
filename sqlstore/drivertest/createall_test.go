package drivertest

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestCreateAll(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		store := e.openStore(t, dsn, sqlstore.Options{})
		batch := func(from, n int) (digests []apikey.Digest, keys []apikey.Key) {
			for i := range n {
				digests = append(digests, apikey.Digest{byte(from + i), byte((from + i) >> 8), 1})
				keys = append(keys, apikey.Key{ID: fmt.Sprint("k", from+i), Name: "Key", Owner: "ann", Scopes: []string{"read"}})
			}
			return digests, keys
		}
		digests, keys := batch(0, 500)
		created, err := store.CreateAll(apikey.WithActor(t.Context(), "importer"), digests, keys)
		require.NoError(t, err)
		assert.NotContains(t, created, false)
		before, err := store.Changes(t.Context(), apikey.Version{})
		require.NoError(t, err)
		assert.EqualValues(t, 500, before.Head.Revision, "each key has a revision")

		created, err = store.CreateAll(t.Context(), digests, keys)
		require.NoError(t, err)
		assert.NotContains(t, created, true, "known digests are skipped")
		after, err := store.Changes(t.Context(), before.Head)
		require.NoError(t, err)
		assert.Equal(t, before.Head, after.Head, "nothing was written")

		digests, keys = batch(499, 2)
		keys[0].ID = "other"
		created, err = store.CreateAll(t.Context(), digests, keys)
		require.NoError(t, err)
		assert.Equal(t, []bool{false, true}, created)
		for i, d := range digests {
			key, err := store.Lookup(t.Context(), d)
			require.NoError(t, err)
			assert.Equal(t, fmt.Sprint("k", 499+i), key.ID)
		}
		trail, err := store.Audit(t.Context(), apikey.AuditOptions{KeyID: "k7"})
		require.NoError(t, err)
		require.Len(t, trail.Entries, 1)
		assert.Equal(t, "importer", trail.Entries[0].Actor)
		assert.Equal(t, "create", trail.Entries[0].Action)
		requireConsistentRevisions(t, e.openDB(t, dsn))

		digests, keys = batch(600, 2)
		keys[1].ID = "k7"
		_, err = store.CreateAll(t.Context(), digests, keys)
		assert.ErrorIs(t, err, apikey.ErrExists, "an ID in use")
		keys[1].ID = "k601"
		_, err = store.CreateAll(t.Context(), []apikey.Digest{digests[0], digests[0]}, keys)
		assert.ErrorIs(t, err, apikey.ErrExists, "two keys with one digest")
		keys[1].ID = keys[0].ID
		_, err = store.CreateAll(t.Context(), digests, keys)
		assert.ErrorIs(t, err, apikey.ErrExists, "two keys with one ID")
		keys[1] = apikey.Key{ID: "x", Name: " "}
		_, err = store.CreateAll(t.Context(), digests, keys)
		assert.ErrorIs(t, err, apikey.ErrInvalid)
		_, err = store.CreateAll(t.Context(), digests, keys[:1])
		assert.ErrorIs(t, err, apikey.ErrInvalid)
		digests, keys = batch(600, 501)
		_, err = store.CreateAll(t.Context(), digests, keys)
		assert.ErrorIs(t, err, apikey.ErrInvalid)
		_, err = store.Lookup(t.Context(), digests[0])
		assert.ErrorIs(t, err, apikey.ErrNotFound, "a batch with an error writes nothing")
	})
}
