//go:build long

package drivertest

import (
	"bytes"
	"context"
	"database/sql"
	"flag"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"runtime/pprof"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

var cacheSeed = flag.Uint64("cache-seed", 0, "seed of the random histories of caches; 0 means a random seed")

// quick has short timeouts, so that tests of the lease are short. These tests are not parallel,
// because on a busy machine the database would not answer within the timeouts.
var quick = cachestore.Options{
	Poll: patience * 100 * time.Millisecond, QueryTimeout: patience * 200 * time.Millisecond, Lease: patience * 500 * time.Millisecond, Logger: silent}

// A cacheNode is one process of a cluster.
type cacheNode struct {
	name   string
	db     *sql.DB
	store  *sqlstore.Store
	cache  *cachestore.Store
	auth   *apikey.Middleware
	issuer *apikey.Issuer
}

// openNode opens a node on a database with tables. The goroutines that it starts are labelled with
// its name.
func (e engine) openNode(t testing.TB, dsn string, so sqlstore.Options, co cachestore.Options) (n *cacheNode) {
	t.Helper()
	n = &cacheNode{name: fmt.Sprintf("node-%x", rand.Uint64())}
	n.labelled(func() {
		var err error
		n.db, err = e.open(dsn)
		require.NoError(t, err)
	})
	n.open(t, e, so, co)
	return n
}

// open creates the store, the cache, the middleware and the issuer of a node.
func (n *cacheNode) open(t testing.TB, e engine, so sqlstore.Options, co cachestore.Options) {
	t.Helper()
	so.Logger, co.Logger = silent, silent
	n.labelled(func() {
		var err error
		n.store, err = sqlstore.New(n.db, e.dialect, so)
		require.NoError(t, err)
		n.cache, err = cachestore.New(n.store, co)
		require.NoError(t, err)
		n.auth, err = apikey.New(n.cache, apikey.Options{Format: imported, Logger: silent})
		require.NoError(t, err)
		n.issuer, err = apikey.NewIssuer(n.store, apikey.IssuerOptions{Format: imported})
		require.NoError(t, err)
	})
	t.Cleanup(func() { n.close() })
}

// labelled runs f with the node's name as a label of every goroutine that f starts.
func (n *cacheNode) labelled(f func()) {
	pprof.Do(context.Background(), pprof.Labels("node", n.name), func(context.Context) { f() })
}

// goroutines returns the stacks of the node's goroutines. It ignores those in which pgx closes
// broken connections, for at most 15 s.
func (n *cacheNode) goroutines() (left []string) {
	var all bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&all, 1)
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, n.name) && !strings.Contains(stack, "pgconn.(*PgConn).asyncClose") {
			left = append(left, stack)
		}
	}
	return left
}

// close shuts the node down as a service would.
func (n *cacheNode) close() error {
	n.cache.Close()
	ctx, cancel := context.WithTimeout(context.Background(), patience*time.Second)
	defer cancel()
	err := n.store.Close(ctx)
	n.db.Close()
	return err
}

// requireNoLeak requires that a closed node has no goroutines and no connections.
func (n *cacheNode) requireNoLeak(t testing.TB) {
	t.Helper()
	eventually(t, 10*time.Second, "no connection is left", func() bool { return n.db.Stats().OpenConnections == 0 })
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		if left = n.goroutines(); len(left) == 0 {
			return
		}
	}
	t.Fatalf("leaked goroutines:\n%s", strings.Join(left, "\n\n"))
}

// verify checks a key with the node's middleware, without HTTP.
func (n *cacheNode) verify(secret apikey.Secret) (*apikey.Key, error) {
	return n.auth.Verify(context.Background(), secret)
}

// status returns the HTTP status of a request with this key.
func (n *cacheNode) status(t testing.TB, secret apikey.Secret) int {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", secret.Reveal())
	w := httptest.NewRecorder()
	n.auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	if (w.Code == http.StatusServiceUnavailable) != (w.Header().Get("Retry-After") != "") {
		t.Errorf("status %d with Retry-After %q", w.Code, w.Header().Get("Retry-After"))
	}
	return w.Code
}

// issue creates a key with the secret importedSecret(i).
func (n *cacheNode) issue(t testing.TB, i int) apikey.Key {
	t.Helper()
	key, err := n.issuer.Import(t.Context(), apikey.ImportedKey{Secret: importedSecret(i), Name: fmt.Sprintf("System %d", i)})
	require.NoError(t, err)
	return key
}

// awaitLease waits for the node's first successful poll.
func (n *cacheNode) awaitLease(t testing.TB) {
	t.Helper()
	eventually(t, 30*time.Second, "the first poll succeeds", func() bool { return n.cache.Stats().LeaseRemaining > 0 })
}

// A lockedRand is a source of random numbers that is safe for concurrent use.
type lockedRand struct {
	mu     sync.Mutex
	random *rand.Rand
}

// newLockedRand returns a source with the seed of the flag -cache-seed, and logs the seed.

func newLockedRand(t testing.TB) *lockedRand {
	seed := *cacheSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-cache-seed=%d", seed)
	return &lockedRand{random: rand.New(rand.NewPCG(seed, 0))}
}

func (r *lockedRand) intn(n int) int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.IntN(n)
}

func (r *lockedRand) delay(longest time.Duration) time.Duration {
	return time.Duration(r.intn(int(longest)))
}

func (r *lockedRand) perm(n int) []int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.random.Perm(n)
}

// inParallel runs a test that mostly waits against all engines at the same time. Unlike parallel
// subtests, these do not count against the -parallel flag.
func inParallel(t *testing.T, test func(t *testing.T, e engine)) {
	var all sync.WaitGroup
	for _, e := range engines {
		all.Go(func() {
			t.Run(e.name, func(t *testing.T) {
				e.requireServer(t)
				test(t, e)
			})
		})
	}
	all.Wait()
}

// inParallelOnServers is inParallel without SQLite.
func inParallelOnServers(t *testing.T, test func(t *testing.T, e engine)) {
	inParallel(t, func(t *testing.T, e engine) {
		if e.name != "SQLite" {
			test(t, e)
		}
	})
}
