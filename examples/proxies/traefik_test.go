package proxies

import (
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"sigs.k8s.io/yaml"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/memstore"
)

// traefikConfig is the part of examples/forwardauth/traefik.yaml that traefikProxy follows.
type traefikConfig struct {
	HTTP struct {
		Middlewares map[string]struct {
			Headers     struct{ CustomRequestHeaders map[string]string }
			ForwardAuth struct {
				Address             string
				AuthResponseHeaders []string
			}
		}
		Routers map[string]struct {
			Middlewares []string
			Service     string
		}
		Services map[string]struct {
			LoadBalancer struct{ Servers []struct{ URL string } }
		}
	}
}

// traefikProxy imitates ForwardAuth of Traefik 3.7, because the tests do not run Traefik. The subrequest is a GET
// with the client's fields, in which Traefik sets X-Forwarded-Method, -Proto, -Host, -Uri and -For. Only a 2xx
// status permits. Traefik deletes the fields of authResponseHeaders before it sets them.
func traefikProxy(t *testing.T, config traefikConfig, auth, service string) http.Handler {
	t.Helper()
	router := config.HTTP.Routers["service"]
	target := config.HTTP.Services[router.Service].LoadBalancer.Servers[0].URL
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := r.Header.Clone()
		for _, name := range router.Middlewares {
			m, known := config.HTTP.Middlewares[name]
			require.True(t, known, name)
			for field, value := range m.Headers.CustomRequestHeaders {
				require.Empty(t, value)
				header.Del(field)
			}
			if m.ForwardAuth.Address == "" {
				continue
			}
			ask, err := http.NewRequestWithContext(r.Context(), "GET", replace(t, m.ForwardAuth.Address, "localhost:9000", auth), nil)
			require.NoError(t, err)
			ask.Header = header.Clone()
			ask.Header.Set("X-Forwarded-Method", r.Method)
			ask.Header.Set("X-Forwarded-Proto", "http")
			ask.Header.Set("X-Forwarded-Host", r.Host)
			ask.Header.Set("X-Forwarded-Uri", r.URL.RequestURI())
			ask.Header.Set("X-Forwarded-For", "192.0.2.1")
			answer, err := http.DefaultClient.Do(ask)
			require.NoError(t, err)
			defer answer.Body.Close()
			if answer.StatusCode/100 != 2 {
				w.WriteHeader(answer.StatusCode)
				io.Copy(w, answer.Body)
				return
			}
			for _, field := range m.ForwardAuth.AuthResponseHeaders {
				header.Del(field)
				if values := answer.Header.Values(field); len(values) > 0 {
					header[http.CanonicalHeaderKey(field)] = values
				}
			}
		}
		out, err := http.NewRequestWithContext(r.Context(), r.Method, replace(t, target, "localhost:8000", service)+r.URL.RequestURI(), r.Body)
		require.NoError(t, err)
		out.Header = header
		answer, err := http.DefaultClient.Do(out)
		require.NoError(t, err)
		defer answer.Body.Close()
		io.Copy(w, answer.Body)
	})
}

func TestForwardAuthFollowsTheContractOfTraefik(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../forwardauth/traefik.yaml")
	require.NoError(t, err)
	var config traefikConfig
	require.NoError(t, yaml.UnmarshalStrict(text, &struct{ HTTP map[string]any }{}))
	require.NoError(t, yaml.Unmarshal(text, &config))

	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", Scopes: []string{"library"}})
	require.NoError(t, err)
	handler, err := newAuthService(store, forwardauth.ForwardedURI, func(r *http.Request, _ *apikey.Key) error {
		if strings.HasPrefix(r.URL.Path, "/admin") || r.Method == "DELETE" || r.Host != "example.com" {
			return apikey.ErrForbidden
		}
		return nil
	})
	require.NoError(t, err)
	auth := httptest.NewServer(handler)
	t.Cleanup(auth.Close)
	var got *http.Request
	service := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r }))
	t.Cleanup(service.Close)
	traefik := traefikProxy(t, config, auth.Listener.Addr().String(), service.Listener.Addr().String())

	for _, test := range []struct {
		name, method, target string
		key                  bool
		status               int
	}{
		{"the key", "POST", "/library?a=b", true, 200},
		{"no key", "GET", "/library", false, 401},
		{"a path that needs a scope", "GET", "/admin/users", true, 403},
		{"a method that needs a scope", "DELETE", "/library", true, 403},
		{"dot segments", "GET", "/library/%2e%2e/admin", true, 400},
	} {
		got = nil
		r := httptest.NewRequest(test.method, test.target, nil)
		if test.key {
			r.Header.Set("X-API-Key", secret.Reveal())
		}
		for _, line := range []string{"X-Apikey-Id", "X-Apikey-Owner", "X-Forwarded-Uri", "X-Forwarded-Method"} {
			r.Header.Set(line, "forged")
		}
		w := httptest.NewRecorder()
		traefik.ServeHTTP(w, r)
		assert.Equal(t, test.status, w.Code, test.name)
		if test.status != http.StatusOK {
			assert.Nil(t, got, test.name)
			continue
		}
		require.NotNil(t, got, test.name)
		assert.Equal(t, test.target, got.RequestURI, test.name)
		assert.Equal(t, []string{key.ID}, got.Header["X-Apikey-Id"], test.name)
		assert.Empty(t, strings.Join(got.Header["X-Apikey-Owner"], ""), test.name)
		assert.Empty(t, got.Header["X-Api-Key"], test.name)
	}
}
