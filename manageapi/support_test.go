package manageapi_test

import (
	"encoding/json"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/manageapi"
	"github.com/latchkey-dev/apikey/memstore"
)

// A service has the API at /manage, with keys of alice and bob in every state.
type service struct {
	t       testing.TB
	store   *memstore.Store
	issuer  *apikey.Issuer
	handler http.Handler
	limiter *limit.Limiter
	names   map[string]string // the values of {name} in requests
}

// authorize lets a key with the scope "admin" manage the keys of all owners, and one with the scope
// "auditor" read them.
func authorize(r *http.Request) (manage.Access, error) {
	key, ok := apikey.FromContext(r.Context())
	switch {
	case !ok:
		return manage.Access{}, apikey.ErrMissing
	case key.HasScopes("admin"):
		return manage.Access{Actor: manage.KeyActor(key), AllOwners: true, AnyScope: true, MayResume: true}, nil
	case key.HasScopes("auditor"):
		return manage.Access{Actor: manage.KeyActor(key), AllOwners: true, ReadOnly: true}, nil
	case key.HasScopes(manage.ScopeManage):
		return manage.ByKey(key), nil
	}
	return manage.Access{}, apikey.ErrForbidden
}

func newService(t testing.TB) *service {
	t.Helper()
	s := &service{t: t, store: memstore.New(), names: map[string]string{}}
	var err error
	s.issuer, err = apikey.NewIssuer(s.store, apikey.IssuerOptions{})
	require.NoError(t, err)
	s.limiter, err = limit.New(limit.Memory(), limit.Options{})
	require.NoError(t, err)
	s.handler = mounted(t, s.issuer, s.store, manageapi.Options{Authorize: authorize, Limiter: s.limiter})
	ctx := t.Context()
	for name, k := range map[string]apikey.NewKey{
		"admin":   {Name: "Operator", Scopes: []string{"admin"}},
		"auditor": {Name: "Auditor", Scopes: []string{"auditor"}},
		"alice":   {Name: "Alice's tool", Owner: "alice", Scopes: []string{manage.ScopeManage, "read"}},
		"reader":  {Name: "Reader", Owner: "alice", Scopes: []string{"read"}},
		"backup": {Name: "Backup job", Owner: "alice", Scopes: []string{"read"}, Metadata: map[string]string{"room": "4", "rack": "B"},
			Limits: []apikey.Limit{{Name: "rate", Requests: 10, Per: time.Minute, Burst: 20}, {Name: "quota", Requests: 1000, Calendar: "day"}}},
		"suspended": {Name: "Suspended", Owner: "alice"},
		"revoked":   {Name: "Revoked", Owner: "alice"},
		"rotated":   {Name: "Rotated", Owner: "alice"},
		"writer":    {Name: "Writer", Owner: "alice", Scopes: []string{"write"}},
		"bob":       {Name: "Bob's job", Owner: "bob", Scopes: []string{"read"}},
	} {
		secret, key, err := s.issuer.Issue(ctx, k)
		require.NoError(t, err)
		s.names[name], s.names[name+" secret"] = key.ID, secret.Reveal()
	}
	_, err = s.store.Update(ctx, s.names["suspended"], apikey.Patch{Suspended: new(true)})
	require.NoError(t, err)
	_, err = s.store.Revoke(ctx, s.names["revoked"])
	require.NoError(t, err)
	_, successor, err := s.issuer.Rotate(ctx, s.names["rotated"], time.Hour)
	require.NoError(t, err)
	s.names["successor"] = successor.ID
	return s
}

// mounted returns the API at /manage behind a Middleware.
func mounted(t testing.TB, issuer *apikey.Issuer, store apikey.KeyStore, o manageapi.Options) http.Handler {
	t.Helper()
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	api, err := manageapi.New(desk, o)
	require.NoError(t, err)
	auth, err := apikey.New(store, apikey.Options{Logger: o.Logger})
	require.NoError(t, err)
	return http.StripPrefix("/manage", auth.Optional(api))
}

// fill replaces {name} by the ID of a key, and {name secret} by its secret.
func (s *service) fill(text string) string {
	for name, value := range s.names {
		text = strings.ReplaceAll(text, "{"+name+"}", value)
	}
	return text
}

// do sends a request to an endpoint, such as "GET /keys", with the key of this name and header lines
// ("Name: value"). The Content-Type of a body is application/json if no line sets it.
func (s *service) do(as, endpoint, body string, lines ...string) *httptest.ResponseRecorder {
	s.t.Helper()
	method, path, _ := strings.Cut(s.fill(endpoint), " ")
	r := httptest.NewRequest(method, "/manage"+path, strings.NewReader(s.fill(body)))
	if as != "" {
		r.Header.Set("X-API-Key", s.names[as+" secret"])
	}
	if body != "" {
		r.Header.Set("Content-Type", "application/json")
	}
	for _, line := range lines {
		name, value, _ := strings.Cut(s.fill(line), ": ")
		if strings.EqualFold(name, "Content-Type") {
			r.Header.Del(name)
		}
		r.Header.Add(name, value)
	}
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	record(s.t, method, path, w)
	return w
}

// An exchange is a response of a test. Module clienttest compares it with the description.
type exchange struct {
	Test, Method, Path string
	Status             int
	Header             http.Header
	Body               string
}

var recording sync.Mutex

// record appends an exchange to the file that APIKEY_TEST_EXCHANGES names, if it is set.
func record(t testing.TB, method, path string, w *httptest.ResponseRecorder) {
	file := os.Getenv("APIKEY_TEST_EXCHANGES")
	if file == "" {
		return
	}
	recording.Lock()
	defer recording.Unlock()
	f, err := os.OpenFile(filepath.Clean(file), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	require.NoError(t, err)
	defer f.Close()
	require.NoError(t, json.NewEncoder(f).Encode(exchange{t.Name(), method, path, w.Code, w.Header(), w.Body.String()}))
}

// decode returns the body of a response as a JSON object.
func decode(t testing.TB, w *httptest.ResponseRecorder) map[string]any {
	t.Helper()
	var v map[string]any
	require.NoError(t, json.Unmarshal(w.Body.Bytes(), &v), w.Body.String())
	return v
}
