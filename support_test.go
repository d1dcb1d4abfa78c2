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

// A countingStore counts what it is asked, so that a test can tell that it was not.
type countingStore struct {
	*memstore.Store
	lookups atomic.Int64
}

func (s *countingStore) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	s.lookups.Add(1)
	return s.Store.Lookup(ctx, d)
}

// A service is a handler behind a Middleware, with keys of every kind.
type service struct {
	store   *countingStore
	issuer  *apikey.Issuer
	auth    *apikey.Middleware
	handler http.Handler // answers 200 and the ID of the caller
	served  atomic.Int64

	key     apikey.Key // the identity of good
	good    string
	other   string // valid too
	revoked string
	expired string
	unknown string // well-formed, of another store
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
	s.issuer, err = apikey.NewIssuer(s.store, o.Format)
	require.NoError(t, err)
	s.handler = s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.served.Add(1)
		key, _ := apikey.FromContext(r.Context())
		io.WriteString(w, key.ID)
	}))
	ctx := t.Context()
	s.good, s.key = s.issue(t, apikey.Key{Name: "Backup job", Scopes: []string{"library:read"}})
	s.other, _ = s.issue(t, apikey.Key{Name: "Home automation"})
	var key apikey.Key
	s.revoked, key = s.issue(t, apikey.Key{Name: "Lost phone"})
	_, err = s.store.Revoke(ctx, key.ID)
	require.NoError(t, err)
	s.expired, key = s.issue(t, apikey.Key{Name: "Trial"})
	past := time.Now().Add(-time.Hour)
	_, err = s.store.Update(ctx, key.ID, apikey.Patch{ExpiresAt: &past})
	require.NoError(t, err)
	elsewhere, err := apikey.NewIssuer(memstore.New(), o.Format)
	require.NoError(t, err)
	secret, _, err := elsewhere.Issue(ctx, apikey.Key{Name: "Stranger"})
	require.NoError(t, err)
	s.unknown = secret.Reveal()
	return s
}

func (s *service) issue(t testing.TB, key apikey.Key) (string, apikey.Key) {
	t.Helper()
	secret, key, err := s.issuer.Issue(t.Context(), key)
	require.NoError(t, err)
	return secret.Reveal(), key
}

// fill writes the service's keys into a template: {K} good, {O} another good one, {R}
// revoked, {E} expired, {W} unknown.
func (s *service) fill(template string) string {
	return strings.NewReplacer("{K}", s.good, "{O}", s.other, "{R}", s.revoked, "{E}", s.expired, "{W}", s.unknown).Replace(template)
}

// get sends a request with these header lines ("Name: value") to h, in memory.
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

// storeFunc is a KeyStore of one function.
type storeFunc func(context.Context, apikey.Digest) (*apikey.Key, error)

func (f storeFunc) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return f(ctx, d)
}

// dumpOf returns all that an assertion library shows of a value, by reflection, where it
// is not equal to another of its type.
func dumpOf(v, other any) string {
	var d dump
	assert.Equal(&d, other, v)
	return d.String()
}

type dump struct{ strings.Builder }

func (d *dump) Errorf(format string, args ...any) { fmt.Fprintf(d, format, args...) }
