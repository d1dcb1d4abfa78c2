package apikey_test

import (
	"bufio"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httptrace"
	"net/http/httputil"
	"net/textproto"
	"net/url"
	"os"
	"strings"
	"testing"
	"testing/fstest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// withVary is middleware that sets Vary.
func withVary(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Vary", "X-Api-Key")
		next.ServeHTTP(w, r)
	})
}

// startServer serves handler over TCP. Hijacking and informational responses need a connection.
func startServer(t *testing.T, handler http.Handler) *httptest.Server {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return server
}

// newPrivateProxy returns a reverse proxy to upstream behind KeepPrivate, and the service whose key it
// requires.
func newPrivateProxy(t *testing.T, upstream http.Handler) (*service, *httptest.Server) {
	s := newService(t, apikey.Options{})
	target, err := url.Parse(startServer(t, upstream).URL)
	require.NoError(t, err)
	proxy := &httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) { p.SetURL(target) }}
	return s, startServer(t, withVary(s.auth.Handler(apikey.KeepPrivate(proxy))))
}

// assertPrivate checks the header fields of a response to a key in the query.
func assertPrivate(t *testing.T, res *http.Response) {
	t.Helper()
	assert.Equal(t, []string{"private"}, res.Header.Values("Cache-Control"))
	assert.Equal(t, []string{"no-referrer"}, res.Header.Values("Referrer-Policy"))
	assert.Equal(t, []string{"X-Api-Key"}, res.Header.Values("Vary"))
}

func TestKeepPrivateWithReverseProxy(t *testing.T) {
	t.Parallel()
	upstream := http.NewServeMux()
	upstream.HandleFunc("/plain", func(http.ResponseWriter, *http.Request) {})
	upstream.HandleFunc("/hints", func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Link", "</style.css>; rel=preload")
		w.WriteHeader(http.StatusEarlyHints)
		w.WriteHeader(http.StatusProcessing)
		http.Error(w, "no such page", http.StatusNotFound)
	})
	upstream.HandleFunc("/continue", func(w http.ResponseWriter, r *http.Request) { io.Copy(w, r.Body) })
	upstream.HandleFunc("/gone", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	s, proxy := newPrivateProxy(t, upstream)
	target := func(path string) string {
		return s.fill(path + "?api_key={valid} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n")
	}

	t.Run("a response", func(t *testing.T) {
		res, _ := raw(t, proxy, "GET "+target("/plain")+"\r\n")
		assertPrivate(t, res)
	})
	t.Run("an error after informational responses", func(t *testing.T) {
		var informed []int
		trace := &httptrace.ClientTrace{Got1xxResponse: func(code int, _ textproto.MIMEHeader) error {
			informed = append(informed, code)
			return nil
		}}
		r, err := http.NewRequestWithContext(httptrace.WithClientTrace(t.Context(), trace), "GET", proxy.URL+s.fill("/hints?api_key={valid}"), nil)
		require.NoError(t, err)
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		assert.Equal(t, []int{103, 102}, informed)
		assert.Equal(t, http.StatusNotFound, res.StatusCode)
		assertPrivate(t, res)
	})
	t.Run("a response after 100 Continue", func(t *testing.T) {
		r, err := http.NewRequestWithContext(t.Context(), "POST", proxy.URL+s.fill("/continue?api_key={valid}"), strings.NewReader("hello"))
		require.NoError(t, err)
		r.Header.Set("Expect", "100-continue")
		res, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		defer res.Body.Close()
		body, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		assert.Equal(t, "hello", string(body))
		assertPrivate(t, res)
	})
	t.Run("an upstream that aborts the response", func(t *testing.T) {
		res, _ := raw(t, proxy, "GET "+target("/gone")+"\r\n")
		assert.Equal(t, http.StatusBadGateway, res.StatusCode)
		assertPrivate(t, res)
	})
}

func TestKeepPrivateWithUpstreamFields(t *testing.T) {
	t.Parallel()
	var header http.Header // of the upstream
	s, proxy := newPrivateProxy(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { maps.Copy(w.Header(), header) }))
	for _, test := range []struct {
		name         string
		header, want http.Header
	}{
		{"public becomes private",
			http.Header{"Cache-Control": {"public, max-age=60"}}, http.Header{"Cache-Control": {"private"}}},
		{"no-store is kept",
			http.Header{"Cache-Control": {"No-Store"}}, http.Header{"Cache-Control": {"No-Store"}}},
		{"private is kept with its other directives",
			http.Header{"Cache-Control": {"max-age=60", "private"}}, http.Header{"Cache-Control": {"max-age=60", "private"}}},
		{"private with field names becomes private",
			http.Header{"Cache-Control": {`private="set-cookie", max-age=60`}}, http.Header{"Cache-Control": {"private"}}},
		{"private within a quoted string becomes private",
			http.Header{"Cache-Control": {`ext="a, private, \", no-store"`}}, http.Header{"Cache-Control": {"private"}}},
		{"a directive that begins like private becomes private",
			http.Header{"Cache-Control": {"privately"}}, http.Header{"Cache-Control": {"private"}}},
		{"fields for one class of caches are removed",
			http.Header{"Cdn-Cache-Control": {"max-age=60"}, "X-Accel-Expires": {"60"}, "Surrogate-Control": {"max-age=60"}, "Edge-Control": {"max-age=60"}, "Expires": {"0"}},
			http.Header{"Cache-Control": {"private"}, "Cdn-Cache-Control": nil, "X-Accel-Expires": nil, "Surrogate-Control": nil, "Edge-Control": nil, "Expires": {"0"}}},
		{"no-referrer replaces another Referrer-Policy",
			http.Header{"Referrer-Policy": {"unsafe-url"}}, http.Header{"Referrer-Policy": {"no-referrer"}}},
		{"Vary lists the fields of both",
			http.Header{"Vary": {"Accept-Encoding"}}, http.Header{"Vary": {"X-Api-Key", "Accept-Encoding"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			header = test.header
			res, _ := raw(t, proxy, s.fill("GET /?api_key={valid} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
			require.Equal(t, http.StatusOK, res.StatusCode)
			for name, want := range test.want {
				assert.Equal(t, want, http.Header(res.Header)[name], name)
			}
		})
	}
}

func TestKeepPrivateWithFileServer(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	files := http.FileServerFS(fstest.MapFS{"file.txt": {Data: []byte("hello")}})
	server := startServer(t, withVary(s.auth.Handler(apikey.KeepPrivate(files))))
	for name, test := range map[string]struct {
		request string
		status  int
	}{
		"a file":         {"GET /file.txt", 200},
		"no such file":   {"GET /missing.txt", 404},
		"no such range":  {"GET /file.txt?Range", 416},
		"not modified":   {"HEAD /file.txt", 200},
		"a redirect":     {"GET /file.txt/", 301},
		"a bad filename": {"GET /a%00b", 404},
	} {
		t.Run(name, func(t *testing.T) {
			request, ranged := strings.CutSuffix(test.request, "?Range")
			lines := ""
			if ranged {
				lines = "Range: bytes=90-99\r\n"
			}
			res, _ := raw(t, server, s.fill(request+"?api_key={valid} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n"+lines+"\r\n"))
			assert.Equal(t, test.status, res.StatusCode)
			assertPrivate(t, res)
		})
	}
}

func TestKeepPrivateKeepsPublicResponses(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("Cache-Control", "public, max-age=60")
		w.Header().Set("Cdn-Cache-Control", "max-age=600")
		w.Header().Set("Referrer-Policy", "origin")
	})
	t.Run("a request without a key behind Optional", func(t *testing.T) {
		h := get(s.auth.Optional(apikey.KeepPrivate(handler)), "/").Header()
		assert.Equal(t, []string{"public, max-age=60"}, h["Cache-Control"])
		assert.Equal(t, []string{"max-age=600"}, h["Cdn-Cache-Control"])
		assert.Equal(t, []string{"origin"}, h["Referrer-Policy"])
	})
	t.Run("a Cache-Control that is public before Handler", func(t *testing.T) {
		public := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Cache-Control", "public")
			s.auth.Handler(apikey.KeepPrivate(handler)).ServeHTTP(w, r)
		})
		h := get(public, "/", "X-API-Key: "+s.valid).Header()
		assert.Equal(t, []string{"public, max-age=60"}, h["Cache-Control"])
	})
}

// Each method that begins a response enforces the policy first.
func TestKeepPrivateEnforcesBeforeWrite(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	file, err := os.Open("keepprivate_test.go")
	require.NoError(t, err)
	t.Cleanup(func() { file.Close() })
	for name, begin := range map[string]func(http.ResponseWriter){
		"nothing":            func(http.ResponseWriter) {},
		"WriteHeader":        func(w http.ResponseWriter) { w.WriteHeader(http.StatusTeapot) },
		"Write":              func(w http.ResponseWriter) { w.Write([]byte("hello")) },
		"ReadFrom":           func(w http.ResponseWriter) { w.(io.ReaderFrom).ReadFrom(file) },
		"Flusher":            func(w http.ResponseWriter) { w.(http.Flusher).Flush() },
		"ResponseController": func(w http.ResponseWriter) { assert.NoError(t, http.NewResponseController(w).Flush()) },
		"FlushError":         func(w http.ResponseWriter) { assert.NoError(t, w.(interface{ FlushError() error }).FlushError()) },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, withVary(s.auth.Handler(apikey.KeepPrivate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				clear(w.Header())
				begin(w)
			})))))
			res, _ := raw(t, server, s.fill("GET /?api_key={valid} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
			assertPrivate(t, res)
		})
	}
}

func TestKeepPrivateAfterPanic(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	recovery := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			defer func() {
				recover()
				w.WriteHeader(http.StatusInternalServerError)
			}()
			next.ServeHTTP(w, r)
		})
	}
	server := startServer(t, withVary(recovery(s.auth.Handler(apikey.KeepPrivate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		clear(w.Header())
		panic("boom")
	}))))))
	res, _ := raw(t, server, s.fill("GET /?api_key={valid} HTTP/1.1\r\nHost: h\r\nConnection: close\r\n\r\n"))
	assert.Equal(t, http.StatusInternalServerError, res.StatusCode)
	assertPrivate(t, res)
}

func TestKeepPrivateHijack(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	for name, hijack := range map[string]func(http.ResponseWriter) (io.Closer, *bufio.ReadWriter, error){
		"Hijacker": func(w http.ResponseWriter) (io.Closer, *bufio.ReadWriter, error) { return w.(http.Hijacker).Hijack() },
		"ResponseController": func(w http.ResponseWriter) (io.Closer, *bufio.ReadWriter, error) {
			return http.NewResponseController(w).Hijack()
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := startServer(t, s.auth.Handler(apikey.KeepPrivate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				conn, buffered, err := hijack(w)
				if assert.NoError(t, err) {
					fmt.Fprint(buffered, "HTTP/1.1 101 Switching Protocols\r\n\r\n")
					buffered.Flush()
					conn.Close()
				}
			}))))
			res, _ := raw(t, server, s.fill("GET / HTTP/1.1\r\nHost: h\r\nX-API-Key: {valid}\r\n\r\n"))
			assert.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
		})
	}
	t.Run("Hijack fails if the inner ResponseWriter does not support it", func(t *testing.T) {
		t.Parallel()
		get(apikey.KeepPrivate(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			_, _, err := w.(http.Hijacker).Hijack()
			assert.ErrorIs(t, err, http.ErrNotSupported)
		})), "/")
	})
}
