package leak_test

import (
	"bytes"
	"context"
	"crypto/ecdsa"
	"crypto/elliptic"
	"crypto/rand"
	"crypto/sha256"
	"crypto/x509"
	"encoding/base64"
	"encoding/json"
	"encoding/pem"
	"errors"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
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

// A signer has a key pair of GitHub.
type signer struct {
	identifier string
	key        *ecdsa.PrivateKey
}

func newSigner(t testing.TB, identifier string, curve elliptic.Curve) signer {
	t.Helper()
	key, err := ecdsa.GenerateKey(curve, rand.Reader)
	require.NoError(t, err)
	return signer{identifier, key}
}

func (s signer) sign(t testing.TB, body string) string {
	t.Helper()
	digest := sha256.Sum256([]byte(body))
	der, err := ecdsa.SignASN1(rand.Reader, s.key, digest[:])
	require.NoError(t, err)
	return base64.StdEncoding.EncodeToString(der)
}

func (s signer) pem(t testing.TB) string {
	t.Helper()
	der, err := x509.MarshalPKIXPublicKey(&s.key.PublicKey)
	require.NoError(t, err)
	return string(pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: der}))
}

// request returns a signed request with reports.
func (s signer) request(t testing.TB, body string) *http.Request {
	t.Helper()
	r := httptest.NewRequest("POST", "/", strings.NewReader(body))
	r.Header.Set("Github-Public-Key-Identifier", s.identifier)
	r.Header.Set("Github-Public-Key-Signature", s.sign(t, body))
	return r
}

// A fakeGitHub answers requests for public keys.
type fakeGitHub struct {
	mu       sync.Mutex
	body     string
	etag     string
	status   int // 0: 200
	err      error
	requests []*http.Request
	wait     chan struct{} // if not nil, requests wait for it or for the end of their context
}

func newFakeGitHub(t testing.TB, signers ...signer) *fakeGitHub {
	g := &fakeGitHub{}
	g.publish(t, signers...)
	return g
}

func (g *fakeGitHub) publish(t testing.TB, signers ...signer) {
	t.Helper()
	type key struct {
		Identifier string `json:"key_identifier"`
		Key        string `json:"key"`
		IsCurrent  bool   `json:"is_current"`
	}
	var list struct {
		PublicKeys []key `json:"public_keys"`
	}
	for _, s := range signers {
		list.PublicKeys = append(list.PublicKeys, key{s.identifier, s.pem(t), true})
	}
	body, err := json.Marshal(list)
	require.NoError(t, err)
	g.mu.Lock()
	defer g.mu.Unlock()
	g.body = string(body)
}

func (g *fakeGitHub) fail(status int, err error) {
	g.mu.Lock()
	defer g.mu.Unlock()
	g.status, g.err = status, err
}

func (g *fakeGitHub) count() int {
	g.mu.Lock()
	defer g.mu.Unlock()
	return len(g.requests)
}

func (g *fakeGitHub) last() *http.Request {
	g.mu.Lock()
	defer g.mu.Unlock()
	return g.requests[len(g.requests)-1]
}

// RoundTrip implements http.RoundTripper.
func (g *fakeGitHub) RoundTrip(r *http.Request) (*http.Response, error) {
	g.mu.Lock()
	g.requests = append(g.requests, r)
	wait := g.wait
	g.mu.Unlock()
	if wait != nil {
		select {
		case <-wait:
		case <-r.Context().Done():
			return nil, r.Context().Err()
		}
	}
	g.mu.Lock()
	defer g.mu.Unlock()
	if g.err != nil {
		return nil, g.err
	}
	response := &http.Response{StatusCode: 200, Header: http.Header{}, Body: io.NopCloser(strings.NewReader(g.body)), Request: r}
	if g.status != 0 {
		response.StatusCode = g.status
	} else if g.etag != "" {
		response.Header.Set("ETag", g.etag)
		if r.Header.Get("If-None-Match") == g.etag {
			response.StatusCode, response.Body = http.StatusNotModified, http.NoBody
		}
	}
	return response, nil
}

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
