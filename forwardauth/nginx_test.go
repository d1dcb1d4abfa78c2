package forwardauth_test

import (
	"io"
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
)

func TestNginxGetsStatusesThatItPassesOn(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		chosen, sent int
		field        string
	}{
		{"permission", 200, 200, ""},
		{"permission by another 2xx", 204, 204, ""},
		{"a redirect", 301, 403, "301"},
		{"an ambiguous request", 400, 403, "400"},
		{"no key", 401, 401, "401"},
		{"forbidden", 403, 403, "403"},
		{"no such route", 404, 403, "404"},
		{"a limit", 429, 403, "429"},
		{"an outage", 503, 503, "503"},
	} {
		s := service{}
		var err error
		s.handler, err = forwardauth.Restore(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			w.Header()["Www-Authenticate"] = []string{"ApiKey", "Bearer"}
			w.Header().Set("Retry-After", "7")
			w.WriteHeader(test.chosen)
		}), forwardauth.Options{Convention: forwardauth.OriginalURI, Trusted: trusted})
		require.NoError(t, err)
		res := s.answer(dialects[0].ask("GET", "/"))
		assert.Equal(t, test.sent, res.StatusCode, test.name)
		assert.Equal(t, test.field, res.Header.Get("X-Apikey-Status"), test.name)
		assert.Equal(t, "7", res.Header.Get("Retry-After"), test.name)
		assert.Equal(t, "ApiKey, Bearer", strings.Join(res.Header["Www-Authenticate"], ", "), test.name)
		if test.field != "" {
			assert.Len(t, res.Header["Www-Authenticate"], 1, "lines of WWW-Authenticate, of which nginx passes on one")
		}
	}
}

func TestNginxGetsTheBodyOfAHandler(t *testing.T) {
	t.Parallel()
	s := service{}
	var err error
	s.handler, err = forwardauth.Restore(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		io.WriteString(w, "a body")
		assert.NoError(t, http.NewResponseController(w).Flush())
	}), forwardauth.Options{Convention: forwardauth.OriginalURI, Trusted: trusted})
	require.NoError(t, err)
	res := s.answer(dialects[0].ask("GET", "/"))
	assert.Equal(t, http.StatusOK, res.StatusCode)
	assert.Equal(t, "a body", body(t, res))
	assert.Empty(t, res.Header.Get("X-Apikey-Status"))
}

func TestOtherProxiesGetTheWholeRefusal(t *testing.T) {
	t.Parallel()
	for _, d := range dialects[1:] {
		s := newService(t, d.options, nil)
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		res := s.answer(d.ask("GET", "/library"))
		assert.Equal(t, http.StatusUnauthorized, res.StatusCode)
		assert.Equal(t, []string{"ApiKey", "Bearer"}, res.Header.Values("WWW-Authenticate"))
		assert.Contains(t, body(t, res), "A valid API key is required.")
		res = s.answer(d.ask("GET", "/library?api_key="+key+"&api_key=other"))
		assert.Equal(t, http.StatusBadRequest, res.StatusCode)
		assert.Contains(t, body(t, res), "The request must carry exactly one API key.")
		assert.Empty(t, res.Header.Get("X-Apikey-Status"))
	}
}
