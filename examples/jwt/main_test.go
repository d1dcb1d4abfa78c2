package main

import (
	"crypto/ed25519"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestKeysAndTokens(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	auth, err := apikey.New(store, options)
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", Scopes: []string{"library:read"}})
	require.NoError(t, err)
	key := secret.Reveal()
	public, private, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	_, otherPrivate, err := ed25519.GenerateKey(nil)
	require.NoError(t, err)
	sign := func(method jwt.SigningMethod, with any, c claims) string {
		token, err := jwt.NewWithClaims(method, c).SignedString(with)
		require.NoError(t, err)
		return token
	}
	valid := newClaims("Alice", "library:read", time.Hour)
	otherAudience := valid
	otherAudience.Audience = jwt.ClaimStrings{"another service"}
	token := sign(jwt.SigningMethodEdDSA, private, valid)
	handler := newService(auth, tokens{public})
	for _, test := range []struct {
		name, method string
		lines        http.Header
		status       int
		body         string
	}{
		{"a key in its own field", "GET", http.Header{"X-Api-Key": {key}}, 200, "Hello, Backup job!\n"},
		{"a key as Bearer", "GET", http.Header{"Authorization": {"Bearer " + key}}, 200, "Hello, Backup job!\n"},
		{"a token", "GET", http.Header{"Authorization": {"Bearer " + token}}, 200, "Hello, Alice!\n"},
		{"a token without the scope", "POST", http.Header{"Authorization": {"Bearer " + token}}, 403, ""},
		{"a key without the scope", "POST", http.Header{"X-Api-Key": {key}}, 403, ""},
		{"neither a key nor a token", "GET", http.Header{}, 401, ""},
		{"a token and a key", "GET", http.Header{"Authorization": {"Bearer " + token}, "X-Api-Key": {key}}, 400, ""},
		{"a token and a key in two lines", "GET", http.Header{"Authorization": {"Bearer " + token, "Bearer " + key}}, 400, ""},
		{"two tokens", "GET", http.Header{"Authorization": {"Bearer " + token, "Bearer " + token}}, 400, ""},
		{"a valid token and a wrong key", "GET", http.Header{"Authorization": {"Bearer " + token}, "X-Api-Key": {"wrong"}}, 401, ""},
		{"a wrong key as Bearer", "GET", http.Header{"Authorization": {"Bearer " + key[:39] + "x"}}, 401, ""},
		{"an expired token", "GET", http.Header{"Authorization": {"Bearer " + sign(jwt.SigningMethodEdDSA, private, newClaims("Alice", "library:read", -time.Hour))}}, 401, ""},
		{"a token of another issuer", "GET", http.Header{"Authorization": {"Bearer " + sign(jwt.SigningMethodEdDSA, otherPrivate, valid)}}, 401, ""},
		{"a token for another service", "GET", http.Header{"Authorization": {"Bearer " + sign(jwt.SigningMethodEdDSA, private, otherAudience)}}, 401, ""},
		{"a token without a signature", "GET", http.Header{"Authorization": {"Bearer " + sign(jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, valid)}}, 401, ""},
		{"a token signed with the public key", "GET", http.Header{"Authorization": {"Bearer " + sign(jwt.SigningMethodHS256, []byte(public), valid)}}, 401, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := httptest.NewRequest(test.method, "/library", nil)
			r.Header = test.lines
			w := httptest.NewRecorder()
			handler.ServeHTTP(w, r)
			assert.Equal(t, test.status, w.Code)
			if test.status == 200 {
				assert.Equal(t, test.body, w.Body.String())
				assert.Equal(t, "private", w.Header().Get("Cache-Control"))
			}
		})
	}
}

func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	assert.Equal(t, "Hello, Reading room!\n", program.Curl(t, p.Line("curl")))
	assert.Equal(t, "Hello, Alice!\n", program.Curl(t, p.Line("Bearer")))
}
