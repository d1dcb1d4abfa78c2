package apikey_test

import (
	"bytes"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestConceal(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	var log bytes.Buffer
	h := s.auth.Conceal(logURL(&log, s.handler))
	for _, test := range []struct {
		name   string
		target string
		line   string
		status int
		logged string
	}{
		{"a concealed key is accepted", "/p?a=1&api_key={valid}&b=2", "", 200, "/p?a=1&b=2"},
		{"a concealed key without other parameters is accepted", "/p?api_key={valid}", "", 200, "/p"},
		{"an unknown key is concealed and refused", "/p?api_key={unknown}", "", 401, "/p"},
		{"two keys are concealed and refused", "/p?api_key={valid}&api_key={other}", "", 400, "/p"},
		{"a key that differs from the header is refused", "/p?api_key={other}", "X-API-Key: {valid}", 400, "/p"},
		{"a pair that net/url drops is concealed and refused", "/p?x=1;api_key={valid}&y=2", "X-API-Key: {valid}", 400, "/p?y=2"},
		{"a bad escape is concealed and refused", "/p?api_key=%zz&api_key={valid}", "", 400, "/p"},
		{"a request without a key in the URL is unchanged", "/p?a=1", "X-API-Key: {valid}", 200, "/p?a=1"},
		{"no key", "/p?a=1", "", 401, "/p?a=1"},
		{"too many parameters are refused", "/p?api_key={valid}" + strings.Repeat("&", 10000), "", 400, "/p?"},
	} {
		t.Run(test.name, func(t *testing.T) {
			log.Reset()
			var lines []string
			if test.line != "" {
				lines = append(lines, s.fill(test.line))
			}
			w := get(h, s.fill(test.target), lines...)
			assert.Equal(t, test.status, w.Code)
			assert.Contains(t, log.String(), "access log: "+test.logged)
			assert.NotContains(t, log.String(), s.valid)
			if test.status == 200 {
				assert.Equal(t, s.key.ID, w.Body.String())
			}
		})
	}
	t.Run("a response to a concealed key has Referrer-Policy", func(t *testing.T) {
		w := get(h, s.fill("/p?api_key={valid}"))
		assert.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
	})
	t.Run("a key in the Referer is redacted", func(t *testing.T) {
		r := newRequest("/p", s.fill("Referer: https://h/page?api_key={valid}&a=1"), "X-API-Key: "+s.valid)
		s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
			assert.Equal(t, "https://h/page?api_key=REDACTED&a=1", inner.Referer())
		})).ServeHTTP(httptest.NewRecorder(), r)
		assert.Contains(t, r.Referer(), s.valid, "the original request is unchanged")
	})
	t.Run("a key in each field with a URI is redacted, on each line", func(t *testing.T) {
		for _, name := range []string{"Referer", "X-Forwarded-Uri", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL"} {
			r := newRequest("/p", name+": /clean", name+s.fill(": /p?api_key={valid}"), "X-API-Key: "+s.valid)
			s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
				assert.Equal(t, []string{"/clean", "/p?api_key=REDACTED"}, inner.Header.Values(name))
				assert.Equal(t, s.valid, inner.Header.Get("X-API-Key"), "Handler reads the key here")
			})).ServeHTTP(httptest.NewRecorder(), r)
			assert.Contains(t, r.Header.Values(name)[1], s.valid, "the original request is unchanged")
		}
	})
	t.Run("a key that middleware removed from the URL only", func(t *testing.T) {
		r := newRequest(s.fill("/p?a=1&api_key={valid}"))
		r.URL.RawQuery = "a=1"
		s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
			assert.Equal(t, "/p?a=1", inner.RequestURI)
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
	t.Run("another parameter that middleware removed from the URL only", func(t *testing.T) {
		r := newRequest(s.fill("/p?a=1&next={valid}"))
		r.URL.RawQuery = "a=1"
		s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
			assert.Equal(t, "/p?a=1&next=REDACTED", inner.RequestURI)
			assert.Equal(t, "a=1", inner.URL.RawQuery)
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
	t.Run("two nested Conceals find both keys", func(t *testing.T) {
		twice := s.auth.Conceal(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = s.fill("api_key={other}")
			s.auth.Conceal(s.handler).ServeHTTP(w, r)
		}))
		assert.Equal(t, 400, get(twice, s.fill("/p?api_key={valid}")).Code)
	})
	t.Run("a RequestURI with an empty query", func(t *testing.T) {
		rewritten := s.auth.Conceal(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RequestURI += "?"
			s.handler.ServeHTTP(w, r)
		}))
		assert.Equal(t, 200, get(rewritten, s.fill("/p?api_key={valid}")).Code)
	})
	t.Run("another Middleware finds the key", func(t *testing.T) {
		other, err := apikey.New(s.store, apikey.Options{Sources: []apikey.Source{apikey.Query("API_KEY")}})
		require.NoError(t, err)
		assert.Equal(t, 200, get(s.auth.Conceal(other.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))), s.fill("/?api_key={valid}")).Code)
	})
	t.Run("Conceal serves an unknown key", func(t *testing.T) {
		served := false
		get(s.auth.Conceal(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })), s.fill("/?api_key={unknown}"))
		assert.True(t, served)
	})
	t.Run("the key is removed from a parsed Form", func(t *testing.T) {
		r := newRequest(s.fill("/p?api_key={valid}&a=1"))
		require.NoError(t, r.ParseForm())
		s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, url.Values{"a": {"1"}}, r.Form)
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
}

func TestConcealRedactsHeaderFields(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for _, field := range append(uriFields, "Cookie", "X-Forwarded-For", "User-Agent") {
		for _, test := range []struct{ sent, want string }{
			{"/p?api_key={valid}&a=1", "/p?api_key=REDACTED&a=1"},
			{"/p?api_key=legacy&a=1", "/p?api_key=REDACTED&a=1"},
			{"/p?apikey={valid}", "/p?apikey=REDACTED"},
			{"/p?next=%2Fq%3Fapi_key%3Dlegacy%26a%3D1", "/p?next=%2Fq%3Fapi_key%3DREDACTED%26a%3D1"},
			{"a=b; api_key=legacy; c=d", "a=b; api_key=REDACTED; c=d"},
			{"api_key=legacy, 10.0.0.1", "api_key=REDACTED, 10.0.0.1"},
			{"<https://h/p?api_key=legacy>; rel=next", "<https://h/p?api_key=REDACTED>; rel=next"},
			{"/x;api_key=/../admin/", "/x;api_key=/../admin/"},
			{"/x&api_key=/../admin/", "/x&api_key=/../admin/"},
			{"/%3Fapi_key%3D/../admin/", "/%3Fapi_key%3DREDACTED/../admin/"},
			{"/%3Fapi_key%3D%2F..%2Fadmin%2F", "/%3Fapi_key%3DREDACTED%2F..%2Fadmin%2F"},
			{"{valid}", "REDACTED"},
		} {
			r := newRequest("/p", field+": /clean", field+": "+s.fill(test.sent), "X-API-Key: "+s.valid)
			served := false
			s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
				served = true
				require.Equal(t, []string{"/clean", test.want}, inner.Header.Values(field), "%s: %s", field, test.sent)
				require.Equal(t, s.valid, inner.Header.Get("X-API-Key"), "Handler reads the key here")
			})).ServeHTTP(httptest.NewRecorder(), r)
			require.True(t, served)
			require.Equal(t, s.fill(test.sent), r.Header.Values(field)[1], "the original request is unchanged")
		}
	}
}

func TestConcealRedactsParameters(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for _, test := range []struct{ target, want string }{
		{"/p?apikey={valid}&a=1", "/p?apikey=REDACTED&a=1"},
		{"/p?a=1&next=%2Fq%3Fapi_key%3D{valid}", "/p?a=1&next=%2Fq%3Fapi_key%3DREDACTED"},
		{"/p?next=%2Fq%3Fapi_key%3Dlegacy", "/p?next=%2Fq%3Fapi_key%3DREDACTED"},
		{"/p?u=/x&next=a%26api_key%3Dlegacy", "/p?u=/x&next=a%26api_key%3DREDACTED"},
		{"/p?next=%2Fq%3Fapi_key%3Dle%2Fgacy", "/p?next=%2Fq%3Fapi_key%3DREDACTED"},
		{"/p?api_key={valid}&apikey={other}", "/p?apikey=REDACTED"},
	} {
		r := newRequest(s.fill(test.target))
		require.NoError(t, r.ParseForm())
		var inner *http.Request
		w := serve(s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { inner = r })), r)
		require.Equal(t, test.want, inner.RequestURI)
		require.Equal(t, test.want, inner.URL.String())
		require.NotContains(t, fmt.Sprint(inner.Form), s.valid)
		require.NotContains(t, fmt.Sprint(inner.Form), s.other)
		require.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
		require.Equal(t, s.fill(test.target), r.RequestURI, "the original request is unchanged")
	}
}

// A Handler finds keys that the Conceal of another Middleware redacted.
func TestOtherMiddlewaresFindConcealedKeys(t *testing.T) {
	t.Parallel()
	outer := newService(t, apikey.Options{})
	inner := newService(t, apikey.Options{Sources: []apikey.Source{
		apikey.Header("X-Own-Key"), apikey.Query("own_key"), apikey.Scheme("Own"), apikey.SourceFunc("uri", keyOfForwardedURI, "X-Forwarded-Uri"),
	}})
	h := outer.auth.Conceal(inner.handler)
	for _, r := range []*http.Request{
		newRequest("/", "X-Own-Key: "+inner.valid),
		newRequest("/?own_key=" + inner.valid),
		newRequest("/", "Authorization: Own "+inner.valid),
		newRequest("/", "X-Forwarded-Uri: /p?k="+inner.valid),
	} {
		require.Equal(t, 200, serve(h, r).Code, "%v %v", r.URL, r.Header)
	}
	require.Equal(t, 400, get(h, "/?own_key="+inner.valid, "X-Own-Key: "+inner.other).Code)

	// Two Conceals redact different parts of the same field.
	prefixed := newService(t, apikey.Options{Sources: []apikey.Source{
		apikey.Header("X-Own-Key"), apikey.Query("own_key"), apikey.Prefixed(apikey.SourceFunc("uri", keyOfForwardedURI, "X-Forwarded-Uri")),
	}})
	both := outer.auth.Conceal(prefixed.auth.Conceal(prefixed.handler))
	uri := "X-Forwarded-Uri: /p?own_key=x&k=" + prefixed.valid
	require.Equal(t, 200, get(both, "/", uri).Code)
	require.Equal(t, 400, get(both, "/", uri, "X-Own-Key: "+prefixed.other).Code)
}

// A mux outside of Handler redirects to a clean path, and copies the query into Location and body.
func TestRedirectBehindConcealContainsNoKey(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	mux := http.NewServeMux()
	mux.Handle("/p", s.handler)
	mux.Handle("/dir/", s.handler)
	for _, target := range []string{"//p?a=1&api_key={valid}", "/x/../p?api_key={valid}", "/dir?a=1&api_key={valid}"} {
		w := get(s.auth.Conceal(mux), s.fill(target))
		require.Contains(t, []int{301, 307}, w.Code, target)
		require.NotContains(t, w.Header().Get("Location")+w.Body.String(), s.valid, target)
	}
}
