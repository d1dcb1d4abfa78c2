package apikey_test

import (
	"bytes"
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
		{"a key is moved to where Handler finds it", "/p?a=1&api_key={K}&b=2", "", 200, "/p?a=1&b=2"},
		{"a key alone", "/p?api_key={K}", "", 200, "/p"},
		{"a wrong key is concealed and refused", "/p?api_key={W}", "", 401, "/p"},
		{"two keys are concealed and refused", "/p?api_key={K}&api_key={O}", "", 400, "/p"},
		{"a key that differs from the header's is refused", "/p?api_key={O}", "X-API-Key: {K}", 400, "/p"},
		{"a pair that net/url drops is concealed and refused", "/p?x=1;api_key={K}&y=2", "X-API-Key: {K}", 400, "/p?y=2"},
		{"a bad escape is concealed and refused", "/p?api_key=%zz&api_key={K}", "", 400, "/p"},
		{"nothing to conceal", "/p?a=1", "X-API-Key: {K}", 200, "/p?a=1"},
		{"no key", "/p?a=1", "", 401, "/p?a=1"},
		{"too many parameters stay too many", "/p?api_key={K}" + strings.Repeat("&", 10000), "", 400, "/p?"},
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
			assert.NotContains(t, log.String(), s.good)
			if test.status == 200 {
				assert.Equal(t, s.key.ID, w.Body.String())
			}
		})
	}
	t.Run("responses to concealed keys send no Referer on", func(t *testing.T) {
		w := get(h, s.fill("/p?api_key={K}"))
		assert.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
	})
	t.Run("a key in the Referer is redacted", func(t *testing.T) {
		r := newRequest("/p", s.fill("Referer: https://h/page?api_key={K}&a=1"), "X-API-Key: "+s.good)
		s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
			assert.Equal(t, "https://h/page?api_key=REDACTED&a=1", inner.Referer())
		})).ServeHTTP(httptest.NewRecorder(), r)
		assert.Contains(t, r.Referer(), s.good, "the request outside is as it was")
	})
	t.Run("a key in each field that holds a URI is redacted, on each line", func(t *testing.T) {
		for _, name := range []string{"Referer", "X-Forwarded-Uri", "X-Original-URI", "X-Original-URL", "X-Rewrite-URL"} {
			r := newRequest("/p", name+": /clean", name+s.fill(": /p?api_key={K}"), "X-API-Key: "+s.good)
			s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
				assert.Equal(t, []string{"/clean", "/p?api_key=REDACTED"}, inner.Header.Values(name))
				assert.Equal(t, s.good, inner.Header.Get("X-API-Key"), "the key itself is for Handler to find")
			})).ServeHTTP(httptest.NewRecorder(), r)
			assert.Contains(t, r.Header.Values(name)[1], s.good, "the request outside is as it was")
		}
	})
	t.Run("a key that somebody took out of the URL alone", func(t *testing.T) {
		r := newRequest(s.fill("/p?a=1&api_key={K}"))
		r.URL.RawQuery = "a=1"
		s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
			assert.Equal(t, "/p?a=1", inner.RequestURI)
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
	t.Run("two of them find both keys", func(t *testing.T) {
		twice := s.auth.Conceal(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.URL.RawQuery = s.fill("api_key={O}")
			s.auth.Conceal(s.handler).ServeHTTP(w, r)
		}))
		assert.Equal(t, 400, get(twice, s.fill("/p?api_key={K}")).Code)
	})
	t.Run("a URL that is left with an empty query", func(t *testing.T) {
		rewritten := s.auth.Conceal(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.RequestURI += "?"
			s.handler.ServeHTTP(w, r)
		}))
		assert.Equal(t, 200, get(rewritten, s.fill("/p?api_key={K}")).Code)
	})
	t.Run("another Middleware finds the key too", func(t *testing.T) {
		other, err := apikey.New(s.store, apikey.Options{Sources: []apikey.Source{apikey.Query("API_KEY")}})
		require.NoError(t, err)
		assert.Equal(t, 200, get(s.auth.Conceal(other.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))), s.fill("/?api_key={K}")).Code)
	})
	t.Run("it decides nothing", func(t *testing.T) {
		served := false
		get(s.auth.Conceal(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served = true })), s.fill("/?api_key={W}"))
		assert.True(t, served)
	})
	t.Run("a Form that was parsed before loses the key", func(t *testing.T) {
		r := newRequest(s.fill("/p?api_key={K}&a=1"))
		require.NoError(t, r.ParseForm())
		s.auth.Conceal(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, url.Values{"a": {"1"}}, r.Form)
		})).ServeHTTP(httptest.NewRecorder(), r)
	})
}

func TestRedactURI(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for _, test := range []struct{ name, uri, want string }{
		{"nothing", "", ""},
		{"no key", "/p?a=1", "/p?a=1"},
		{"a key alone", "/p?api_key={K}", "/p?api_key=REDACTED"},
		{"a key among others", "/p?a=1&api_key={K}&b=2", "/p?a=1&api_key=REDACTED&b=2"},
		{"several", "/p?api_key={K}&API_KEY=x", "/p?api_key=REDACTED&API_KEY=REDACTED"},
		{"an escaped name", "/p?%61pi%5Fkey=x", "/p?%61pi%5Fkey=REDACTED"},
		{"an empty value", "/p?api_key=&a=1", "/p?api_key=REDACTED&a=1"},
		{"a name without a value", "/p?api_key&a=1", "/p?api_key&a=1"},
		{"another name", "/p?my_api_key=x", "/p?my_api_key=x"},
		{"behind a semicolon", "/p?x=1;api_key=x", "/p?x=1;api_key=REDACTED"},
		{"a semicolon in the value", "/p?api_key=a;b&c=d", "/p?api_key=REDACTED&c=d"},
		{"a second question mark", "/p?x?api_key=y", "/p?x?api_key=REDACTED"},
		{"behind a fragment", "/p#api_key=x", "/p#api_key=REDACTED"},
		{"a fragment behind it", "/p?api_key=x#f", "/p?api_key=REDACTED"},
		{"an equals sign in the value", "/p?api_key==x=y", "/p?api_key=REDACTED"},
		{"an absolute URI", "http://u@h/p?api_key=x", "http://u@h/p?api_key=REDACTED"},
		{"a bare query", "a=1&api_key=x", "a=1&api_key=REDACTED"},
		{"a bare pair", "api_key=x", "api_key=REDACTED"},
		{"a key in the path", "/Auth/Keys/{K}", "/Auth/Keys/REDACTED"},
		{"a key in the path, with more behind it", "/Auth/Keys/{K}/Delete", "/Auth/Keys/REDACTED/Delete"},
		{"what looks like a key in another parameter", "/p?next={W}&a=1", "/p?next=REDACTED&a=1"},
		{"less than a key in the path", "/ak_0123", "/ak_0123"},
		{"an escaped key in the path", "/%61k%5f{k}/x", "/REDACTED/x"},
		{"a URI that is escaped in another one", "/p?next=%2Fq%3Fb%3D1%26api_key%3Dlegacy&a=1", "/p?next=%2Fq%3Fb%3D1%26api_key%3DREDACTED&a=1"},
		{"a URI that is escaped twice", "/p?next=%252Fq%253Fapi_key%253Dlegacy", "/p?next=%252Fq%253Fapi_key%253DREDACTED"},
		{"an escaped name and value", "/p?%61pi_key%3dlegacy&a=1", "/p?%61pi_key%3dREDACTED&a=1"},
		{"an escaped name without a value", "/p?#API%5fKEY=", "/p?#API%5fKEY=REDACTED"},
		{"an escaped separator in a value hides nothing of it", "/p?api_key=a%26b&c=d", "/p?api_key=REDACTED&c=d"},
		{"escapes that are none", "/p?a=%zz%2&b=%", "/p?a=%zz%2&b=%"},
		{"escapes of escapes without end", "/p?a=%" + strings.Repeat("25", 1<<16) + "&api_key={K}", "/p?a=%" + strings.Repeat("25", 1<<16) + "&api_key=REDACTED"},
		{"the prefix twice", "/ak_ak_0123456789012345678901234567890123456789", "/ak_REDACTED6789"},
	} {
		t.Run(test.name, func(t *testing.T) {
			uri := strings.ReplaceAll(s.fill(test.uri), "{k}", s.good[len("ak_"):])
			assert.Equal(t, test.want, s.auth.RedactURI(uri))
		})
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
	r := newRequest(s.fill("/?a=1&api_key={K}&b=2"), s.fill("X-API-Key: {K}"), "X-Emby-Token: not ours", "Cookie: c=d",
		s.fill("Authorization: Bearer {K}"), "Authorization: Basic dTpw", "X-Bad: x", s.fill("Referer: https://h/?api_key={K}"))
	s.auth.RemoveKeys(r)
	assert.Equal(t, "/?a=1&b=2", r.RequestURI)
	assert.Equal(t, "a=1&b=2", r.URL.RawQuery)
	assert.Equal(t, http.Header{"X-Emby-Token": {"not ours"}, "Cookie": {"c=d"}, "Authorization": {"Basic dTpw"}}, r.Header)

	r = newRequest("/", s.fill("Authorization: Bearer\t{K}"), s.fill("Authorization: Basic dTpw, Bearer {K}"), s.fill("X-Original-URI: /p?api_key={K}"),
		"X-Forwarded-Uri: /p", "X-Other: stays")
	s.auth.RemoveKeys(r)
	assert.Equal(t, http.Header{"X-Forwarded-Uri": {"/p"}, "X-Other": {"stays"}}, r.Header, "keys that we did not take for keys, but others may")

	r = newRequest("/?a=1", "X-Other: stays")
	r.Form = url.Values{"api_key": {s.good}, "a": {"1"}}
	s.auth.RemoveKeys(r)
	assert.Equal(t, url.Values{"a": {"1"}}, r.Form, "a Form that still holds the key")

	r = newRequest("/", s.fill(`Authorization: MediaBrowser Token="{K}"`), "X-Other: stays")
	s.auth.RemoveKeys(r)
	assert.Equal(t, http.Header{"X-Other": {"stays"}}, r.Header, "the field a SourceFunc reads is removed, others are not")

	r = newRequest("/"+s.good, "X-Other: stays")
	s.auth.RemoveKeys(r)
	assert.Equal(t, http.Header{"X-Other": {"stays"}}, r.Header, "a key that is not in a field costs no field")
}

// A SourceFunc that reads more than the header must not make RemoveKeys take it for the key's place.
func TestRemoveKeysAsksSourceFuncsForFieldsAlone(t *testing.T) {
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
		assert.Equal(t, "key", string(body), "the body is left for the upstream")
	}
}

func TestRemoveKeysLeavesNoEmptyField(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Sources: []apikey.Source{
		apikey.Bearer(), apikey.SourceFunc("host", func(r *http.Request) (string, error) { return r.Host, nil }),
	}})
	r := newRequest("/", "Authorization: Bearer "+s.good, "X-Other: stays")
	s.auth.RemoveKeys(r)
	assert.Equal(t, http.Header{"X-Other": {"stays"}}, r.Header, "and none is taken for a key that is in the Host")
}

func TestBehindAReverseProxyNoKeyArrives(t *testing.T) {
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
	for _, template := range []string{"/p?a=1&api_key={K} ", "/p?a=1 {K}", "/p?a=1&api_key={K} {K}"} {
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
		assert.NotContains(t, arrived, s.good)
	}
}
