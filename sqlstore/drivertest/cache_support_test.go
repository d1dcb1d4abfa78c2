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

var cacheSeed = flag.Uint64("cache-seed", 0, "of the random histories of caches; 0 is another one each time")

// quick makes a cache whose promises take no long time to test.
var quick = cachestore.Options{
	Poll: 100 * time.Millisecond, QueryTimeout: 200 * time.Millisecond, Lease: 500 * time.Millisecond, Logger: silent}

// foreign is a format in which tests choose their keys themselves, so that they can be looked
// up before they exist.
var foreign = must(apikey.NewFormat("ak", apikey.FormatOptions{AllowForeign: true}))

func foreignSecret(n int) apikey.Secret {
	return apikey.NewSecret(fmt.Sprintf("a-key-of-the-test-%06d", n))
}

// A cacheNode is what one process of a fleet has.
type cacheNode struct {
	name   string
	db     *sql.DB
	store  *sqlstore.Store
	cache  *cachestore.Store
	auth   *apikey.Middleware
	issuer *apikey.Issuer
}

// openNode opens a node on a database that has its tables. What it starts carries its name.
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

// open makes all that is behind the pool.
func (n *cacheNode) open(t testing.TB, e engine, so sqlstore.Options, co cachestore.Options) {
	t.Helper()
	so.Logger, co.Logger = silent, silent
	n.labelled(func() {
		var err error
		n.store, err = sqlstore.New(n.db, e.dialect, so)
		require.NoError(t, err)
		n.cache, err = cachestore.New(n.store, n.store, co)
		require.NoError(t, err)
		n.auth, err = apikey.New(n.cache, apikey.Options{Format: foreign, Logger: silent})
		require.NoError(t, err)
		n.issuer, err = apikey.NewIssuer(n.store, foreign)
		require.NoError(t, err)
	})
	t.Cleanup(func() { n.close() })
}

// labelled runs f so that every goroutine that comes of it can be told from others.
func (n *cacheNode) labelled(f func()) {
	pprof.Do(context.Background(), pprof.Labels("node", n.name), func(context.Context) { f() })
}

// leftovers returns the stacks of the goroutines that the node has started.
func (n *cacheNode) leftovers() (left []string) {
	var all bytes.Buffer
	pprof.Lookup("goroutine").WriteTo(&all, 1)
	for stack := range strings.SplitSeq(all.String(), "\n\n") {
		if strings.Contains(stack, n.name) && !strings.Contains(stack, "pgconn.(*PgConn).asyncClose") {
			left = append(left, stack)
		}
	}
	return left
}

// close ends the node as a service would.
func (n *cacheNode) close() error {
	n.cache.Close()
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	err := n.store.Close(ctx)
	n.db.Close()
	return err
}

// requireNothingLeft holds after close: neither goroutines nor connections. It does not count
// the goroutines in which pgx takes leave, for 15 s at most, of connections that were broken off.
func (n *cacheNode) requireNothingLeft(t testing.TB) {
	t.Helper()
	eventually(t, 10*time.Second, "no connection is left", func() bool { return n.db.Stats().OpenConnections == 0 })
	var left []string
	for deadline := time.Now().Add(10 * time.Second); time.Now().Before(deadline); <-time.After(5 * time.Millisecond) {
		if left = n.leftovers(); len(left) == 0 {
			return
		}
	}
	t.Fatalf("goroutines are left:\n%s", strings.Join(left, "\n\n"))
}

// verify asks the node's middleware, without HTTP.
func (n *cacheNode) verify(secret apikey.Secret) (*apikey.Key, error) {
	return n.auth.Verify(context.Background(), secret)
}

// status is what a request with that key gets over HTTP.
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

// issue makes a key whose secret is foreignSecret(i).
func (n *cacheNode) issue(t testing.TB, i int) apikey.Key {
	t.Helper()
	key, err := n.issuer.Import(t.Context(), foreignSecret(i), apikey.Key{Name: fmt.Sprintf("System %d", i)})
	require.NoError(t, err)
	return key
}

// awaitLease waits for the node's first poll.
func (n *cacheNode) awaitLease(t testing.TB) {
	t.Helper()
	eventually(t, 30*time.Second, "a poll is answered", func() bool { return n.cache.Stats().LeaseRemaining > 0 })
}

// atOnce runs a test that mostly waits against every engine at the same time.
func atOnce(t *testing.T, test func(t *testing.T, e engine)) {
	var all sync.WaitGroup
	for _, e := range engines {
		all.Go(func() {
			t.Run(e.name, func(t *testing.T) {
				e.mustBeThere(t)
				test(t, e)
			})
		})
	}
	all.Wait()
}

// atOnceOverNetwork leaves out the engine that is a file.
func atOnceOverNetwork(t *testing.T, test func(t *testing.T, e engine)) {
	atOnce(t, func(t *testing.T, e engine) {
		if e.name != "SQLite" {
			test(t, e)
		}
	})
}

// A dice is a source of randomness for many goroutines, from a seed that is logged.
type dice struct {
	mu     sync.Mutex
	random *rand.Rand
}

func newDice(t testing.TB) *dice {
	seed := *cacheSeed
	if seed == 0 {
		seed = rand.Uint64()
	}
	t.Logf("-cache-seed=%d", seed)
	return &dice{random: rand.New(rand.NewPCG(seed, 0))}
}

func (d *dice) intn(n int) int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.IntN(n)
}

func (d *dice) delay(most time.Duration) time.Duration { return time.Duration(d.intn(int(most))) }

func (d *dice) perm(n int) []int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.random.Perm(n)
}
