package leak_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// A service has keys and receives reports about them.
type service struct {
	t      testing.TB
	store  *store
	issuer *apikey.Issuer
	desk   *manage.Desk
	log    *syncBuffer

	mu       sync.Mutex
	reports  []leak.Report
	hookErr  error
	hookFunc func(leak.Report)
}

func newService(t testing.TB, o apikey.FormatOptions) *service {
	t.Helper()
	format, err := apikey.NewFormat("ak", o)
	require.NoError(t, err)
	return newServiceOf(t, memstore.New(), format)
}

func newServiceOf(t testing.TB, inner *memstore.Store, format *apikey.Format) *service {
	t.Helper()
	s := &service{t: t, store: &store{Store: inner}, log: new(syncBuffer)}
	var err error
	s.issuer, err = apikey.NewIssuer(s.store, apikey.IssuerOptions{Format: format})
	require.NoError(t, err)
	s.desk, err = manage.New(s.issuer)
	require.NoError(t, err)
	return s
}

// options returns Options that record everything.
func (s *service) options() leak.Options {
	return leak.Options{OnLeak: s.onLeak, Logger: slog.New(slog.NewTextHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))}
}

func (s *service) onLeak(_ context.Context, r leak.Report) error {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reports = append(s.reports, r)
	if s.hookFunc != nil {
		s.hookFunc(r)
	}
	return s.hookErr
}

func (s *service) issue(name string) (string, apikey.Key) {
	s.t.Helper()
	secret, key, err := s.issuer.Issue(context.Background(), apikey.NewKey{Name: name, Owner: "alice"})
	require.NoError(s.t, err)
	return secret.Reveal(), key
}

func (s *service) isRevoked(id string) bool {
	s.t.Helper()
	key, err := s.store.Store.Get(context.Background(), id)
	require.NoError(s.t, err)
	return !key.RevokedAt.IsZero()
}

// history returns the actions on a key with their actors, the oldest first.
func (s *service) history(id string) (all []string) {
	s.t.Helper()
	page, err := s.store.Audit(context.Background(), apikey.AuditOptions{KeyID: id})
	require.NoError(s.t, err)
	for _, e := range page.Entries {
		all = append([]string{e.Action + " by " + e.Actor}, all...)
	}
	return all
}

// A store is a memstore that counts lookups and can fail.
type store struct {
	*memstore.Store
	lookups     atomic.Int64
	failLookup  func() error
	failRevoke  func(id string) error
	beforeWrite func()
}

func (s *store) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	s.lookups.Add(1)
	if s.failLookup != nil {
		if err := s.failLookup(); err != nil {
			return nil, err
		}
	}
	return s.Store.Lookup(ctx, d)
}

func (s *store) If(c apikey.Condition) apikey.KeyManager { return view{s.Store.If(c), s} }

type view struct {
	apikey.KeyManager
	store *store
}

func (v view) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	if v.store.beforeWrite != nil {
		v.store.beforeWrite()
	}
	if v.store.failRevoke != nil {
		if err := v.store.failRevoke(id); err != nil {
			return apikey.Key{}, err
		}
	}
	return v.KeyManager.Revoke(ctx, id)
}

var errDown = errors.New("connection refused")

// endpoint returns the handler of GitHub with keys of the fake.
func (s *service) endpoint(g *fakeGitHub, change ...func(*leak.Options)) http.Handler {
	s.t.Helper()
	o := s.options()
	o.PublicKeys = leak.PublicKeys{Client: &http.Client{Transport: g}}
	for _, f := range change {
		f(&o)
	}
	h, err := leak.GitHub(s.desk, o)
	require.NoError(s.t, err)
	return h
}

func serve(h http.Handler, r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	h.ServeHTTP(w, r)
	return w
}

type object map[string]any

func arrayOf(t testing.TB, elements ...object) string {
	t.Helper()
	body, err := json.Marshal(elements)
	require.NoError(t, err)
	return string(body)
}

// labels returns the label of each token type in a response.
func labels(t testing.TB, w *httptest.ResponseRecorder) map[string]string {
	t.Helper()
	var list []struct {
		TokenHash string `json:"token_hash"`
		TokenType string `json:"token_type"`
		Label     string `json:"label"`
	}
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &list), w.Body.String())
	all := map[string]string{}
	for _, one := range list {
		all[one.TokenType] = one.Label
	}
	return all
}

// A syncBuffer is a bytes.Buffer for several goroutines.
type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}
