package apikey_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestDefaultSources(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for _, test := range []struct {
		name   string
		target string
		lines  []string
		status int
	}{
		{"X-API-Key carries a key", "/", []string{"X-API-Key: {valid}"}, 200},
		{"X-Emby-Token carries a key", "/", []string{"X-Emby-Token: {valid}"}, 200},
		{"a field name is case-insensitive", "/", []string{"x-emby-token: {valid}"}, 200},
		{"api_key carries a key", "/emby/System/Info?api_key={valid}", nil, 200},
		{"api_key is found among other parameters", "/?a=1&api_key={valid}&b=2", nil, 200},
		{"a parameter name is case-insensitive", "/?API_Key={valid}", nil, 200},
		{"a parameter name may be escaped", "/?api%5Fkey={valid}", nil, 200},
		{"the Bearer scheme carries a key", "/", []string{"Authorization: Bearer {valid}"}, 200},
		{"a JWT by the Bearer scheme is ignored beside a key", "/", []string{"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x", "X-API-Key: {valid}"}, 200},
		{"a JWT by the Bearer scheme is not a key", "/", []string{"Authorization: Bearer eyJhbGciOiJIUzI1NiJ9.e30.x"}, 401},
		{"the Bearer scheme and a header differ", "/", []string{"Authorization: Bearer {other}", "X-API-Key: {valid}"}, 400},
		{"a Bearer key after another scheme, and another key", "/", []string{"Authorization: Basic dTpw, Bearer {other}", "X-API-Key: {valid}"}, 400},
		{"a Bearer key after a tab, and another key", "/", []string{"Authorization: Bearer\t{other}", "X-API-Key: {valid}"}, 400},

		{"no key", "/", nil, 401},
		{"no key, but other parameters", "/?a=1&b=2", nil, 401},
		{"an empty header is not a key", "/", []string{"X-API-Key: "}, 401},
		{"a header of spaces and tabs is not a key", "/", []string{"X-API-Key:  \t "}, 401},
		{"an empty parameter is not a key", "/?api_key=", nil, 401},
		{"a parameter without a value is not a key", "/?api_key", nil, 401},
		{"a parameter of spaces is not a key", "/?api_key=%20+", nil, 401},
		{"an empty header is ignored beside a key in the query", "/?api_key={valid}", []string{"X-Emby-Token: "}, 200},
		{"an empty parameter is ignored beside a key in a header", "/?api_key=", []string{"X-Emby-Token: {valid}"}, 200},
		{"a parameter of spaces is ignored beside a key in a header", "/?api_key=%20+", []string{"X-Emby-Token: {valid}"}, 200},
		{"an empty line is ignored beside another one", "/", []string{"X-API-Key: ", "X-API-Key: {valid}"}, 200},
		{"spaces around a header value are removed", "/", []string{"X-API-Key:  {valid}\t"}, 200},
		{"a space before a parameter value is kept", "/?api_key=+{valid}", nil, 401},

		{"the same key in two headers is one key", "/", []string{"X-API-Key: {valid}", "X-Emby-Token: {valid}"}, 200},
		{"the same key on two lines is one key", "/", []string{"X-API-Key: {valid}", "X-API-Key: {valid}"}, 200},
		{"the same key in header and query is one key", "/?api_key={valid}", []string{"X-API-Key: {valid}"}, 200},
		{"the same key twice in the query is one key", "/?api_key={valid}&API_KEY={valid}", nil, 200},

		{"two lines differ", "/", []string{"X-API-Key: {valid}", "X-API-Key: {other}"}, 400},
		{"two lines differ, with names in another case", "/", []string{"x-api-key: {valid}", "X-API-KEY: {other}"}, 400},
		{"a valid line before an invalid one", "/", []string{"X-API-Key: {valid}", "X-API-Key: {unknown}"}, 400},
		{"an invalid line before a valid one", "/", []string{"X-API-Key: {unknown}", "X-API-Key: {valid}"}, 400},
		{"two headers differ", "/", []string{"X-API-Key: {valid}", "X-Emby-Token: {other}"}, 400},
		{"two parameters differ", "/?api_key={valid}&api_key={other}", nil, 400},
		{"two parameters differ, with names in another case", "/?api_key={valid}&Api_Key={other}", nil, 400},
		{"header and query differ", "/?api_key={other}", []string{"X-API-Key: {valid}"}, 400},
		{"a valid header and a malformed key in the query", "/?api_key=x", []string{"X-API-Key: {valid}"}, 400},
		{"two keys on one line are one malformed key", "/", []string{"X-API-Key: {valid}, {other}"}, 401},
		{"the same key twice on one line is one malformed key", "/", []string{"X-API-Key: {valid}, {valid}"}, 401},

		{"a key after a semicolon, which net/url drops", "/?x=1;api_key={valid}", nil, 400},
		{"a key before a semicolon, which net/url drops", "/?api_key={valid};x=1", nil, 400},
		{"a dropped pair before a valid one", "/?x=1;api_key={unknown}&api_key={valid}", nil, 400},
		{"a bad escape before a valid pair, which net/url keeps", "/?api_key=%zz&api_key={valid}", nil, 400},
		{"a bad escape after a valid pair", "/?api_key={valid}&api_key=%", nil, 400},
		{"a dropped pair beside a valid header", "/?x=1;api_key={unknown}", []string{"X-API-Key: {valid}"}, 400},
		{"a bad escape beside a valid header", "/?api_key=%zz", []string{"X-API-Key: {valid}"}, 400},
		{"an escaped name in a dropped pair", "/?x=1;api%5fkey={valid}", nil, 400},
		{"semicolons in other pairs are ignored", "/?x=1;y=2&api_key={valid}", nil, 200},
		{"bad escapes in other pairs are ignored", "/?x=%zz&api_key={valid}", nil, 200},
		{"as many parameters as net/url parses", "/?" + strings.Repeat("x&", 9999) + "api_key={valid}", nil, 200},
		{"more parameters than net/url parses", "/?" + strings.Repeat("x&", 10000) + "api_key={valid}", nil, 400},
		{"more parameters than net/url parses, with a valid header", "/?" + strings.Repeat("x&", 10000), []string{"X-API-Key: {valid}"}, 400},

		{"api_key[] is not the parameter", "/?api_key[]={valid}", nil, 401},
		{"api_key[0] is not the parameter", "/?api_key[0]={valid}", nil, 401},
		{"apikey is not the parameter", "/?apikey={valid}", nil, 401},
		{"a Kelvin sign is not a k", "/?api_%E2%84%AAey={valid}", nil, 401},
		{"X_Api_Key is not the header", "/", []string{"X_Api_Key: {valid}"}, 401},
		{"a parameter in the path is not a key", "/api_key={valid}", nil, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			lookups, served := s.store.lookups.Load(), s.served.Load()
			for i := range test.lines {
				test.lines[i] = s.fill(test.lines[i])
			}
			w := get(s.handler, s.fill(test.target), test.lines...)
			assert.Equal(t, test.status, w.Code)
			if test.status == 200 {
				assert.Equal(t, s.key.ID, w.Body.String())
				assert.Equal(t, lookups+1, s.store.lookups.Load(), "one lookup")
			} else {
				assert.Equal(t, lookups, s.store.lookups.Load(), "no lookup")
				assert.Equal(t, served, s.served.Load(), "handler not called")
			}
		})
	}
}

func TestExtractFindsTheKeyWithoutADecision(t *testing.T) {
	t.Parallel()
	var events atomic.Int64
	auth, err := apikey.New(noLookups{t}, apikey.Options{Observe: func(context.Context, apikey.Event) { events.Add(1) }})
	require.NoError(t, err)
	for _, test := range []struct {
		name, target, header, want string
		err                        error
	}{
		{"a key in a header", "/", "K1", "K1", nil},
		{"a key in the query", "/?api_key=K1", "", "K1", nil},
		{"the same key twice", "/?api_key=K1", "K1", "K1", nil},
		{"no key", "/", "", "", apikey.ErrMissing},
		{"two keys", "/?api_key=K1", "K2", "", apikey.ErrAmbiguous},
	} {
		r := httptest.NewRequest("GET", test.target, nil)
		r.Header.Set("X-API-Key", test.header)
		secret, err := auth.Extract(r)
		assert.ErrorIs(t, err, test.err, test.name)
		assert.Equal(t, test.want, secret.Reveal(), test.name)
		auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			inner, _ := auth.Extract(r)
			assert.Equal(t, test.want, inner.Reveal(), "%s, behind Conceal", test.name)
		})).ServeHTTP(httptest.NewRecorder(), r)
	}
	assert.Zero(t, events.Load())
}

// A noLookups is a KeyStore that fails the test if it is called.
type noLookups struct{ t *testing.T }

func (s noLookups) Lookup(context.Context, apikey.Digest) (*apikey.Key, error) {
	s.t.Error("a lookup")
	return nil, apikey.ErrNotFound
}
