package apikey_test

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A countingStore counts its lookups.
type countingStore struct {
	*memstore.Store
	lookups atomic.Int64
}

func (s *countingStore) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	s.lookups.Add(1)
	return s.Store.Lookup(ctx, d)
}

// A service is a handler behind a Middleware, with keys in every state.
type service struct {
	store   *countingStore
	issuer  *apikey.Issuer
	auth    *apikey.Middleware
	handler http.Handler // answers 200 and the ID of the caller
	served  atomic.Int64

	valid   string
	key     apikey.Key // the Key of valid
	other   string     // another valid key
	revoked string
	expired string
	unknown string // a well-formed key of another store
}

func newService(t testing.TB, o apikey.Options) *service {
	t.Helper()
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	s := &service{store: &countingStore{Store: memstore.New()}}
	var err error
	s.auth, err = apikey.New(s.store, o)
	require.NoError(t, err)
	s.issuer, err = apikey.NewIssuer(s.store, apikey.IssuerOptions{Format: o.Format})
	require.NoError(t, err)
	s.handler = s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		key, _ := apikey.FromContext(r.Context())
		io.WriteString(w, key.ID)
	}))
	ctx := t.Context()
	s.valid, s.key = s.issue(t, apikey.NewKey{Name: "Backup job", Scopes: []string{"library:read"}})
	s.other, _ = s.issue(t, apikey.NewKey{Name: "Home automation"})
	var key apikey.Key
	s.revoked, key = s.issue(t, apikey.NewKey{Name: "Lost phone"})
	_, err = s.store.Revoke(ctx, key.ID)
	require.NoError(t, err)
	s.expired, key = s.issue(t, apikey.NewKey{Name: "Trial"})
	past := time.Now().Add(-time.Hour)
	_, err = s.store.Update(ctx, key.ID, apikey.Patch{ExpiresAt: &past})
	require.NoError(t, err)
	another, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{Format: o.Format})
	require.NoError(t, err)
	secret, _, err := another.Issue(ctx, apikey.NewKey{Name: "Another service"})
	require.NoError(t, err)
	s.unknown = secret.Reveal()
	return s
}

// issue makes a key and returns its secret.
func (s *service) issue(t testing.TB, k apikey.NewKey) (string, apikey.Key) {
	t.Helper()
	secret, key, err := s.issuer.Issue(t.Context(), k)
	require.NoError(t, err)
	return secret.Reveal(), key
}

// fill replaces the names of the service's keys in a template, such as {valid}, by the keys.
func (s *service) fill(template string) string {
	return strings.NewReplacer("{valid}", s.valid, "{other}", s.other, "{revoked}", s.revoked, "{expired}", s.expired, "{unknown}", s.unknown).Replace(template)
}

// get serves a GET request with these header lines ("Name: value") by h, in memory.
func get(h http.Handler, target string, lines ...string) *httptest.ResponseRecorder {
	return serve(h, newRequest(target, lines...))
}

func newRequest(target string, lines ...string) *http.Request {
	r := httptest.NewRequest(http.MethodGet, target, nil)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	return r
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

// mustNotServe returns a handler that fails the test.
func mustNotServe(t *testing.T) http.Handler {
	return http.HandlerFunc(func(http.ResponseWriter, *http.Request) { t.Error("the handler was called") })
}

// logURL is an access logger.
func logURL(w io.Writer, next http.Handler) http.Handler {
	return http.HandlerFunc(func(rw http.ResponseWriter, r *http.Request) {
		defer func() { fmt.Fprintf(w, "access log: %s %v %v\n", r.RequestURI, r.URL, r.Form) }()
		next.ServeHTTP(rw, r)
	})
}

// A storeFunc is a KeyStore whose Lookup is the function.
type storeFunc func(context.Context, apikey.Digest) (*apikey.Key, error)

func (f storeFunc) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return f(ctx, d)
}

// dumpOf returns the text of an assertion library for a value that differs from another of its type.
// The library reads the value by reflection.
func dumpOf(v, other any) string {
	var d dumper
	assert.Equal(&d, other, v)
	return d.String()
}

// A dumper is a TestingT that collects failure messages.
type dumper struct{ strings.Builder }

func (d *dumper) Errorf(format string, args ...any) { fmt.Fprintf(d, format, args...) }
