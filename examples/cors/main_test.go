package main

import (
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestPagesOfOneOriginMayUseTheService(t *testing.T) {
	t.Parallel()
	const origin = "https://app.example"
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Web page"})
	require.NoError(t, err)
	handler := newService(auth, origin)
	for _, test := range []struct {
		name, method string
		lines        http.Header
		status       int
		allowed      string // the origin whose pages may read the response
	}{
		{"a preflight needs no key", "OPTIONS",
			http.Header{"Origin": {origin}, "Access-Control-Request-Method": {"POST"}, "Access-Control-Request-Headers": {"content-type,x-api-key"}}, 204, origin},
		{"a preflight of another origin allows nothing", "OPTIONS",
			http.Header{"Origin": {"https://evil.example"}, "Access-Control-Request-Method": {"POST"}}, 204, ""},
		{"OPTIONS that is not a preflight needs a key", "OPTIONS",
			http.Header{"Origin": {origin}}, 401, origin},
		{"a request with a key", "POST",
			http.Header{"Origin": {origin}, "X-Api-Key": {secret.Reveal()}}, 200, origin},
		{"pages can read a refusal", "GET",
			http.Header{"Origin": {origin}}, 401, origin},
		{"pages of another origin cannot read a response", "GET",
			http.Header{"Origin": {"https://evil.example"}, "X-Api-Key": {secret.Reveal()}}, 200, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "/library", nil)
			r.Header = test.lines
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			assert.Equal(t, test.status, w.Code)
			assert.Equal(t, test.allowed, w.Header().Get("Access-Control-Allow-Origin"))
			assert.Empty(t, w.Header().Get("Access-Control-Allow-Credentials"))
			if test.status == 204 && test.allowed != "" {
				assert.Equal(t, "content-type,x-api-key", w.Header().Get("Access-Control-Allow-Headers"))
			}
		})
	}
}

func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	assert.Equal(t, "Hello, Reading room!\n", program.Curl(t, p.Line("curl")))
}
