// Package routertest holds what must be so with every router: it looks to callers as
// net/http does, and keeps their keys to itself.
package routertest

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A Service is one router, being served, and the keys for it.
type Service struct {
	t      *testing.T
	url    string
	issuer *apikey.Issuer
	log    *log
	plain  string // the URL of the same routes in net/http, as far as refusals go
}

// New serves a router. newRouter is that of an example: limit is how many requests a key has a
// minute, and log gets the access log.
func New(t *testing.T, limit int, newRouter func(auth *apikey.Middleware, limit int, log io.Writer) http.Handler) *Service {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, nil)
	require.NoError(t, err)
	s := &Service{t: t, issuer: issuer, log: &log{}}

	server := httptest.NewServer(newRouter(auth, limit, s.log))
	t.Cleanup(server.Close)
	s.url = server.URL

	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("GET /library", apikey.Require("library:read")(ok))
	mux.Handle("POST /library", apikey.Require("library:write")(ok))
	plain := httptest.NewServer(auth.Handler(mux))
	t.Cleanup(plain.Close)
	s.plain = plain.URL
	return s
}

// Key issues a key.
func (s *Service) Key(name string, scopes ...string) (secret, id string) {
	s.t.Helper()
	made, key, err := s.issuer.Issue(s.t.Context(), apikey.Key{Name: name, Scopes: scopes})
	require.NoError(s.t, err)
	return made.Reveal(), key.ID
}

// Get sends a request and returns the status and the body of the response.
func (s *Service) Get(path, key string) (status int, body string) {
	s.t.Helper()
	response, body := s.send(s.url, "GET", path, key)
	return response.StatusCode, body
}

func (s *Service) send(base, method, path, key string) (*http.Response, string) {
	s.t.Helper()
	r, err := http.NewRequestWithContext(s.t.Context(), method, base+path, nil)
	require.NoError(s.t, err)
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	response, err := http.DefaultClient.Do(r)
	require.NoError(s.t, err)
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	require.NoError(s.t, err)
	return response, string(body)
}

// Run holds the rules.
func Run(t *testing.T, newRouter func(auth *apikey.Middleware, limit int, log io.Writer) http.Handler) {
	s := New(t, 1000, newRouter)
	reader, _ := s.Key("Reading room", "library:read")
	writer, writerID := s.Key("Backup job", "library:read", "library:write")

	t.Run("a public route needs no key", func(t *testing.T) {
		status, body := s.Get("/health", "")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "ok\n", body)
	})
	t.Run("a handler knows who is calling", func(t *testing.T) {
		status, body := s.Get("/library", reader)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "Hello, Reading room!\n", body)
	})
	t.Run("a key in the query does as well", func(t *testing.T) {
		status, body := s.Get("/library?api_key="+url.QueryEscape(writer)+"&sort=name", "")
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "Hello, Backup job!\n", body)
	})
	t.Run("a key with the scope may write", func(t *testing.T) {
		response, body := s.send(s.url, "POST", "/library", writer)
		assert.Equal(t, http.StatusCreated, response.StatusCode)
		assert.Equal(t, "Written for Backup job.\n", body)
	})
	for name, request := range map[string]struct{ method, path, key string }{
		"no key":             {"GET", "/library", ""},
		"a misshapen key":    {"GET", "/library", "no key of ours"},
		"two keys":           {"GET", "/library?api_key=" + writer, reader},
		"an ambiguous query": {"GET", "/library?x=1;api_key=" + writer, reader},
		"a missing scope":    {"POST", "/library", reader},
	} {
		t.Run("a refusal is that of net/http: "+name, func(t *testing.T) {
			got, gotBody := s.send(s.url, request.method, request.path, request.key)
			want, wantBody := s.send(s.plain, request.method, request.path, request.key)
			assert.GreaterOrEqual(t, want.StatusCode, 400)
			assert.Equal(t, want.StatusCode, got.StatusCode)
			assert.Equal(t, wantBody, gotBody)
			for _, field := range []string{"Content-Type", "Cache-Control", "Www-Authenticate", "X-Content-Type-Options"} {
				assert.Equal(t, want.Header.Values(field), got.Header.Values(field), field)
			}
		})
	}
	t.Run("the access log has the requests, and no key", func(t *testing.T) {
		lines := s.log.String()
		assert.Contains(t, lines, "/library?sort=name", "what else was in the query")
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
	t.Run("each key has a rate of its own", func(t *testing.T) {
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

// A log is written to by many requests at once.
type log struct {
	mu    sync.Mutex
	lines bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.lines.String()
}
