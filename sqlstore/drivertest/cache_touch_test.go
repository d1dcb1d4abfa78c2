//go:build long

package drivertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
	"github.com/latchkey-dev/apikey/storetest"
)

// A cache hit counts as a use of the key. The store writes it at Flush or Close and not before.
func TestCacheHitsUpdateLastUse(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		const keys, requests = 3, 300
		dsn := e.openTables(t)
		reader := e.openStore(t, dsn, sqlstore.Options{})
		n := e.openNode(t, dsn, sqlstore.Options{TouchInterval: time.Hour}, cachestore.Options{})
		var ids []string
		for i := range keys + 1 { // the last key is not used
			ids = append(ids, n.issue(t, i).ID)
		}
		// uses returns the last uses in the database and requires that the unused key has none.
		uses := func() (all []time.Time) {
			t.Helper()
			for i, id := range ids {
				key, err := reader.Get(t.Context(), id)
				require.NoError(t, err)
				if i < keys {
					all = append(all, key.LastUsedAt)
				} else {
					assert.Zero(t, key.LastUsedAt)
				}
			}
			return all
		}
		before := uses()
		for _, end := range []func() error{func() error { return n.store.Flush(t.Context()) }, n.close} {
			// Last uses have a resolution of a second.
			second := time.Now().Truncate(time.Second)
			eventually(t, 10*time.Second, "the next second begins", func() bool { return time.Now().Truncate(time.Second).After(second) })
			begin, hits := time.Now().Truncate(time.Second), n.cache.Stats().Hits
			for range requests {
				for i := range keys {
					require.Equal(t, http.StatusOK, n.status(t, importedSecret(i)))
				}
			}
			require.GreaterOrEqual(t, n.cache.Stats().Hits-hits, uint64(keys*requests/2), "hits")
			require.Equal(t, before, uses(), "last uses before the write")
			require.NoError(t, end())
			before = uses()
			for _, at := range before {
				assert.WithinRange(t, at, begin, time.Now())
			}
		}
	})
}

// A cache on a database conforms to the rules of a KeyStore.
func TestCacheConformance(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		tables := tablePool{t: t, e: e}
		storetest.RunLookup(t, func(t *testing.T, keys map[apikey.Digest]apikey.Key) apikey.KeyStore {
			n := e.openNode(t, tables.take(t).dsn, sqlstore.Options{}, cachestore.Options{})
			for d, key := range keys {
				require.NoError(t, n.store.Create(t.Context(), d, key))
			}
			return n.cache
		})
	})
}
