package apikey_test

import (
	"context"
	"errors"
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

// noLookups is a KeyStore that must not be asked.
type noLookups struct{ t *testing.T }

func (s noLookups) Lookup(context.Context, apikey.Digest) (*apikey.Key, error) {
	s.t.Error("a lookup")
	return nil, apikey.ErrNotFound
}
