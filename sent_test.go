package apikey_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// A client can put a key into every field. It must not be able to hide other text from the rule by it.
func TestAuthorizeSeesWholeFields(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	s := newService(t, apikey.Options{Authorize: func(r *http.Request, _ *apikey.Key) error {
		seen = r
		return nil
	}})
	for name, h := range map[string]http.Handler{
		"Handler":             s.handler,
		"Conceal and Handler": s.auth.Conceal(s.handler),
		"Handler twice":       s.auth.Handler(s.handler),
		"all":                 s.auth.Conceal(s.auth.Optional(s.auth.Conceal(s.handler))),
	} {
		for _, test := range []struct{ sent, want string }{
			{"/admin/", "/admin/"},
			{"/admin/?api_key=", "/admin/?api_key="},
			{"/admin/?x=ak_" + strings.Repeat("0", 36), "/admin/?x=REDACTED"},
			{"/admin/?api_key={valid}&b=2", "/admin/?api_key=REDACTED&b=2"},
			{"/?api_key=/../admin/", "/?api_key=/../admin/"},
			{"/x;api_key=/../admin/", "/x;api_key=/../admin/"},
			{"/%3Fapi_key%3D/../admin/", "/%3Fapi_key%3D/../admin/"},
			{"/{valid}/admin/", "/REDACTED/admin/"},
			{"api_key=, 10.0.0.1", "api_key=, 10.0.0.1"},
			{"{valid}, 10.0.0.1", "REDACTED, 10.0.0.1"},
		} {
			for _, field := range append(uriFields, "X-Forwarded-For", "Forwarded", "Cookie") {
				for where, r := range map[string]*http.Request{
					"header": newRequest("/p?a=1", "X-API-Key: "+s.valid, field+": "+s.fill(test.sent)),
					"query":  newRequest("/p?a=1&api_key="+s.valid, field+": "+s.fill(test.sent)),
				} {
					require.Equal(t, 200, serve(h, r).Code)
					require.Equal(t, []string{test.want}, seen.Header[http.CanonicalHeaderKey(field)], "%s, key in the %s, %s: %s", name, where, field, test.sent)
					require.Equal(t, "/p?a=1", seen.RequestURI)
					require.Equal(t, "/p?a=1", seen.URL.String())
					require.Contains(t, r.Header.Get(field), s.fill(test.sent), "the original request is unchanged")
				}
			}
		}
	}
}

func TestAuthorizeSeesNoEncodedKey(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	s := newService(t, apikey.Options{
		Sources: []apikey.Source{apikey.SourceFunc("user", func(r *http.Request) (string, error) {
			user, _, _ := r.BasicAuth()
			return user, nil
		}, "Authorization")},
		Authorize: func(r *http.Request, _ *apikey.Key) error { seen = r; return nil },
	})
	r := newRequest("/", "X-Other: stays")
	r.SetBasicAuth(s.valid, "")
	require.Equal(t, 200, serve(s.handler, r).Code)
	require.Equal(t, http.Header{"Authorization": {"REDACTED"}, "X-Other": {"stays"}}, seen.Header)
	require.NotEqual(t, "REDACTED", r.Header.Get("Authorization"), "the original request is unchanged")
}

func TestAuthorizeSeesNoKey(t *testing.T) {
	t.Parallel()
	var seen *http.Request
	s := newService(t, apikey.Options{Authorize: func(r *http.Request, _ *apikey.Key) error { seen = r; return nil }})
	for name, h := range map[string]http.Handler{"Handler": s.handler, "Conceal and Handler": s.auth.Conceal(s.handler)} {
		r := httptest.NewRequest("POST", s.fill("/?{valid}={valid}&api_key={valid}"), strings.NewReader(s.fill("{valid}=1&x={valid}")))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("X-Any", s.valid)
		r.Trailer = http.Header{"X-Any": {s.valid}}
		require.NoError(t, r.ParseForm())
		require.Equal(t, 200, serve(h, r).Code, name)
		require.Equal(t, url.Values{"REDACTED": {"1"}, "x": {"REDACTED"}}, seen.PostForm, name)
		require.Equal(t, http.Header{"X-Any": {"REDACTED"}}, seen.Trailer, name)
		require.NotContains(t, fmt.Sprint(seen.Form, seen.Header, seen.URL, seen.RequestURI), s.valid, name)
		require.Equal(t, url.Values{s.valid: {"1"}, "x": {s.valid}}, r.PostForm, "the original request is unchanged")
	}
}
