// Package routertest tests the examples of routers. With every router, callers get the responses
// that net/http would send, and no log shows a key.
package routertest

import (
	"context"
	"errors"
	"fmt"
	"io"
	stdlog "log"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A Service is a running server of one router, and the keys for it.
type Service struct {
	t      *testing.T
	url    string
	store  *store
	issuer *apikey.Issuer
	log    *log
	plain  string // the URL of the same protected routes with net/http
}

// A Router returns the router of an example. Each key may send limit requests in a burst. The router
// writes its access log to log.
type Router func(auth *apikey.Middleware, limit int, log io.Writer) http.Handler

// New starts a server of a router.
func New(t *testing.T, limit int, newRouter Router) *Service {
	s := &Service{t: t, store: &store{Store: memstore.New()}, log: &log{}}
	auth, err := apikey.New(s.store, apikey.Options{Authorize: panicFor})
	require.NoError(t, err)
	s.issuer, err = apikey.NewIssuer(s.store, apikey.IssuerOptions{})
	require.NoError(t, err)
	s.url = s.serve(newRouter(auth, limit, s.log))

	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("GET /library", apikey.Require("library:read")(ok))
	mux.Handle("POST /library", apikey.Require("library:write")(ok))
	s.plain = s.serve(auth.Handler(mux))
	return s
}

// serve starts a server that logs to the log of the service, and returns its URL.
func (s *Service) serve(handler http.Handler) string {
	server := httptest.NewUnstartedServer(handler)
	server.Config.ErrorLog = stdlog.New(s.log, "", 0)
	server.Start()
	s.t.Cleanup(server.Close)
	return server.URL
}

// panics maps the names of keys to the values with which their requests panic. A router sees the
// panic of a handler in its chain.
var panics = map[string]any{"Boom": "boom", "Abort": http.ErrAbortHandler}

// panicFor is an Options.Authorize that panics for the keys in panics.
func panicFor(_ *http.Request, key *apikey.Key) error {
	if value, ok := panics[key.Name]; ok {
		panic(value)
	}
	return nil
}

// A store fails while failing is true.
type store struct {
	*memstore.Store
	failing atomic.Bool
}

func (s *store) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if s.failing.Load() {
		return nil, errors.New("the database is down")
	}
	return s.Store.Lookup(ctx, d)
}

// Key issues a key and returns its secret and ID.
func (s *Service) Key(name string, scopes ...string) (secret, id string) {
	s.t.Helper()
	made, key, err := s.issuer.Issue(s.t.Context(), apikey.NewKey{Name: name, Scopes: scopes})
	require.NoError(s.t, err)
	return made.Reveal(), key.ID
}

// Get sends a request and returns the status and the body of the response.
func (s *Service) Get(path, key string) (status int, body string) {
	s.t.Helper()
	response, body := s.send(s.url, "GET", path, key)
	return response.StatusCode, body
}

func (s *Service) request(base, method, path, key string) *http.Request {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, base+path, nil)
	require.NoError(s.t, err)
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	return r
}

func (s *Service) send(base, method, path, key string) (*http.Response, string) {
	s.t.Helper()
	response, err := http.DefaultClient.Do(s.request(base, method, path, key))
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response, string(body)
}

// Run tests a router: its responses to valid keys, its refusals, its access log, and the rate limit of each key.
func Run(t *testing.T, newRouter Router) {
	s := New(t, 1000, newRouter)
	reader, _ := s.Key("Reading room", "library:read")
	writer, writerID := s.Key("Backup job", "library:read", "library:write")

	t.Run("a public route needs no key", func(t *testing.T) {
		status, body := s.Get("/health", "")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "ok\n", body)
	})
	t.Run("a handler gets the identity of the caller", func(t *testing.T) {
		status, body := s.Get("/library", reader)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "Hello, Reading room!\n", body)
	})
	t.Run("a key in the query works", func(t *testing.T) {
		status, body := s.Get("/library?api_key="+url.QueryEscape(writer)+"&sort=name", "")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "Hello, Backup job!\n", body)
	})
	t.Run("a key with the scope may write", func(t *testing.T) {
		response, body := s.send(s.url, "POST", "/library", writer)
		assert.Equal(t, http.StatusCreated, response.StatusCode)
		assert.Equal(t, "Written for Backup job.\n", body)
	})
	runRefusals(t, s, reader, writer)
	runPanics(t, s)
	t.Run("the access log shows requests without keys", func(t *testing.T) {
		lines := s.log.String()
		assert.Contains(t, lines, "/library?sort=name", "the rest of the query")
		assert.GreaterOrEqual(t, strings.Count(lines, "/library"), 8)
		for _, secret := range []string{reader, writer} {
			assert.NotContains(t, lines, secret)
			assert.NotContains(t, lines, secret[len(secret)-20:])
		}
	})
	t.Run("a revoked key is refused", func(t *testing.T) {
		_, err := s.issuer.Manager().Revoke(t.Context(), writerID)
		require.NoError(t, err)
		status, _ := s.Get("/library", writer)
		assert.Equal(t, http.StatusUnauthorized, status)
	})
	t.Run("each key has its own rate limit", func(t *testing.T) {
		const limit = 3
		s := New(t, limit, newRouter)
		hasty, _ := s.Key("Hasty", "library:read")
		calm, _ := s.Key("Calm", "library:read")
		for i := range limit {
			status, _ := s.Get("/library", hasty)
			require.Equal(t, http.StatusOK, status, fmt.Sprintf("request %d of %d", i+1, limit))
		}
		status, _ := s.Get("/library", hasty)
		assert.Equal(t, http.StatusTooManyRequests, status)
		status, _ = s.Get("/library", calm)
		assert.Equal(t, http.StatusOK, status)
	})
}
