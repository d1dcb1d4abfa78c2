package routertest

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// runRefusals checks that the router refuses requests with the same responses as net/http.
func runRefusals(t *testing.T, s *Service, reader, writer string) {
	revoked, id := s.Key("Revoked", "library:read")
	_, err := s.issuer.Manager().Revoke(t.Context(), id)
	require.NoError(t, err)
	expired, id := s.Key("Expired", "library:read")
	past := time.Now().Add(-time.Hour)
	_, err = s.issuer.Manager().Update(t.Context(), id, apikey.Patch{ExpiresAt: &past})
	require.NoError(t, err)
	otherIssuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	require.NoError(t, err)
	unknown, _, err := otherIssuer.Issue(t.Context(), apikey.NewKey{Name: "Unknown"})
	require.NoError(t, err)

	compare := func(method, path, key string, status int) func(*testing.T) {
		return func(t *testing.T) {
			got, gotBody := s.send(s.url, method, path, key)
			want, wantBody := s.send(s.plain, method, path, key)
			assert.Equal(t, status, want.StatusCode)
			assert.Equal(t, status, got.StatusCode)
			assert.Equal(t, wantBody, gotBody)
			for _, field := range []string{
				"Content-Type", "Cache-Control", "Www-Authenticate", "X-Content-Type-Options", "Retry-After", "Referrer-Policy",
			} {
				assert.Equal(t, want.Header.Values(field), got.Header.Values(field), field)
			}
		}
	}
	for name, request := range map[string]struct {
		method, path, key string
		status            int
	}{
		"no key":             {"GET", "/library", "", 401},
		"a malformed key":    {"GET", "/library", "malformed", 401},
		"an unknown key":     {"GET", "/library", unknown.Reveal(), 401},
		"a revoked key":      {"GET", "/library", revoked, 401},
		"an expired key":     {"GET", "/library", expired, 401},
		"two keys":           {"GET", "/library?api_key=" + writer, reader, 400},
		"an ambiguous query": {"GET", "/library?x=1;api_key=" + writer, reader, 400},
		"a missing scope":    {"POST", "/library", reader, 403},
		"a missing scope with the key in the query": {"POST", "/library?api_key=" + reader, "", 403},
		"a malformed key in the query":              {"GET", "/library?api_key=x", "", 401},
	} {
		t.Run("refuses like net/http: "+name, compare(request.method, request.path, request.key, request.status))
	}
	s.store.failing.Store(true)
	t.Run("refuses like net/http: a store that fails", func(t *testing.T) {
		compare("GET", "/library", reader, http.StatusServiceUnavailable)(t)
		response, _ := s.send(s.url, "GET", "/library", reader)
		assert.Equal(t, "1", response.Header.Get("Retry-After"))
	})
	s.store.failing.Store(false)
}
