package proxies

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/memstore"
)

var authRequest = kind{"nginx", "nginx-auth-request.conf", false, syscall.SIGQUIT, startNginx, true}

// A failingStore fails while failing is true.
type failingStore struct {
	*memstore.Store
	failing atomic.Bool
}

func (s *failingStore) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if s.failing.Load() {
		return nil, errors.New("the database is down")
	}
	return s.Store.Lookup(ctx, d)
}

func TestNginxGivesTheClientTheRefusalOfTheAuthService(t *testing.T) {
	t.Parallel()
	store := &failingStore{Store: memstore.New()}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", Scopes: []string{"library:read", "library:write"}})
	require.NoError(t, err)
	good := secret.Reveal()
	authService, err := newAuthService(store, forwardauth.OriginalURI, func(r *http.Request, _ *apikey.Key) error {
		if r.Method == "DELETE" || strings.HasPrefix(r.URL.Path, "/admin") {
			return errors.New("not with a key")
		}
		return nil
	})
	require.NoError(t, err)
	auth := httptest.NewServer(authService)
	t.Cleanup(auth.Close)
	var got *http.Request // the last request that reached the service
	service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		got = r
		w.Header().Set("Cache-Control", "public, max-age=60")
		if r.URL.Path == "/conflict" {
			w.WriteHeader(http.StatusForbidden)
		}
		io.Copy(w, r.Body)
	}))
	t.Cleanup(service.Close)
	p := startProxy(t, authRequest, "localhost:9000", auth.Listener.Addr().String(), "localhost:8096", service.Listener.Addr().String())

	t.Run("the service gets the identity and no key", func(t *testing.T) {
		for name, line := range map[string]string{"header": "X-API-Key: " + good, "Bearer": "Authorization: Bearer " + good} {
			t.Run(name, func(t *testing.T) {
				res := p.send(t, "POST", "/library?limit=5", "hello", line, "X-Apikey-Id: forged", "X_Apikey_Id: forged", "X.Apikey.Id: forged", "X-Apikey-Status: 400")
				assert.Equal(t, http.StatusOK, res.status)
				assert.Equal(t, "hello", res.body)
				assert.Equal(t, []string{"private"}, res.header["Cache-Control"])
				require.NotNil(t, got)
				assert.Equal(t, "/library?limit=5", got.RequestURI)
				assert.Equal(t, []string{key.ID}, got.Header["X-Apikey-Id"])
				assert.Equal(t, "library:read library:write", got.Header.Get("X-Apikey-Scopes"))
				for name, values := range got.Header {
					assert.NotContains(t, values, "forged", name)
					assert.NotContains(t, strings.Join(values, ""), good, name)
				}
			})
		}
	})
	t.Run("the client gets refusals of the service itself", func(t *testing.T) {
		res := p.get(t, "/conflict", "X-API-Key: "+good)
		assert.Equal(t, http.StatusForbidden, res.status)
		assert.Empty(t, res.body)
	})
	refused := func(name string, status int, challenge, retryAfter, detail, method, target string, lines ...string) {
		t.Run(name, func(t *testing.T) {
			got = nil
			res := p.send(t, method, target, "", lines...)
			assert.Equal(t, status, res.status)
			assert.Equal(t, "application/problem+json", res.header.Get("Content-Type"))
			assert.Equal(t, []string{"no-store"}, res.header["Cache-Control"])
			assert.Equal(t, challenge, strings.Join(res.header.Values("Www-Authenticate"), " and "))
			assert.Equal(t, retryAfter, res.header.Get("Retry-After"))
			assert.Contains(t, res.body, detail)
			assert.Nil(t, got, "the request reached the service")
		})
	}
	const needed, one = "A valid API key is required.", "The request must carry exactly one API key."
	const forbidden, later = "The API key does not permit this request.", "Try again later."
	refused("no key is 401", 401, "ApiKey, Bearer", "", needed, "GET", "/library")
	refused("a wrong key is 401", 401, "ApiKey, Bearer", "", needed, "GET", "/library", "X-API-Key: wrong")
	refused("two keys are 400", 400, "", "", one, "GET", "/library?api_key=wrong", "X-API-Key: "+good)
	refused("an ambiguous path is 400", 400, "", "", one, "GET", "/library/%2e%2e/admin", "X-API-Key: "+good)
	refused("a path that Authorize refuses is 403", 403, "", "", forbidden, "GET", "/admin?x=1", "X-API-Key: "+good)
	refused("a method that Authorize refuses is 403", 403, "", "", forbidden, "DELETE", "/library", "X-API-Key: "+good)
	limited, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Limited job", Limits: []apikey.Limit{{Name: "hourly", Requests: 1, Per: time.Hour}}})
	require.NoError(t, err)
	require.Equal(t, http.StatusOK, p.get(t, "/library", "X-API-Key: "+limited.Reveal()).status)
	refused("a limit is 429", 429, "", "3600", "A limit of the API key is used up.", "GET", "/library", "X-API-Key: "+limited.Reveal())
	store.failing.Store(true)
	refused("a failing store is 503", 503, "", "1", later, "GET", "/library", "X-API-Key: "+good)
	auth.Close()
	refused("an unreachable auth service is 503", 503, "", "1", later, "GET", "/library", "X-API-Key: "+good)
	assert.Equal(t, http.StatusNotFound, p.get(t, "/check", "X-API-Key: "+good).status, "clients cannot request the location of the subrequest")

	p.stop()
	assert.False(t, strings.Contains(p.written(t), good[len(good)-20:]), "a log shows the key")
	assert.True(t, strings.Contains(p.written(t), "/library 200 "+key.ID))
}
