package proxies

import (
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"sync/atomic"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A service has routes whose responses a shared cache could store.
type service struct {
	server      *httptest.Server
	good, wrong string       // a valid and an unknown key
	served      atomic.Int64 // requests to /public
	issuer      *apikey.Issuer
	addr        string
}

func newService(t *testing.T) *service {
	t.Helper()
	s := &service{}
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	s.issuer, err = apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	s.good = issue(t, s.issuer)
	otherIssuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	require.NoError(t, err)
	s.wrong = issue(t, otherIssuer)

	// storable sets the fields that allow a cache to store a response. The middleware sets
	// Cache-Control.
	storable := func(w http.ResponseWriter) {
		w.Header().Set("Last-Modified", "Mon, 02 Jan 2006 15:04:05 GMT")
		w.Header().Set("Etag", `"1"`)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/public", func(w http.ResponseWriter, _ *http.Request) {
		s.served.Add(1)
		storable(w)
		w.Header().Set("Cache-Control", "public, max-age=60")
	})
	mux.Handle("/library", auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		storable(w)
		io.Copy(w, r.Body)
		key, _ := apikey.FromContext(r.Context())
		fmt.Fprintf(w, "the library of %s", key.Name)
	})))
	mux.Handle("/optional", auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		storable(w)
		key, _ := apikey.FromContext(r.Context())
		fmt.Fprintf(w, "hello %s", key.Name)
	})))
	mux.Handle("/files/", auth.Handler(apikey.KeepPrivate(http.FileServerFS(fstest.MapFS{}))))
	mux.Handle("/proxied/", auth.Handler(apikey.KeepPrivate(newReverseProxy(t))))
	s.server = httptest.NewServer(mux)
	t.Cleanup(s.server.Close)
	s.addr = s.server.Listener.Addr().String()
	return s
}

func issue(t *testing.T, issuer *apikey.Issuer) string {
	t.Helper()
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	return secret.Reveal()
}

// newReverseProxy returns a reverse proxy. Its upstream does not know keys and sends 103 Early Hints.
func newReverseProxy(t *testing.T) http.Handler {
	t.Helper()
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		// The upstream reads the body before it sends a 103. Otherwise a proxy written in Go may
		// write the 103 into its own 100 Continue (go.dev/issue/80949).
		body, err := io.ReadAll(r.Body)
		assert.NoError(t, err)
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.Header().Set("X-Accel-Expires", "60")
		w.Header().Set("Cache-Control", "public, max-age=60")
		fmt.Fprintf(w, "%san upstream's answer", body)
	}))
	t.Cleanup(upstream.Close)
	target, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	return &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
}
