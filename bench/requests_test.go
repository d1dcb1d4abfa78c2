package bench

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"runtime"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/bench/interleave"
	"github.com/latchkey-dev/apikey/bench/population"
	"github.com/latchkey-dev/apikey/internal/testdb"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/memstore"
)

// A requestCase is one way to use the package. By default it uses a memstore and a key in X-API-Key. Expiry, last use
// and Cache-Control are always on.
type requestCase struct {
	name    string
	goal    goal
	format  *apikey.Format // nil: plain
	options apikey.Options
	store   func(tb testing.TB, keys []string) apikey.KeyStore  // nil: the memstore
	chain   func(*apikey.Middleware, http.Handler) http.Handler // nil: Middleware.Handler
	request func(key string) *http.Request                      // nil: inHeader
}

// Formats of keys without and with a pepper. A key is "key_", 30 random characters and 6 check characters.
var (
	plain    = must(apikey.NewFormat("key", apikey.FormatOptions{}))
	peppered = must(apikey.NewFormat("key", apikey.FormatOptions{Peppers: []apikey.Secret{apikey.NewSecret(strings.Repeat("pepper! ", 4))}}))
)

func must[T any](v T, err error) T {
	if err != nil {
		panic(err)
	}
	return v
}

// A goal is the maximum cost of a case. The zero goal sets no maximum.
type goal struct {
	ratio  float64 // multiples of the baseline
	allocs float64
}

var requestCases = []requestCase{
	{name: "everything on", goal: goal{1.4, 2}},
	{name: "without Bearer", goal: goal{1.4, 2}, options: apikey.Options{Sources: []apikey.Source{
		apikey.Header("X-API-Key"), apikey.Header("X-Emby-Token"), apikey.Query("api_key"),
	}}},
	{name: "Observe", options: apikey.Options{Observe: func(context.Context, apikey.Event) { observed++ }}},
	{name: "a key with two networks", goal: goal{1.5, 2}, store: keysWith(apikey.Key{Networks: twoNetworks})},
	{name: "a key with one limit", goal: goal{1.9, 2}, store: keysWith(apikey.Key{Limits: oneLimit}), chain: limited},
	{name: "one pepper", goal: goal{1.7, 2}, format: peppered},
	{name: "key in the query", goal: goal{2.4, 2}, request: inQuery},
	{name: "nested Handlers", chain: nested},
	{name: "Conceal", chain: concealed},
	{name: "Conceal, key in the query", chain: concealed, request: inQuery},
}

// cachedCases returns a case for each engine, with a cachestore in front of it. Every request hits the cache.
func cachedCases() (cases []requestCase) {
	for _, e := range testdb.Engines {
		cases = append(cases, requestCase{name: "cached sqlstore, " + e.Name, goal: goal{1.6, 2},
			store: func(tb testing.TB, keys []string) apikey.KeyStore { return openFilled(tb, e, datasetOf(keys)).cache }})
	}
	return cases
}

// twoNetworks are two networks. Only the second one contains the client.
var twoNetworks = []netip.Prefix{netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("127.0.0.0/8")}

// oneLimit is a limit that no benchmark reaches.
var oneLimit = []apikey.Limit{{Name: "minute", Requests: 1_000_000_000, Per: time.Minute}}

// keysWith returns a function that makes a memstore whose keys have the networks and limits of rules.
func keysWith(rules apikey.Key) func(tb testing.TB, keys []string) apikey.KeyStore {
	return func(tb testing.TB, keys []string) apikey.KeyStore {
		store := memstore.New()
		for i, key := range keys {
			rules.ID, rules.Name = fmt.Sprint(i), fmt.Sprintf("Backup job %d", i)
			rules.Scopes, rules.ExpiresAt = []string{"library:read"}, time.Now().Add(24*time.Hour)
			require.NoError(tb, store.Create(tb.Context(), must(plain.Digest(apikey.NewSecret(key))), rules))
		}
		return store
	}
}

func limited(m *apikey.Middleware, next http.Handler) http.Handler {
	return m.Handler(must(limit.New(limit.Memory(), limit.Options{})).Handler(next))
}

// observed counts events, which is the least work that an Observe function does.
var observed uint64

func inHeader(key string) *http.Request { return interleave.Request("/library", "X-API-Key: "+key) }

func inQuery(key string) *http.Request {
	return interleave.Request("/library?limit=50&api_key=" + key + "&sort=name")
}

func nested(m *apikey.Middleware, next http.Handler) http.Handler { return m.Handler(m.Handler(next)) }

func concealed(m *apikey.Middleware, next http.Handler) http.Handler {
	return m.Conceal(m.Handler(next))
}

// A prepared is a requestCase with its keys and handler.
type prepared struct {
	requestCase
	*population.Population
	middleware *apikey.Middleware
	handler    http.Handler
}

func (c requestCase) prepare(tb testing.TB, keys int) prepared {
	if c.format == nil {
		c.format = plain
	}
	if c.request == nil {
		c.request = inHeader
	}
	if c.chain == nil {
		c.chain = (*apikey.Middleware).Handler
	}
	p := prepared{requestCase: c, Population: population.New(tb, c.format, keys)}
	var store apikey.KeyStore = p.Store
	if c.store != nil {
		store = c.store(tb, p.Keys)
	}
	c.options.Format = c.format
	p.middleware = must(apikey.New(store, c.options))
	p.handler = c.chain(p.middleware, interleave.Handler)
	return p
}

// mustAdmit checks that the handler admits a valid key and refuses an unknown one, so that no case measures a 401 as
// a 200.
func (p prepared) mustAdmit(tb testing.TB) {
	tb.Helper()
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, p.request(p.Keys[0]))
	require.Equal(tb, http.StatusOK, w.Code)
	require.Equal(tb, "private", w.Header().Get("Cache-Control"))
	key, ok := apikey.FromContext(interleave.Last.Context())
	require.True(tb, ok, "no identity in the context")
	require.False(tb, key.ExpiresAt.IsZero(), "the key has no expiry")
	require.NotContains(tb, interleave.Last.RequestURI, p.Keys[0])

	w = httptest.NewRecorder()
	p.handler.ServeHTTP(w, p.request(population.Unknown(tb, p.format)))
	require.Equal(tb, http.StatusUnauthorized, w.Code, "an unknown key")
}

// BenchmarkRequest measures admitted requests.
func BenchmarkRequest(b *testing.B) {
	for _, c := range slices.Concat(requestCases, cachedCases()) {
		b.Run(c.name, func(b *testing.B) {
			p := c.prepare(b, 1_000)
			p.mustAdmit(b)
			compare(b, c.goal, interleave.New(p.handler, p.request(p.Keys[0])), newBaseline(p.Population, p.Keys[:1]))
		})
	}
}

// BenchmarkKeys measures admitted requests with increasing numbers of keys in the memstore and the baseline. "hot" uses
// the same key in each request. "random" uses all keys in turn, so that each lookup misses the processor's caches.
func BenchmarkKeys(b *testing.B) {
	for _, n := range sizes(1_000, 100_000) {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			before := heap()
			p := requestCase{}.prepare(b, n)
			perKey := (heap()-before)/float64(n) - float64(len(p.Keys[0])+16) // minus the secret, which a store does not have
			p.mustAdmit(b)
			b.Run("hot", func(b *testing.B) {
				compare(b, goal{1.4, 2}, interleave.New(p.handler, p.request(p.Keys[0])), newBaseline(p.Population, p.Keys[:1]))
			})
			b.Run("random", func(b *testing.B) {
				next := rotate(p.Keys)
				h := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					r.Header["X-Api-Key"][0] = next()
					p.handler.ServeHTTP(w, r)
				})
				compare(b, goal{}, interleave.New(h, p.request(p.Keys[0])), newBaseline(p.Population, p.Keys))
			})
			b.Run("memory", func(b *testing.B) { report(b, perKey, "B/key") })
		})
	}
}

// heap returns the number of bytes in use on the heap.
func heap() float64 {
	runtime.GC()
	runtime.GC() // completes the sweep of the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return float64(m.HeapAlloc)
}

// report reports a value that the caller has measured.
func report(b *testing.B, value float64, unit string) {
	for b.Loop() {
	}
	b.ReportMetric(0, "ns/op") // omits ns/op
	b.ReportMetric(value, unit)
}

// compare measures e in turns with the baseline and reports the ratio.
func compare(b *testing.B, g goal, e, base *interleave.Exchange) {
	result := interleave.Measure(b, e, base)
	ratio := result.Median(func(turn []float64) float64 { return turn[0] / turn[1] })
	b.ReportMetric(ratio, "x/baseline")
	if g == (goal{}) {
		return
	}
	b.ReportMetric(g.ratio, "goal")
	if ratio > g.ratio || result.Allocs > g.allocs {
		b.Logf("goal missed: %.2f × baseline with %v allocations, want at most %v with %v", ratio, result.Allocs, g.ratio, g.allocs)
	}
}

func TestRequestCases(t *testing.T) {
	for _, c := range slices.Concat(requestCases, cachedCases()) {
		t.Run(c.name, func(t *testing.T) { c.prepare(t, 1_000).mustAdmit(t) })
	}
}
