package forwardauth_test

import (
	"context"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/memstore"
)

const proxyAddr, clientAddr = "10.0.0.7", "203.0.113.9"

var trusted = []netip.Prefix{netip.MustParsePrefix("10.0.0.7/32")}

// A service is an auth service: Restore, a Middleware, and rules by route.
type service struct {
	handler http.Handler
	issuer  *apikey.Issuer
	failing atomic.Bool
	seen    *http.Request // the last request that reached the rules
}

// newService returns a service. change edits the options of the Middleware, unless it is nil.
func newService(t testing.TB, o forwardauth.Options, change func(*apikey.Options)) *service {
	t.Helper()
	s := &service{}
	store := memstore.New()
	options := apikey.Options{Logger: slog.New(slog.DiscardHandler)}
	if change != nil {
		change(&options)
	}
	auth, err := apikey.New(failingStore{store, &s.failing}, options)
	require.NoError(t, err)
	s.issuer, err = apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	mux := http.NewServeMux()
	allow := forwardauth.Allow()
	mux.Handle("/", allow)
	mux.Handle("/admin", apikey.Require("admin")(allow))
	mux.Handle("/admin/", apikey.Require("admin")(allow))
	mux.Handle("DELETE /library", apikey.Require("delete")(allow))
	o.Trusted, o.Logger = trusted, options.Logger
	s.handler, err = forwardauth.Restore(auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.seen = r
		mux.ServeHTTP(w, r)
	})), o)
	require.NoError(t, err)
	return s
}

func (s *service) issue(t testing.TB, k apikey.NewKey) (string, apikey.Key) {
	t.Helper()
	secret, key, err := s.issuer.Issue(t.Context(), k)
	require.NoError(t, err)
	return secret.Reveal(), key
}

type failingStore struct {
	apikey.KeyStore
	failing *atomic.Bool
}

func (s failingStore) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if s.failing.Load() {
		return nil, errors.New("the database is down")
	}
	return s.KeyStore.Lookup(ctx, d)
}

// A dialect writes subrequests as one kind of proxy does.
type dialect struct {
	name    string
	options forwardauth.Options
	ask     func(method, uri string) *http.Request
}

var dialects = []dialect{
	{"nginx", forwardauth.Options{Convention: forwardauth.OriginalURI}, func(method, uri string) *http.Request {
		return subrequest("GET", "/check", "X-Original-URI: "+uri, "X-Original-Method: "+method)
	}},
	{"Caddy and Traefik", forwardauth.Options{Convention: forwardauth.ForwardedURI}, func(method, uri string) *http.Request {
		r := subrequest("GET", "/check", "X-Forwarded-Uri: "+uri, "X-Forwarded-Method: "+method, "X-Forwarded-Host: example.com")
		r.Host = "auth.internal"
		return r
	}},
	{"Envoy over HTTP", forwardauth.Options{Convention: forwardauth.RequestLine, PathPrefix: "/check"}, func(method, uri string) *http.Request {
		r := subrequest(method, "/")
		r.RequestURI = "/check" + uri
		r.URL.Path, r.URL.RawQuery, _ = strings.Cut(r.RequestURI, "?")
		return r
	}},
}

// subrequest returns a request of the proxy on behalf of the client. Lines are such as "Name: value".
func subrequest(method, uri string, lines ...string) *http.Request {
	r := httptest.NewRequest(method, uri, strings.NewReader("a body"))
	r.RemoteAddr = proxyAddr + ":4711"
	r.Header.Set("X-Forwarded-For", clientAddr)
	return with(r, lines...)
}

// with adds lines to the header of a request.
func with(r *http.Request, lines ...string) *http.Request {
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func (s *service) answer(r *http.Request) *http.Response {
	s.seen = nil
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Result()
}

// status returns the status that the rules chose, even if nginx gets another status.
func status(res *http.Response) string {
	if chosen := res.Header.Get("X-Apikey-Status"); chosen != "" {
		return chosen
	}
	return res.Status[:3]
}

func body(t testing.TB, res *http.Response) string {
	t.Helper()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return string(text)
}

// inEachDialect runs a test for each kind of proxy.
func inEachDialect(t *testing.T, test func(t *testing.T, d dialect, s *service)) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			test(t, d, newService(t, d.options, nil))
		})
	}
}
