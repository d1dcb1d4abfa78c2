package apikey_test

import (
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestRemoveKeys(t *testing.T) {
	t.Parallel()
	token := func(r *http.Request) (string, error) {
		for _, line := range r.Header.Values("Authorization") {
			if _, key, ok := strings.Cut(line, `Token="`); ok {
				return strings.TrimSuffix(key, `"`), nil
			}
		}
		if r.Header.Get("X-Bad") != "" {
			return "", errors.New("cannot be read")
		}
		return "", nil
	}
	s := newService(t, apikey.Options{Sources: []apikey.Source{
		apikey.Header("X-API-Key"), apikey.Bearer(), apikey.Query("api_key"), apikey.SourceFunc("token", token),
		apikey.SourceFunc("path", func(r *http.Request) (string, error) { return strings.TrimPrefix(r.URL.Path, "/"), nil }),
	}})
	r := newRequest(s.fill("/?a=1&api_key={valid}&b=2"), s.fill("X-API-Key: {valid}"), "X-Emby-Token: not ours", "Cookie: c=d",
		s.fill("Authorization: Bearer {valid}"), "Authorization: Basic dTpw", "X-Bad: x", s.fill("Referer: https://h/?api_key={valid}"))
	s.auth.RemoveKeys(r)
	assert.Equal(t, "/?a=1&b=2", r.RequestURI)
	assert.Equal(t, "a=1&b=2", r.URL.RawQuery)
	assert.Equal(t, http.Header{"X-Emby-Token": {"not ours"}, "Cookie": {"c=d"}, "Authorization": {"Basic dTpw"},
		"Referer": {"https://h/?api_key=REDACTED"}}, r.Header)

	r = newRequest("/", s.fill("Authorization: Bearer\t{valid}"), s.fill("Authorization: Basic dTpw, Bearer {valid}"), s.fill("X-Original-URI: /p?api_key={valid}"),
		"X-Forwarded-Uri: /p", "X-Other: stays")
	s.auth.RemoveKeys(r)
	assert.Equal(t, http.Header{"X-Forwarded-Uri": {"/p"}, "X-Original-Uri": {"/p?api_key=REDACTED"}, "X-Other": {"stays"}}, r.Header,
		"keys that the Middleware does not read, but other software may")

	r = newRequest("/?a=1", "X-Other: stays")
	r.Form = url.Values{"api_key": {s.valid}, "a": {"1"}}
	s.auth.RemoveKeys(r)
	assert.Equal(t, url.Values{"a": {"1"}}, r.Form, "the key is removed from a parsed Form")

	r = newRequest("/", s.fill(`Authorization: MediaBrowser Token="{valid}"`), "X-Other: stays")
	s.auth.RemoveKeys(r)
	assert.Equal(t, http.Header{"X-Other": {"stays"}}, r.Header, "the field that a SourceFunc reads is removed, others remain")

	r = newRequest("/"+s.valid, "X-Other: stays")
	s.auth.RemoveKeys(r)
	assert.Equal(t, http.Header{"X-Other": {"stays"}}, r.Header, "no field is removed for a key in the path")
}

func TestRemoveKeysKeepsRestOfField(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Sources: []apikey.Source{
		apikey.Header("X-API-Key"), apikey.Query("api_key"), apikey.SourceFunc("uri", keyOfForwardedURI, "X-Forwarded-Uri"),
	}})
	for _, field := range append(uriFields, "Cookie", "X-Forwarded-For") {
		for _, test := range []struct{ sent, want string }{
			{"/admin/?api_key=", "/admin/?api_key=REDACTED"},
			{"/admin/?x=ak_" + strings.Repeat("0", 36), "/admin/?x=REDACTED"},
			{"/admin/?k={valid}&b=2", "/admin/?k=REDACTED&b=2"},
			{"api_key=, 10.0.0.1", "api_key=REDACTED, 10.0.0.1"},
			{"/x;api_key=/../admin/", "/x;api_key=/../admin/"},
			{"/%3Fapi_key%3D%2F..%2Fadmin%2F", "/%3Fapi_key%3DREDACTED%2F..%2Fadmin%2F"},
			{"/admin/", "/admin/"},
		} {
			r := newRequest("/p?apikey={valid}&a=1", field+": "+s.fill(test.sent))
			r.URL.RawQuery, r.RequestURI = s.fill(r.URL.RawQuery), s.fill(r.RequestURI)
			s.auth.RemoveKeys(r)
			require.Equal(t, test.want, r.Header.Get(field), "%s: %s", field, test.sent)
			require.Equal(t, "apikey=REDACTED&a=1", r.URL.RawQuery)
			require.Equal(t, "/p?apikey=REDACTED&a=1", r.RequestURI)
		}
	}
}

// A SourceFunc may also read other parts of a request. RemoveKeys must not remove a field for these.
func TestRemoveKeysCallsSourceFuncWithHeaderOnly(t *testing.T) {
	t.Parallel()
	places := map[string]func(*http.Request) string{
		"the path":        func(r *http.Request) string { return strings.TrimPrefix(r.URL.Path, "/") },
		"the query":       func(r *http.Request) string { return r.URL.Query().Get("k") },
		"the request URI": func(r *http.Request) string { return strings.TrimPrefix(r.RequestURI, "/") },
		"the form":        func(r *http.Request) string { return r.Form.Get("k") },
		"the body": func(r *http.Request) string {
			body, _ := io.ReadAll(r.Body)
			return string(body)
		},
	}
	for name, place := range places {
		s := newService(t, apikey.Options{Sources: []apikey.Source{apikey.SourceFunc(name, func(r *http.Request) (string, error) {
			if key := r.Header.Get("X-Token"); key != "" {
				return key, nil
			}
			return place(r), nil
		})}})
		r := httptest.NewRequest("POST", "/key?k=key", strings.NewReader("key"))
		r.Header = http.Header{"X-Token": {"key"}, "X-Other": {"stays"}}
		r.Form = url.Values{"k": {"key"}}
		s.auth.RemoveKeys(r)
		assert.Equal(t, http.Header{"X-Other": {"stays"}}, r.Header, name)
		body, err := io.ReadAll(r.Body)
		require.NoError(t, err)
		assert.Equal(t, "key", string(body), "the body remains for the upstream")
	}
}

func TestRemoveKeysLeavesNoEmptyField(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Sources: []apikey.Source{
		apikey.Bearer(), apikey.SourceFunc("host", func(r *http.Request) (string, error) { return r.Host, nil }),
	}})
	r := newRequest("/", "Authorization: Bearer "+s.valid, "X-Other: stays")
	s.auth.RemoveKeys(r)
	assert.Equal(t, http.Header{"X-Other": {"stays"}}, r.Header, "no field is removed for a key in the Host")
}

func TestRemoveKeysBeforeReverseProxy(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	var arrived string
	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		arrived = fmt.Sprint(r.RequestURI, r.Header)
	}))
	t.Cleanup(upstream.Close)
	target, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	proxy := httptest.NewServer(s.auth.Conceal(s.auth.Handler(&httputil.ReverseProxy{Rewrite: func(pr *httputil.ProxyRequest) {
		pr.SetURL(target)
		s.auth.RemoveKeys(pr.Out)
	}})))
	t.Cleanup(proxy.Close)
	for _, template := range []string{"/p?a=1&api_key={valid} ", "/p?a=1 {valid}", "/p?a=1&api_key={valid} {valid}"} {
		arrived = ""
		target, key, _ := strings.Cut(s.fill(template), " ")
		r, err := http.NewRequestWithContext(t.Context(), "GET", proxy.URL+target, nil)
		require.NoError(t, err)
		r.Header.Set("X-Emby-Token", key)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		io.Copy(io.Discard, res.Body)
		res.Body.Close()
		assert.Equal(t, 200, res.StatusCode)
		assert.True(t, strings.HasPrefix(arrived, "/p?a=1map["), arrived)
		assert.NotContains(t, arrived, s.valid)
	}
}
