package apikey_test

import (
	"bytes"
	"fmt"
	"io"
	"mime/multipart"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestHandlerRemovesKeyFromRequest(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	var seen *http.Request
	h := s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r }))
	for _, test := range []struct{ name, target, want string }{
		{"only the key", "/p?api_key={valid}", "/p"},
		{"the key before others", "/p?api_key={valid}&a=1&b=2", "/p?a=1&b=2"},
		{"the key after others", "/p?a=1&b=2&api_key={valid}", "/p?a=1&b=2"},
		{"the key between others", "/p?a=1&api_key={valid}&b=2", "/p?a=1&b=2"},
		{"the key twice", "/p?api_key={valid}&a=1&API_KEY={valid}", "/p?a=1"},
		{"an escaped name", "/p?%61pi_key={valid}&a=1", "/p?a=1"},
		{"an empty value and the key", "/p?api_key=&a=1&api_key={valid}", "/p?a=1"},
		{"other parameters keep their bytes", "/p?z=%7e&y=a+b&api_key={valid}&x=%zz;&&w", "/p?z=%7e&y=a+b&x=%zz;&&w"},
		{"a question mark in a value", "/p?a=?&api_key={valid}", "/p?a=?"},
		{"an escaped path", "/a%2Fb?api_key={valid}", "/a%2Fb"},
		{"an absolute URI", "http://example.com/p?api_key={valid}&a=1", "http://example.com/p?a=1"},
	} {
		t.Run("query: "+test.name, func(t *testing.T) {
			r := newRequest(s.fill(test.target))
			target, url := r.RequestURI, *r.URL
			w := serve(h, r)
			require.Equal(t, 200, w.Code)
			assert.Equal(t, test.want, seen.RequestURI)
			_, query, _ := strings.Cut(test.want, "?")
			assert.Equal(t, query, seen.URL.RawQuery)
			assert.Equal(t, "no-referrer", w.Header().Get("Referrer-Policy"))
			assert.Equal(t, target, r.RequestURI, "the original request is unchanged")
			assert.Equal(t, url, *r.URL, "the original request is unchanged")
		})
	}
	t.Run("an empty parameter is removed, although the header carries the key", func(t *testing.T) {
		serve(h, newRequest("/p?api_key=&a=1", "X-API-Key: "+s.valid))
		assert.Equal(t, "/p?a=1", seen.RequestURI)
	})
	t.Run("the key is removed from a parsed Form, which keeps the values of the body", func(t *testing.T) {
		r := httptest.NewRequest("POST", s.fill("/p?api_key={valid}&a=1"), strings.NewReader("api_key=body&b=2"))
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		require.NoError(t, r.ParseForm())
		serve(h, r)
		assert.Equal(t, map[string][]string{"api_key": {"body"}, "a": {"1"}, "b": {"2"}}, map[string][]string(seen.Form))
		assert.Equal(t, []string{"body", s.valid}, r.Form["api_key"], "the original request is unchanged")
	})
	t.Run("the key is removed from a rewritten URL and from the RequestURI", func(t *testing.T) {
		strip := http.StripPrefix("/v1", h)
		r := newRequest(s.fill("/v1/p?api_key={valid}&a=1"))
		r.URL.RawQuery += "&added=1"
		serve(strip, r)
		assert.Equal(t, "/v1/p?a=1", seen.RequestURI)
		assert.Equal(t, "/p?a=1&added=1", seen.URL.String())
	})
	t.Run("the key is removed from the RequestURI if middleware removed it from the URL only", func(t *testing.T) {
		r := newRequest(s.fill("/p?a=1&api_key={valid}"), "X-API-Key: "+s.valid)
		r.URL.RawQuery = "a=1"
		serve(h, r)
		assert.Equal(t, "/p?a=1", seen.RequestURI)
	})
	t.Run("a redirect of a mux contains no key", func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("/dir/", func(http.ResponseWriter, *http.Request) {})
		w := get(s.auth.Handler(mux), s.fill("/dir?a=1&api_key={valid}"))
		assert.Equal(t, "/dir/?a=1", w.Header().Get("Location"))
	})
	t.Run("header fields of other systems give no identity", func(t *testing.T) {
		w := get(s.handler, "/", "X-API-Key: "+s.valid, "X-User: admin", "X-Api-Key-Id: admin", "X-Forwarded-User: admin")
		assert.Equal(t, s.key.ID, w.Body.String())
		assert.Equal(t, 401, get(s.handler, "/", "X-User: admin", "X-Api-Key-Id: "+s.key.ID).Code)
	})
	t.Run("the ResponseWriter is passed on unchanged", func(t *testing.T) {
		recorder := httptest.NewRecorder()
		s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			assert.Same(t, recorder, w)
		})).ServeHTTP(recorder, newRequest("/", "X-API-Key: "+s.valid))
	})
	t.Run("the original request gets the pattern of the route", func(t *testing.T) {
		mux := http.NewServeMux()
		mux.HandleFunc("GET /items/{id}", func(http.ResponseWriter, *http.Request) {})
		r := newRequest("/items/7", "X-API-Key: "+s.valid)
		serve(s.auth.Handler(mux), r)
		assert.Equal(t, "GET /items/{id}", r.Pattern)
	})
}

func TestMultipartFilesAreRemoved(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for name, middleware := range map[string]func(http.Handler) http.Handler{
		"behind Handler":             s.auth.Handler,
		"behind Conceal and Handler": func(h http.Handler) http.Handler { return s.auth.Conceal(s.auth.Handler(h)) },
	} {
		t.Run(name, func(t *testing.T) {
			var file string
			server := httptest.NewServer(middleware(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				assert.NoError(t, r.ParseMultipartForm(0))
				f, err := r.MultipartForm.File["f"][0].Open()
				if assert.NoError(t, err) {
					file = f.(*os.File).Name()
					f.Close()
				}
			})))
			var body bytes.Buffer
			form := multipart.NewWriter(&body)
			part, err := form.CreateFormFile("f", "f.bin")
			require.NoError(t, err)
			part.Write(make([]byte, 1<<16))
			form.Close()
			res, err := http.Post(server.URL+"/?api_key="+s.valid, form.FormDataContentType(), &body)
			require.NoError(t, err)
			res.Body.Close()
			server.Close() // waits until the request is finished
			require.NotEmpty(t, file)
			assert.NoFileExists(t, file)
		})
	}
}

func TestCacheControl(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	t.Run("the response to a key in a header is private", func(t *testing.T) {
		w := get(s.handler, "/", "X-Emby-Token: "+s.valid)
		assert.Equal(t, []string{"private"}, w.Header().Values("Cache-Control"))
		assert.Empty(t, w.Header().Get("Referrer-Policy"))
	})
	t.Run("the response to a key in the query is private", func(t *testing.T) {
		w := get(s.handler, "/?api_key="+s.valid)
		assert.Equal(t, []string{"private"}, w.Header().Values("Cache-Control"))
	})
	t.Run("an earlier Cache-Control is kept", func(t *testing.T) {
		w := httptest.NewRecorder()
		w.Header().Set("Cache-Control", "no-store")
		s.handler.ServeHTTP(w, newRequest("/", "X-API-Key: "+s.valid))
		assert.Equal(t, []string{"no-store"}, w.Header().Values("Cache-Control"))
	})
	t.Run("responses do not share header values", func(t *testing.T) {
		first := get(s.handler, "/?api_key="+s.valid)
		first.Header()["Cache-Control"][0] = "public"
		first.Header()["Referrer-Policy"][0] = "unsafe-url"
		second := get(s.handler, "/?api_key="+s.valid)
		assert.Equal(t, "private", second.Header().Get("Cache-Control"))
		assert.Equal(t, "no-referrer", second.Header().Get("Referrer-Policy"))
	})
	t.Run("refusals must not be stored", func(t *testing.T) {
		w := httptest.NewRecorder()
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Content-Length", "7")
		s.handler.ServeHTTP(w, newRequest("/"))
		assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
		assert.Empty(t, w.Header().Get("Content-Length"))
	})
}

func TestConcurrentRequestsKeepTheirIdentity(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	var wg sync.WaitGroup
	var mixed atomic.Int64
	for range 16 {
		secret, key := s.issue(t, apikey.NewKey{Name: "Caller", Scopes: []string{"own"}})
		wg.Go(func() {
			for i := range 200 {
				r := newRequest("/?api_key=" + secret)
				if i%2 == 0 {
					r = newRequest("/", "X-API-Key: "+secret)
				}
				if serve(s.handler, r).Body.String() != key.ID {
					mixed.Add(1)
				}
			}
		})
	}
	wg.Wait()
	assert.Zero(t, mixed.Load())
}

func TestRequestDumpContainsNoSecret(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	sum, err := s.issuer.Format().Digest(apikey.NewSecret(s.valid))
	require.NoError(t, err)
	// The store is a function, so that the dump does not include the keys of the store.
	auth, err := apikey.New(storeFunc(s.store.Lookup), apikey.Options{})
	require.NoError(t, err)
	h := auth.Conceal(auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		dumped := dumpOf(r, &http.Request{})
		assert.Contains(t, dumped, s.key.Name, "the dump contains the identity")
		assert.NotContains(t, dumped, s.valid[:33])
		assert.NotContains(t, dumped, fmt.Sprintf("% x", sum[:8]))
		io.WriteString(w, "served")
	})))
	assert.Equal(t, "served", get(h, "/p?a=1&api_key="+s.valid).Body.String())
}
