// Package peers compares other packages with apikey. It is a separate module, so that no other module depends on their
// routers. See ../README.md.
package peers

import (
	"net/http"
	"net/http/httptest"
	"slices"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/bench/interleave"
	"github.com/latchkey-dev/apikey/bench/population"
)

// A peer is a middleware in front of a router or handler. All peers know a thousand keys, and all requests use the same
// key. The validators read a Go map without a lock, which is cheaper than a store whose keys can be revoked.
type peer struct {
	name         string
	with, bare   *interleave.Exchange // bare is the same router or handler without the middleware
	right, wrong func() int           // send a request with the right or a wrong key, and return its status
}

type ( // the identity of a caller, and identities by key
	account  struct{ name string }
	accounts map[string]*account
)

type accountKey struct{}

// peers returns all peers. The first one is apikey.
func peers(tb testing.TB) []peer {
	format, err := apikey.NewFormat("key", apikey.FormatOptions{})
	require.NoError(tb, err)
	p, wrong := population.New(tb, format, 1_000), population.Unknown(tb, format)
	auth, err := apikey.New(p.Store, apikey.Options{Format: format})
	require.NoError(tb, err)
	known := make(accounts)
	for _, key := range p.Keys {
		known[key] = &account{name: "Backup job"}
	}
	right := p.Keys[0]
	inHeader := func(name string, with, bare http.Handler) peer {
		return httpPeer(name, with, bare, right, wrong, func(key string) *http.Request {
			return interleave.Request("/library", "X-API-Key: "+key)
		})
	}
	return slices.Concat(
		[]peer{inHeader("apikey", auth.Handler(interleave.Handler), interleave.Handler)},
		[]peer{inHeader("handler written by hand", newHandwritten(known), interleave.Handler)},
		[]peer{inHeader("go-guardian v2 token, cached", newGuardian(known), interleave.Handler)},
		[]peer{jwtPeer(tb), sessionPeer(tb)},
		echo4Peers(known, inHeader), echo5Peers(known, inHeader), fiberPeers(known, right, wrong),
	)
}

// httpPeer returns a peer for net/http.
func httpPeer(name string, with, bare http.Handler, right, wrong string, request func(key string) *http.Request) peer {
	status := func(key string) func() int {
		return func() int {
			w := httptest.NewRecorder()
			with.ServeHTTP(w, request(key))
			return w.Code
		}
	}
	return peer{name, interleave.New(with, request(right)), interleave.New(bare, request(right)), status(right), status(wrong)}
}

// mustDistinguish checks that the peer admits the right key and refuses a wrong one, so that no case measures a 401
// as a 200.
func (p peer) mustDistinguish(tb testing.TB) {
	tb.Helper()
	require.Equal(tb, http.StatusOK, p.right(), "with the right key")
	require.Equal(tb, http.StatusUnauthorized, p.wrong(), "with a wrong key")
}

// BenchmarkPeer reports the overhead of each peer over its own bare router or handler, as a multiple of apikey's
// overhead.
func BenchmarkPeer(b *testing.B) {
	all := peers(b)
	reference := all[0] // apikey
	for _, p := range all {
		b.Run(p.name, func(b *testing.B) {
			p.mustDistinguish(b)
			result := interleave.Measure(b, p.with, p.bare, reference.with, reference.bare)
			b.ReportMetric(result.Median(func(t []float64) float64 { return t[1] }), "bare-ns")
			b.ReportMetric(result.Median(func(t []float64) float64 { return (t[0] - t[1]) / (t[2] - t[3]) }), "x/apikey")
		})
	}
}

func TestPeers(t *testing.T) {
	for _, p := range peers(t) {
		t.Run(p.name, func(t *testing.T) { p.mustDistinguish(t) })
	}
}
