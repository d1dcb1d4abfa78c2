package apikey_test

import (
	"context"
	"errors"
	"net/http"
	"net/url"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestSchemes(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Sources: []apikey.Source{apikey.Bearer(), apikey.Scheme("ApiKey")}})
	for _, test := range []struct {
		name   string
		lines  []string
		status int
	}{
		{"Bearer carries a key", []string{"Authorization: Bearer {valid}"}, 200},
		{"bearer carries a key", []string{"Authorization: bearer {valid}"}, 200},
		{"BEARER carries a key", []string{"Authorization: BEARER {valid}"}, 200},
		{"several spaces may follow the scheme", []string{"Authorization: Bearer   {valid} "}, 200},
		{"another scheme carries a key", []string{"Authorization: apikey {valid}"}, 200},
		{"a line with an unknown scheme is ignored", []string{"Authorization: Basic dTpw", "Authorization: Bearer {valid}"}, 200},
		{"Bearer without credentials is not a key", []string{"Authorization: Bearer"}, 401},
		{"Bearer and a space are not a key", []string{"Authorization: Bearer "}, 401},
		{"two words are one malformed key", []string{"Authorization: Bearer {valid} {valid}"}, 401},
		{"Basic credentials are not a key", []string{"Authorization: Basic dTpw"}, 401},
		{"a longer scheme is another scheme", []string{"Authorization: Bearers {valid}"}, 401},
		{"a key without a scheme is ignored", []string{"Authorization: {valid}"}, 401},
		{"a tab does not end a scheme", []string{"Authorization: Bearer\t{valid}"}, 401},
		{"a comma does not separate credentials", []string{"Authorization: Basic dTpw, Bearer {valid}"}, 401},
		{"a key after a tab, and another key", []string{"Authorization: Bearer {valid}", "Authorization: Bearer\t{other}"}, 400},
		{"a key after another scheme, and another key", []string{"Authorization: Bearer {valid}", "Authorization: Basic dTpw, bearer {other}"}, 400},
		{"the scheme in parameters of another scheme is ignored", []string{"Authorization: Bearer {valid}", `Authorization: Digest username="bearer", realm=bearer`}, 200},
		{"two lines differ", []string{"Authorization: Bearer {valid}", "Authorization: Bearer {other}"}, 400},
		{"two schemes differ", []string{"Authorization: Bearer {valid}", "Authorization: ApiKey {other}"}, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i := range test.lines {
				test.lines[i] = s.fill(test.lines[i])
			}
			assert.Equal(t, test.status, get(s.handler, "/", test.lines...).Code)
		})
	}
}

func TestSeveralQuerySources(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Sources: []apikey.Source{apikey.Query("api_key"), apikey.Query("ApiKey"), apikey.Query("token")}})
	for target, status := range map[string]int{
		"/?api_key={valid}": 200, "/?apikey={valid}": 200, "/?token={valid}": 200, "/?token={valid}&apikey={valid}": 200, "/?api_key={valid}&token={other}": 400, "/?x=1;token={valid}": 400,
	} {
		assert.Equal(t, status, get(s.handler, s.fill(target)).Code, target)
	}
}

func TestSourceFunc(t *testing.T) {
	t.Parallel()
	var found string
	var failure error
	var event apikey.Event
	s := newService(t, apikey.Options{
		Sources: []apikey.Source{
			apikey.Header("X-API-Key"),
			apikey.SourceFunc("client certificate", func(*http.Request) (string, error) { return found, failure }),
		},
		Observe: func(_ context.Context, e apikey.Event) { event = e },
	})
	for _, test := range []struct {
		name    string
		found   string
		failure error
		line    string
		status  int
	}{
		{"the result is the key", s.valid, nil, "", 200},
		{"an empty result is not a key", "", nil, "", 401},
		{"an empty result is ignored beside a key in a header", "", nil, "X-API-Key: {valid}", 200},
		{"the result and a header differ", s.other, nil, "X-API-Key: {valid}", 400},
		{"ErrAmbiguous means several keys", "", apikey.ErrAmbiguous, "X-API-Key: {valid}", 400},
		{"ErrMalformed means a malformed key", "", apikey.ErrMalformed, "X-API-Key: {valid}", 401},
		{"another error is an outage", "", errors.New("no connection"), "X-API-Key: {valid}", 503},
		{"a key with an error is ignored", s.valid, errors.New("no connection"), "", 503},
	} {
		t.Run(test.name, func(t *testing.T) {
			found, failure = test.found, test.failure
			var lines []string
			if test.line != "" {
				lines = []string{s.fill(test.line)}
			}
			assert.Equal(t, test.status, get(s.handler, "/", lines...).Code)
		})
	}
	found, failure = s.valid, nil
	get(s.handler, "/")
	assert.Equal(t, "client certificate", event.Source)
}

func TestNewRefusesInvalidSources(t *testing.T) {
	t.Parallel()
	f := func(*http.Request) (string, error) { return "", nil }
	for _, test := range []struct {
		name      string
		sources   []apikey.Source
		wantError string
	}{
		{"no source", []apikey.Source{}, "Sources: empty"},
		{"the zero Source", []apikey.Source{apikey.Bearer(), {}}, "Sources[1]: the zero Source"},
		{"Authorization as a header", []apikey.Source{apikey.Header("authorization")}, "use Bearer or Scheme"},
		{"Proxy-Authorization as a header", []apikey.Source{apikey.Header("Proxy-Authorization")}, "more than a key"},
		{"Cookie as a header", []apikey.Source{apikey.Header("cookie")}, "more than a key"},
		{"Host as a header", []apikey.Source{apikey.Header("Host")}, "more than a key"},
		{"an empty header name", []apikey.Source{apikey.Header("")}, `Header("")`},
		{"a header name with a space", []apikey.Source{apikey.Header("X API Key")}, "want a field name"},
		{"a header name with a line break", []apikey.Source{apikey.Header("X-Key\r\n")}, "want a field name"},
		{"an empty scheme", []apikey.Source{apikey.Scheme("")}, `Scheme("")`},
		{"Basic, whose credentials are a name and a password", []apikey.Source{apikey.Scheme("Basic")}, "use SourceFunc"},
		{"Digest", []apikey.Source{apikey.Scheme("digest")}, "use SourceFunc"},
		{"a field of a SourceFunc with a space", []apikey.Source{apikey.SourceFunc("x", f, "X Y")}, "want a field name"},
		{"an invalid source in Prefixed", []apikey.Source{apikey.Prefixed(apikey.Header("X Y"))}, "want a field name"},
		{"one scheme twice, once Prefixed", []apikey.Source{apikey.Bearer(), apikey.Prefixed(apikey.Bearer())}, "listed twice"},
		{"a scheme with a space", []apikey.Source{apikey.Scheme("Api Key")}, "authentication scheme"},
		{"an empty parameter", []apikey.Source{apikey.Query("")}, `Query("")`},
		{"a parameter that needs escaping", []apikey.Source{apikey.Query("api+key")}, "without escaped characters"},
		{"a parameter with a separator", []apikey.Source{apikey.Query("a&b")}, "without escaped characters"},
		{"a SourceFunc without a function", []apikey.Source{apikey.SourceFunc("x", nil)}, "SourceFunc"},
		{"a SourceFunc without a name", []apikey.Source{apikey.SourceFunc("", f)}, "SourceFunc"},
		{"one header twice", []apikey.Source{apikey.Header("X-Key"), apikey.Header("x-key")}, "listed twice"},
		{"one scheme twice", []apikey.Source{apikey.Bearer(), apikey.Scheme("BEARER")}, "listed twice"},
		{"one parameter twice", []apikey.Source{apikey.Query("k"), apikey.Query("K")}, "listed twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := apikey.New(memstore.New(), apikey.Options{Sources: test.sources})
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.wantError)
		})
	}
}

func TestPrefixedIgnoresOtherCredentials(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Sources: []apikey.Source{
		apikey.Prefixed(apikey.Header("X-API-Key")), apikey.Prefixed(apikey.Bearer()), apikey.Prefixed(apikey.Query("token")),
		apikey.Prefixed(apikey.SourceFunc("cookie", func(r *http.Request) (string, error) {
			c, err := r.Cookie("token")
			if err != nil {
				return "", nil
			}
			return url.QueryUnescape(c.Value)
		}, "Cookie")),
	}})
	const jwt = "eyJhbGciOiJIUzI1NiJ9.e30.c2ln"
	for _, test := range []struct {
		name   string
		target string
		lines  []string
		status int
	}{
		{"a JWT and a key", "/", []string{"Authorization: Bearer " + jwt, "X-API-Key: {valid}"}, 200},
		{"a key and a vendor's key", "/", []string{"Authorization: Bearer {valid}", "X-API-Key: sk-vendor-0123456789"}, 200},
		{"another credential in the parameter, and a key", "/?token=abc", []string{"X-API-Key: {valid}"}, 200},
		{"another credential in a dropped parameter, and a key", "/?x=1;token=abc", []string{"X-API-Key: {valid}"}, 200},
		{"another credential in the cookie, and a key", "/", []string{"Cookie: token=abc", "X-API-Key: {valid}"}, 200},
		{"a JWT is not a key", "/", []string{"Authorization: Bearer " + jwt}, 401},
		{"two keys", "/?token={other}", []string{"X-API-Key: {valid}"}, 400},
		{"a key in a dropped parameter, and another key", "/?x=1;token={other}", []string{"X-API-Key: {valid}"}, 400},
		{"an escaped key in a dropped parameter, and another key", "/?x=1;token=%61k_x", []string{"X-API-Key: {valid}"}, 400},
		{"a value that begins with the prefix is a key", "/", []string{"Authorization: Bearer ak_short", "X-API-Key: {valid}"}, 400},
		{"a key after a JWT, and another key", "/", []string{"Authorization: Bearer " + jwt + ", Bearer {other}", "X-API-Key: {valid}"}, 400},
		{"a key after another scheme, and another key", "/", []string{"Authorization: Basic dTpw, Bearer {other}", "X-API-Key: {valid}"}, 400},
		{"a key in a line that a proxy joined, and another key", "/", []string{"X-API-Key: sk-vendor-0123456789, {other}", "Authorization: Bearer {valid}"}, 400},
		{"a key in quotes, and another key", "/", []string{`Authorization: Bearer "{other}"`, "X-API-Key: {valid}"}, 400},
		{"a key as the last word after a JWT, and another key", "/", []string{"Authorization: Bearer " + jwt + " {other}", "X-API-Key: {valid}"}, 400},
		{"a key after a space in the query", "/?token=+{other}", []string{"X-API-Key: {valid}"}, 400},
		{"a key after an escaped line break", "/?token=%0A{other}", []string{"X-API-Key: {valid}"}, 400},
		{"a key after a space in a cookie, and another key", "/", []string{"Cookie: token=%20{other}", "X-API-Key: {valid}"}, 400},
		{"the prefix within a word of another credential", "/?token=xak_y", []string{"Authorization: Bearer eyJ-ak_x.e30.c2ln", "X-API-Key: {valid}"}, 200},
	} {
		var lines []string
		for _, line := range test.lines {
			lines = append(lines, s.fill(line))
		}
		require.Equal(t, test.status, get(s.handler, s.fill(test.target), lines...).Code, test.name)
	}
	t.Run("other credentials remain in the request", func(t *testing.T) {
		var seen *http.Request
		h := s.auth.Conceal(s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r })))
		r := newRequest("/?token=abc", "Authorization: Bearer "+jwt, "X-API-Key: "+s.valid)
		require.NoError(t, r.ParseForm())
		serve(h, r)
		require.Equal(t, "/?token=abc", seen.RequestURI)
		require.Equal(t, "abc", seen.FormValue("token"))
		s.auth.RemoveKeys(seen)
		require.Equal(t, http.Header{"Authorization": {"Bearer " + jwt}}, seen.Header)
		require.Equal(t, "/?token=abc", seen.RequestURI)
	})
}
