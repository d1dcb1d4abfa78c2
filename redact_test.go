package apikey_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"runtime"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// uriFields are header fields in which proxies and clients pass on the URI of a request.
var uriFields = []string{
	"X-Forwarded-Uri", "X-Original-Uri", "X-Original-Url", "X-Rewrite-Url", "X-Envoy-Original-Path", "X-Waws-Unencoded-Url",
	"X-Ms-Original-Url", "X-Auth-Request-Redirect", "X-Replaced-Path", "Hx-Current-Url", "X_original_uri", "Referer", "X-Anything",
}

func TestRedactURI(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for _, test := range []struct{ name, uri, want string }{
		{"an empty text", "", ""},
		{"no key", "/p?a=1", "/p?a=1"},
		{"only a key", "/p?api_key={valid}", "/p?api_key=REDACTED"},
		{"a key between other parameters", "/p?a=1&api_key={valid}&b=2", "/p?a=1&api_key=REDACTED&b=2"},
		{"several keys", "/p?api_key={valid}&API_KEY=x", "/p?api_key=REDACTED&API_KEY=REDACTED"},
		{"an escaped name", "/p?%61pi%5Fkey=x", "/p?%61pi%5Fkey=REDACTED"},
		{"an empty value", "/p?api_key=&a=1", "/p?api_key=REDACTED&a=1"},
		{"a name without a value", "/p?api_key&a=1", "/p?api_key&a=1"},
		{"another name", "/p?my_api_key=x", "/p?my_api_key=x"},
		{"a key after a semicolon", "/p?x=1;api_key=x", "/p?x=1;api_key=REDACTED"},
		{"a semicolon in the value", "/p?api_key=a;b&c=d", "/p?api_key=REDACTED&c=d"},
		{"a second question mark", "/p?x?api_key=y", "/p?x?api_key=REDACTED"},
		{"a key in the fragment", "/p#api_key=x", "/p#api_key=REDACTED"},
		{"a fragment after the key", "/p?api_key=x#f", "/p?api_key=REDACTED"},
		{"an equals sign in the value", "/p?api_key==x=y", "/p?api_key=REDACTED"},
		{"an absolute URI", "http://u@h/p?api_key=x", "http://u@h/p?api_key=REDACTED"},
		{"a bare query", "a=1&api_key=x", "a=1&api_key=REDACTED"},
		{"a bare pair", "api_key=x", "api_key=REDACTED"},
		{"a key in the path", "/Auth/Keys/{valid}", "/Auth/Keys/REDACTED"},
		{"a key in the path before another segment", "/Auth/Keys/{valid}/Delete", "/Auth/Keys/REDACTED/Delete"},
		{"a key in another parameter", "/p?next={unknown}&a=1", "/p?next=REDACTED&a=1"},
		{"a text shorter than a key", "/ak_0123", "/ak_0123"},
		{"an escaped key in the path", "/%61k%5f{k}/x", "/REDACTED/x"},
		{"a URI that is escaped within another one", "/p?next=%2Fq%3Fb%3D1%26api_key%3Dlegacy&a=1", "/p?next=%2Fq%3Fb%3D1%26api_key%3DREDACTED&a=1"},
		{"a URI that is escaped twice", "/p?next=%252Fq%253Fapi_key%253Dlegacy", "/p?next=%252Fq%253Fapi_key%253DREDACTED"},
		{"an escaped name and value", "/p?%61pi_key%3dlegacy&a=1", "/p?%61pi_key%3dREDACTED&a=1"},
		{"an escaped name without a value", "/p?#API%5fKEY=", "/p?#API%5fKEY=REDACTED"},
		{"an escaped separator does not end a value", "/p?api_key=a%26b&c=d", "/p?api_key=REDACTED&c=d"},
		{"bad escapes", "/p?a=%zz%2&b=%", "/p?a=%zz%2&b=%"},
		{"an escape of an escape, many times", "/p?a=%" + strings.Repeat("25", 1<<16) + "&api_key={valid}", "/p?a=%" + strings.Repeat("25", 1<<16) + "&api_key=REDACTED"},
		{"the prefix twice", "/ak_ak_0123456789012345678901234567890123456789", "/ak_REDACTED6789"},
	} {
		t.Run(test.name, func(t *testing.T) {
			uri := strings.ReplaceAll(s.fill(test.uri), "{k}", s.valid[len("ak_"):])
			assert.Equal(t, test.want, s.auth.RedactURI(uri))
		})
	}
}

// A client without a key may send a field of a megabyte. Redacting a text that is 64 times as long
// takes about 64 times as long, not 64 × 64 times.
func TestRedactionTakesLinearTime(t *testing.T) {
	const size, factor, tolerance = 1 << 11, 64, 16
	s := newService(t, apikey.Options{Sources: []apikey.Source{apikey.Query("api_key"), apikey.Prefixed(apikey.Query("token"))}})
	redact := map[string]func(text string){
		"RedactURI": func(text string) { s.auth.RedactURI(text) },
		"Conceal, a field": func(text string) {
			get(s.auth.Conceal(http.NotFoundHandler()), "/", "X-Any: "+text)
		},
		"Conceal, the query": func(text string) {
			r := newRequest("/")
			r.URL.RawQuery, r.RequestURI = text, "/?"+text
			serve(s.auth.Conceal(http.NotFoundHandler()), r)
		},
	}
	for _, unit := range []string{
		",", " a", "=", ",=", "&", ";", "?", "/", "%", "%2C", "%252C", "api_key", "api_key=", "&api_key=", "/,api_key=", "?api_key=x,", ";token=x", "token=ak_&",
		"%26api_key%3D", "ak_", "REDACTED=",
	} {
		for name, f := range redact {
			took := func(times, n int) time.Duration {
				text := strings.Repeat(unit, n/len(unit)) + "=%41"
				begin := time.Now()
				for range times {
					f(text)
				}
				return time.Since(begin)
			}
			var many, one time.Duration
			for range 5 { // because other programs take time too
				many, one = took(factor, size), took(1, factor*size)
				if one < tolerance*many {
					break
				}
			}
			require.Less(t, one, tolerance*many, "%s, %q: %v for one text; %v for %d short ones", name, unit, one, many, factor)
		}
	}
}

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

func TestSourceFuncErrorContainsNoKey(t *testing.T) {
	t.Parallel()
	for name, outcome := range map[string]error{"malformed": apikey.ErrMalformed, "ambiguous": apikey.ErrAmbiguous, "an outage": io.ErrUnexpectedEOF} {
		var log bytes.Buffer
		var event apikey.Event
		s := newService(t, apikey.Options{
			Sources: []apikey.Source{apikey.SourceFunc("own", func(r *http.Request) (string, error) {
				return "", fmt.Errorf("cannot read %q: %w", r.Header.Get("X-Own"), outcome)
			})},
			Observe: func(_ context.Context, e apikey.Event) { event = e },
			Logger:  slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		})
		get(s.handler, "/", s.fill("X-Own: <{valid}>"))
		require.ErrorIs(t, event.Err, outcome, name)
		require.Contains(t, event.Err.Error(), `cannot read "<REDACTED>": `, name)
		require.NotContains(t, dumpOf(event, apikey.Event{}), s.valid, name)
		require.Contains(t, log.String(), "REDACTED", name)
		require.NotContains(t, log.String(), s.valid, name)
	}
}

// A long query of an anonymous request costs little memory, however often a part of it is escaped and
// however many key parameters it seems to have.
func TestLongQueryCostsLittleMemory(t *testing.T) {
	s := newService(t, apikey.Options{})
	h := s.auth.Conceal(s.handler)
	for _, part := range []string{"%25", "%2525252525", "%61", " api_key=/", "%20api_key=/"} {
		query := strings.Repeat(part, 1<<20/len(part))
		r := httptest.NewRequest(http.MethodGet, "/p", nil)
		r.URL.RawQuery, r.RequestURI = query, "/p?"+query
		var before, after runtime.MemStats
		runtime.ReadMemStats(&before)
		require.Equal(t, 401, serve(h, r).Code, part)
		runtime.ReadMemStats(&after)
		times := float64(after.TotalAlloc-before.TotalAlloc) / float64(len(query))
		assert.Less(t, times, 40.0, "a query of %q allocates %.0f times its length", part, times)
	}
}
