//go:build long

package drivertest

import (
	"database/sql"
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A firewall drops the connections silently: both sides regard them as open, but packets are lost.
// The node recovers as soon as new connections work.
func TestSilentlyLostConnections(t *testing.T) { // not parallel; see quick
	inParallelOnServers(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		network, lossy := throughNetwork(t, e, e.withConnectTimeout(t, dsn), 0, 0)
		other := e.openNode(t, dsn, sqlstore.Options{}, quick)
		node := e.openNode(t, lossy, sqlstore.Options{}, quick)
		node.awaitLease(t)
		const keys = 50
		for i := range keys {
			other.issue(t, i)
		}
		written := other.issue(t, keys).ID
		stop := make(chan struct{})
		var load sync.WaitGroup
		next := make(chan int)
		load.Go(func() {
			defer close(next)
			for i := 0; ; i++ {
				select {
				case next <- i % keys:
				case <-stop:
					return
				}
			}
		})
		node.labelled(func() {
			for range 20 { // more than there are connections
				load.Go(func() {
					for i := range next {
						node.status(t, importedSecret(i))
						<-time.After(time.Millisecond)
					}
				})
			}
		})
		for range 2 {
			network.lose()
			lost := time.Now()
			eventually(t, 5*time.Second, "the node detects the loss", func() bool { return node.status(t, importedSecret(0)) == http.StatusServiceUnavailable })
			<-time.After(time.Until(lost.Add(2 * quick.Lease)))
			network.restore()
			eventually(t, 2*time.Second, "the node recovers", func() bool {
				return node.status(t, importedSecret(0)) == http.StatusOK &&
					errorOf(node.store.Update(t.Context(), written, apikey.Patch{})) == nil
			})
		}
		close(stop)
		load.Wait()
		require.NoError(t, node.close())
		node.requireNoLeak(t)
	})
}

// All idle connections are lost silently, but new connections work. Each operation waits for one
// lost connection only, because the store then evicts the others.
func TestSilentlyLostIdleConnections(t *testing.T) {
	t.Parallel()
	inParallelOnServers(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		network, lossy := throughNetwork(t, e, dsn, 0, 0)
		addKeys(t, e.openStore(t, dsn, sqlstore.Options{}), 0, 3)
		db := e.openDB(t, lossy)
		store := e.newStore(t, db, sqlstore.Options{ReadTimeout: patience * 5 * time.Second, WriteTimeout: patience * 5 * time.Second})
		lose := func() {
			t.Helper()
			const all = 8
			var conns [all]*sql.Conn
			for i := range conns {
				conn, err := db.Conn(t.Context())
				require.NoError(t, err)
				conns[i] = conn
			}
			for _, conn := range conns {
				require.NoError(t, conn.Close())
			}
			require.Equal(t, all, db.Stats().Idle)
			network.lose()
			network.restore()
		}
		for i := range 2 {
			lose()
			require.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(i).ID)), "a write")
		}
		store.Touch(digestOf(0), apikey.Use{At: time.Now()})
		lose()
		require.NoError(t, store.Flush(t.Context()), "last uses")
		lose()
		require.NoError(t, errorOf(store.Changes(t.Context(), apikey.Version{})), "a poll")
		lose()
		require.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(2))), "a lookup")
	})
}

// All connections are lost silently under more lookups than the store reads at the same time. No
// lookup fails, because an attempt on a new connection takes the place of each lost one.
func TestSilentlyLostConnectionsUnderLoad(t *testing.T) {
	t.Parallel()
	inParallelOnServers(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		network, lossy := throughNetwork(t, e, dsn, 0, 0)
		addKeys(t, e.openStore(t, dsn, sqlstore.Options{}), 0, 1)
		store := e.newStore(t, e.openDB(t, lossy), sqlstore.Options{ReadTimeout: patience * 5 * time.Second})
		lookups := func() {
			var all sync.WaitGroup
			for range 50 {
				all.Go(func() { assert.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(0)))) })
			}
			all.Wait()
		}
		lookups() // which opens the connections, and tells how long an answer takes
		network.lose()
		network.restore()
		lookups()
	})
}
