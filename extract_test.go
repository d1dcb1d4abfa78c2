package apikey_test

import (
	"context"
	"errors"
	"net/http"
	"strings"
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
		{"X-API-Key carries a key", "/", []string{"X-API-Key: {K}"}, 200},
		{"X-Emby-Token carries a key", "/", []string{"X-Emby-Token: {K}"}, 200},
		{"header names have no case", "/", []string{"x-emby-token: {K}"}, 200},
		{"api_key carries a key", "/emby/System/Info?api_key={K}", nil, 200},
		{"api_key is found among other parameters", "/?a=1&api_key={K}&b=2", nil, 200},
		{"parameter names have no case", "/?API_Key={K}", nil, 200},
		{"a parameter name may be escaped", "/?api%5Fkey={K}", nil, 200},
		{"Authorization is no default source", "/", []string{"Authorization: Bearer {K}"}, 401},

		{"no key", "/", nil, 401},
		{"no key among parameters", "/?a=1&b=2", nil, 401},
		{"an empty header is no key", "/", []string{"X-API-Key: "}, 401},
		{"blanks are no key", "/", []string{"X-API-Key:  \t "}, 401},
		{"an empty parameter is no key", "/?api_key=", nil, 401},
		{"a parameter without a value is no key", "/?api_key", nil, 401},
		{"a blank parameter is no key", "/?api_key=%20+", nil, 401},
		{"an empty header leaves the query to speak", "/?api_key={K}", []string{"X-Emby-Token: "}, 200},
		{"an empty parameter leaves the header to speak", "/?api_key=", []string{"X-Emby-Token: {K}"}, 200},
		{"a blank parameter leaves the header to speak", "/?api_key=%20+", []string{"X-Emby-Token: {K}"}, 200},
		{"an empty line leaves the other to speak", "/", []string{"X-API-Key: ", "X-API-Key: {K}"}, 200},
		{"blanks around a header's value are not part of it", "/", []string{"X-API-Key:  {K}\t"}, 200},
		{"a blank before a parameter's value is part of it", "/?api_key=+{K}", nil, 401},

		{"the same key in two headers is one key", "/", []string{"X-API-Key: {K}", "X-Emby-Token: {K}"}, 200},
		{"the same key on two lines is one key", "/", []string{"X-API-Key: {K}", "X-API-Key: {K}"}, 200},
		{"the same key in header and query is one key", "/?api_key={K}", []string{"X-API-Key: {K}"}, 200},
		{"the same key twice in the query is one key", "/?api_key={K}&API_KEY={K}", nil, 200},

		{"two lines that differ", "/", []string{"X-API-Key: {K}", "X-API-Key: {O}"}, 400},
		{"two lines that differ, in another case", "/", []string{"x-api-key: {K}", "X-API-KEY: {O}"}, 400},
		{"a valid line before a wrong one", "/", []string{"X-API-Key: {K}", "X-API-Key: {W}"}, 400},
		{"a wrong line before a valid one", "/", []string{"X-API-Key: {W}", "X-API-Key: {K}"}, 400},
		{"two headers that differ", "/", []string{"X-API-Key: {K}", "X-Emby-Token: {O}"}, 400},
		{"two parameters that differ", "/?api_key={K}&api_key={O}", nil, 400},
		{"two spellings of the parameter that differ", "/?api_key={K}&Api_Key={O}", nil, 400},
		{"header and query that differ", "/?api_key={O}", []string{"X-API-Key: {K}"}, 400},
		{"a valid header and nonsense in the query", "/?api_key=x", []string{"X-API-Key: {K}"}, 400},
		{"two keys on one line are one misshapen key", "/", []string{"X-API-Key: {K}, {O}"}, 401},
		{"one key twice on one line is a misshapen key", "/", []string{"X-API-Key: {K}, {K}"}, 401},

		{"a pair with a semicolon before it, which net/url drops", "/?x=1;api_key={K}", nil, 400},
		{"a pair with a semicolon behind it, which net/url drops", "/?api_key={K};x=1", nil, 400},
		{"a dropped pair beside a good one", "/?x=1;api_key={W}&api_key={K}", nil, 400},
		{"a bad escape beside a good pair, which net/url keeps", "/?api_key=%zz&api_key={K}", nil, 400},
		{"a bad escape behind a good pair", "/?api_key={K}&api_key=%", nil, 400},
		{"a dropped pair beside a valid header", "/?x=1;api_key={W}", []string{"X-API-Key: {K}"}, 400},
		{"a bad escape beside a valid header", "/?api_key=%zz", []string{"X-API-Key: {K}"}, 400},
		{"an escaped name in a dropped pair", "/?x=1;api%5fkey={K}", nil, 400},
		{"semicolons in other pairs are not our business", "/?x=1;y=2&api_key={K}", nil, 200},
		{"bad escapes in other pairs are not our business", "/?x=%zz&api_key={K}", nil, 200},
		{"as many parameters as net/url parses", "/?" + strings.Repeat("x&", 9999) + "api_key={K}", nil, 200},
		{"more parameters than net/url parses", "/?" + strings.Repeat("x&", 10000) + "api_key={K}", nil, 400},
		{"more parameters than net/url parses, with a valid header", "/?" + strings.Repeat("x&", 10000), []string{"X-API-Key: {K}"}, 400},

		{"api_key[] is not the parameter", "/?api_key[]={K}", nil, 401},
		{"api_key[0] is not the parameter", "/?api_key[0]={K}", nil, 401},
		{"apikey is not the parameter", "/?apikey={K}", nil, 401},
		{"a Kelvin sign is not a k", "/?api_%E2%84%AAey={K}", nil, 401},
		{"X_Api_Key is not the header", "/", []string{"X_Api_Key: {K}"}, 401},
		{"the parameter counts in the query alone", "/api_key={K}", nil, 401},
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
		{"Bearer carries a key", []string{"Authorization: Bearer {K}"}, 200},
		{"bearer is Bearer", []string{"Authorization: bearer {K}"}, 200},
		{"BEARER is Bearer", []string{"Authorization: BEARER {K}"}, 200},
		{"several blanks may stand behind the scheme", []string{"Authorization: Bearer   {K} "}, 200},
		{"each scheme carries a key", []string{"Authorization: apikey {K}"}, 200},
		{"another line's scheme is passed over", []string{"Authorization: Basic dTpw", "Authorization: Bearer {K}"}, 200},
		{"Bearer with nothing behind it is no key", []string{"Authorization: Bearer"}, 401},
		{"Bearer with a blank behind it is no key", []string{"Authorization: Bearer "}, 401},
		{"two words are a misshapen key", []string{"Authorization: Bearer {K} {K}"}, 401},
		{"Basic is no key", []string{"Authorization: Basic dTpw"}, 401},
		{"a longer scheme is another scheme", []string{"Authorization: Bearers {K}"}, 401},
		{"a key without a scheme is no key", []string{"Authorization: {K}"}, 401},
		{"a tab does not end a scheme", []string{"Authorization: Bearer\t{K}"}, 401},
		{"a comma does not part credentials", []string{"Authorization: Basic dTpw, Bearer {K}"}, 401},
		{"a key that a tab hides beside a valid one", []string{"Authorization: Bearer {K}", "Authorization: Bearer\t{O}"}, 400},
		{"a key behind another scheme beside a valid one", []string{"Authorization: Bearer {K}", "Authorization: Basic dTpw, bearer {O}"}, 400},
		{"a scheme's name in another one's parameters is passed over", []string{"Authorization: Bearer {K}", `Authorization: Digest username="bearer", realm=bearer`}, 200},
		{"two lines that differ", []string{"Authorization: Bearer {K}", "Authorization: Bearer {O}"}, 400},
		{"two schemes that differ", []string{"Authorization: Bearer {K}", "Authorization: ApiKey {O}"}, 400},
	} {
		t.Run(test.name, func(t *testing.T) {
			for i := range test.lines {
				test.lines[i] = s.fill(test.lines[i])
			}
			assert.Equal(t, test.status, get(s.handler, "/", test.lines...).Code)
		})
	}
}

func TestEachParameterOfSeveralIsLookedAt(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Sources: []apikey.Source{apikey.Query("api_key"), apikey.Query("ApiKey"), apikey.Query("token")}})
	for target, status := range map[string]int{
		"/?api_key={K}": 200, "/?apikey={K}": 200, "/?token={K}": 200, "/?token={K}&apikey={K}": 200, "/?api_key={K}&token={O}": 400, "/?x=1;token={K}": 400,
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
		{"what it returns is the key", s.good, nil, "", 200},
		{"empty is none", "", nil, "", 401},
		{"empty leaves the header to speak", "", nil, "X-API-Key: {K}", 200},
		{"another key than in the header", s.other, nil, "X-API-Key: {K}", 400},
		{"ErrAmbiguous is several", "", apikey.ErrAmbiguous, "X-API-Key: {K}", 400},
		{"ErrMalformed is a misshapen key", "", apikey.ErrMalformed, "X-API-Key: {K}", 401},
		{"any other error is an outage", "", errors.New("no connection"), "X-API-Key: {K}", 503},
		{"a key beside an error is not used", s.good, errors.New("no connection"), "", 503},
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
	found, failure = s.good, nil
	get(s.handler, "/")
	assert.Equal(t, "client certificate", event.Source)
}

func TestSourcesThatNewRefuses(t *testing.T) {
	t.Parallel()
	f := func(*http.Request) (string, error) { return "", nil }
	for _, test := range []struct {
		name    string
		sources []apikey.Source
		says    string
	}{
		{"none", []apikey.Source{}, "Sources: empty"},
		{"the zero Source", []apikey.Source{apikey.Bearer(), {}}, "Sources[1]: the zero Source"},
		{"Authorization as a header", []apikey.Source{apikey.Header("authorization")}, "use Bearer or Scheme"},
		{"Proxy-Authorization as a header", []apikey.Source{apikey.Header("Proxy-Authorization")}, "more than a key"},
		{"Cookie as a header", []apikey.Source{apikey.Header("cookie")}, "more than a key"},
		{"Host as a header", []apikey.Source{apikey.Header("Host")}, "more than a key"},
		{"an empty header name", []apikey.Source{apikey.Header("")}, `Header("")`},
		{"a header name with a blank", []apikey.Source{apikey.Header("X API Key")}, "name of a field"},
		{"a header name with a line break", []apikey.Source{apikey.Header("X-Key\r\n")}, "name of a field"},
		{"an empty scheme", []apikey.Source{apikey.Scheme("")}, `Scheme("")`},
		{"a scheme with a blank", []apikey.Source{apikey.Scheme("Api Key")}, "authentication scheme"},
		{"an empty parameter", []apikey.Source{apikey.Query("")}, `Query("")`},
		{"a parameter that needs escaping", []apikey.Source{apikey.Query("api+key")}, "letters, digits"},
		{"a parameter with a separator", []apikey.Source{apikey.Query("a&b")}, "letters, digits"},
		{"a SourceFunc without a function", []apikey.Source{apikey.SourceFunc("x", nil)}, "SourceFunc"},
		{"a SourceFunc without a name", []apikey.Source{apikey.SourceFunc("", f)}, "SourceFunc"},
		{"one header twice", []apikey.Source{apikey.Header("X-Key"), apikey.Header("x-key")}, "listed twice"},
		{"one scheme twice", []apikey.Source{apikey.Bearer(), apikey.Scheme("BEARER")}, "listed twice"},
		{"one parameter twice", []apikey.Source{apikey.Query("k"), apikey.Query("K")}, "listed twice"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := apikey.New(memstore.New(), apikey.Options{Sources: test.sources})
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.says)
		})
	}
}
