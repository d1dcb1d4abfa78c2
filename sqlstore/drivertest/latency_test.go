//go:build long

package drivertest

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// With default options, a process that has just started works over a network with a round trip of
// up to a second.
func TestHighLatency(t *testing.T) {
	t.Parallel()
	var all sync.WaitGroup
	for _, rtt := range []time.Duration{350 * time.Millisecond, time.Second} {
		all.Go(func() {
			t.Run(rtt.String(), func(t *testing.T) {
				inParallelOnServers(t, func(t *testing.T, e engine) {
					dsn := e.openTables(t)
					network, slow := throughNetwork(t, e, dsn, rtt, 0)
					network.connect = rtt // the TCP handshake
					other := e.openNode(t, dsn, sqlstore.Options{}, cachestore.Options{})
					const keys = 4
					var issued []apikey.Key
					for i := range keys {
						issued = append(issued, other.issue(t, i))
					}
					node := e.openNode(t, slow, sqlstore.Options{}, cachestore.Options{})
					eventually(t, 10*time.Second, "the first key is accepted", func() bool { return node.status(t, importedSecret(0)) == http.StatusOK })
					eventually(t, 20*time.Second, "the first poll succeeds", func() bool { return node.cache.Stats().LeaseRemaining > 0 })
					for i := 1; i < keys; i++ {
						require.Equal(t, http.StatusOK, node.status(t, importedSecret(i)), "the first request with another key")
					}
					for begin := time.Now(); time.Since(begin) < 5*time.Second; <-time.After(20 * time.Millisecond) {
						require.Equal(t, http.StatusOK, node.status(t, importedSecret(0)), "a cached key")
					}
					issued[0] = must(other.store.Revoke(t.Context(), issued[0].ID))
					revoked := time.Now()
					eventually(t, 3*time.Second, "the key is refused", func() bool { return node.status(t, importedSecret(0)) == http.StatusUnauthorized })
					assert.Less(t, time.Since(revoked), patience*3*time.Second, "the lease")
					require.NoError(t, errorOf(node.store.Revoke(t.Context(), issued[1].ID)), "a write")
					require.Equal(t, http.StatusUnauthorized, node.status(t, importedSecret(1)))
					require.NoError(t, node.store.Migrate(t.Context()))
				})
			})
		})
	}
	all.Wait()
}

// On a slower network the error names the option that set the timeout.
func TestTimeoutErrorsNameTheOption(t *testing.T) {
	t.Parallel()
	inParallelOnServers(t, func(t *testing.T, e engine) {
		_, slow := throughNetwork(t, e, e.openTables(t), 10*time.Second, 0)
		store := e.newStore(t, e.openDB(t, slow), sqlstore.Options{ReadTimeout: time.Second, WriteTimeout: time.Second})
		require.ErrorContains(t, errorOf(store.Lookup(t.Context(), digestOf(0))), "which is Options.ReadTimeout")
		require.ErrorContains(t, errorOf(store.Changes(t.Context(), apikey.Version{})), "Options.ReadTimeout")
		require.ErrorContains(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)), "Options.WriteTimeout")
	})
}
