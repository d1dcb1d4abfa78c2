package main

import (
	"bufio"
	"bytes"
	"fmt"
	"io"
	"maps"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/memstore"
)

// A setup is a proxy and its upstream.
type setup struct {
	addr   string // of the proxy
	secret string
	key    apikey.Key
	store  *memstore.Store
	got    []*http.Request // requests that reached the upstream
	raw    []string        // the same requests as text

	upstreamHeader, header http.Header // of the response, from the upstream and at the client
}

func newSetup(t *testing.T) *setup {
	p := &setup{}
	upstream := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		raw, err := httputil.DumpRequest(r, true)
		assert.NoError(t, err)
		p.got, p.raw = append(p.got, r), append(p.raw, string(raw))
		if r.URL.Path == "/hints" {
			w.WriteHeader(http.StatusEarlyHints)
		}
		maps.Copy(w.Header(), p.upstreamHeader)
		switch r.URL.Path {
		case "/events":
			assert.NoError(t, http.NewResponseController(w).Flush())
			<-r.Context().Done()
		case "/socket":
			conn, _, err := http.NewResponseController(w).Hijack()
			assert.NoError(t, err)
			defer conn.Close()
			fmt.Fprint(conn, "HTTP/1.1 101 Switching Protocols\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n")
			io.Copy(io.Discard, conn)
		}
	}))
	t.Cleanup(upstream.Close)
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Küche & Co", Scopes: []string{"library:read", "library:write"}})
	require.NoError(t, err)
	p.store, p.secret, p.key = store, secret.Reveal(), key
	target, err := url.Parse(upstream.URL)
	require.NoError(t, err)
	proxy := httptest.NewServer(newProxy(auth, target, time.Millisecond))
	t.Cleanup(proxy.Close)
	p.addr = proxy.Listener.Addr().String()
	return p
}

// send replaces KEY in a request by the key, sends the request and returns the status.
func (p *setup) send(t *testing.T, request string) int {
	t.Helper()
	p.got, p.raw = nil, nil
	conn, err := net.Dial("tcp", p.addr)
	require.NoError(t, err)
	defer conn.Close()
	_, err = conn.Write(bytes.ReplaceAll(bytes.ReplaceAll([]byte(request), []byte("KEY"), []byte(p.secret)), []byte("\n"), []byte("\r\n")))
	require.NoError(t, err)
	reader := bufio.NewReader(conn)
	response, err := http.ReadResponse(reader, nil)
	for err == nil && response.StatusCode < 200 { // informational
		response, err = http.ReadResponse(reader, nil)
	}
	require.NoError(t, err)
	defer response.Body.Close()
	_, err = io.Copy(io.Discard, response.Body)
	require.NoError(t, err)
	p.header = response.Header
	return response.StatusCode
}

func TestUpstreamGetsNoKey(t *testing.T) {
	t.Parallel()
	p := newSetup(t)
	for name, request := range map[string]string{
		"in the header":                          "GET /library HTTP/1.1\nHost: h\nX-API-Key: KEY\n\n",
		"in X-Emby-Token":                        "GET /library HTTP/1.1\nHost: h\nx-emby-token: KEY\n\n",
		"in the query":                           "GET /library?limit=5&api_key=KEY&sort=name HTTP/1.1\nHost: h\n\n",
		"in the query, escaped":                  "GET /library?limit=5&Api%5Fkey=KEY&sort=name HTTP/1.1\nHost: h\n\n",
		"in the header and the query":            "GET /library?api_key=KEY HTTP/1.1\nHost: h\nX-API-Key: KEY\n\n",
		"in the header, the query and a Referer": "GET /library?api_key=KEY HTTP/1.1\nHost: h\nX-API-Key: KEY\nReferer: http://h/?api_key=KEY\n\n",
		"in fields with similar names":           "GET /library HTTP/1.1\nHost: h\nX-API-Key: KEY\nX_Api_Key: KEY\nX.Emby~Token: KEY\n\n",
		"in a field that Connection lists":       "GET /library HTTP/1.1\nHost: h\nConnection: X-API-Key\nX-API-Key: KEY\n\n",
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, http.StatusOK, p.send(t, request))
			require.Len(t, p.raw, 1)
			assert.NotContains(t, p.raw[0], p.secret)
			assert.NotContains(t, p.raw[0], p.secret[4:30])
			assert.Equal(t, p.key.ID, p.got[0].Header.Get("X-Caller-Id"))
		})
	}
	assert.Equal(t, http.StatusOK, p.send(t, "GET /library?limit=5&api_key=KEY&sort=name HTTP/1.1\nHost: h\n\n"))
	assert.Equal(t, "/library?limit=5&sort=name", p.got[0].RequestURI, "the rest of the query")
}

func TestUpstreamGetsTheIdentity(t *testing.T) {
	t.Parallel()
	p := newSetup(t)
	require.Equal(t, http.StatusOK, p.send(t, "GET / HTTP/1.1\nHost: h\nX-API-Key: KEY\n\n"))
	h := p.got[0].Header
	assert.Equal(t, p.key.ID, h.Get("X-Caller-Id"))
	assert.Equal(t, "library:read library:write", h.Get("X-Caller-Scopes"))
	name, err := url.PathUnescape(h.Get("X-Caller-Name"))
	require.NoError(t, err)
	assert.Equal(t, "Küche & Co", name)
	assert.Equal(t, "127.0.0.1", h.Get("X-Forwarded-For"))
	assert.Equal(t, "h", h.Get("X-Forwarded-Host"))
	assert.Equal(t, "http", h.Get("X-Forwarded-Proto"))
}

// After an upgrade to h2c a client sends requests that the middleware does not see.
func TestLongRequestsEndWithTheirKey(t *testing.T) {
	t.Parallel()
	for path, status := range map[string]int{"/events": http.StatusOK, "/socket": http.StatusSwitchingProtocols} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			p := newSetup(t)
			conn, err := net.Dial("tcp", p.addr)
			require.NoError(t, err)
			defer conn.Close()
			fmt.Fprintf(conn, "GET %s HTTP/1.1\r\nHost: h\r\nX-API-Key: %s\r\nConnection: Upgrade\r\nUpgrade: websocket\r\n\r\n", path, p.secret)
			reader := bufio.NewReader(conn)
			response, err := http.ReadResponse(reader, nil)
			require.NoError(t, err)
			require.Equal(t, status, response.StatusCode)
			_, err = p.store.Revoke(t.Context(), p.key.ID)
			require.NoError(t, err)
			require.NoError(t, conn.SetReadDeadline(time.Now().Add(10*time.Second)))
			_, err = io.Copy(io.Discard, reader)
			assert.NotErrorIs(t, err, os.ErrDeadlineExceeded, "the request is still open")
		})
	}
}

func TestOnlyWebSocketsAreUpgraded(t *testing.T) {
	t.Parallel()
	p := newSetup(t)
	for upgrade, want := range map[string]string{"h2c": "", "H2C": "", "websocket, h2c": "", "websocket": "websocket"} {
		require.Equal(t, http.StatusOK, p.send(t, "GET / HTTP/1.1\nHost: h\nX-API-Key: KEY\nConnection: Upgrade, HTTP2-Settings\nHTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA\nUpgrade: "+upgrade+"\n\n"))
		assert.Equal(t, want, p.got[0].Header.Get("Upgrade"), upgrade)
	}
}

func TestResponsesStayPrivate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, target, cache, referrer string // of the request and of the upstream
		wantCache, wantReferrer       string
	}{
		{"an upstream without policies", "/", "", "", "private", ""},
		{"a response that shared caches may store", "/", "public, max-age=60", "", "private", ""},
		{"a response that no cache may store", "/", "No-Store", "", "No-Store", ""},
		{"a response that private caches may store", "/", "max-age=60, private", "", "max-age=60, private", ""},
		{"a directive that begins with private", "/", "privately", "", "private", ""},
		{"Referrer-Policy of the upstream without a key in the URL", "/", "", "origin", "private", "origin"},
		{"Referrer-Policy no-referrer with a key in the URL", "/?api_key=KEY", "", "unsafe-url", "private", "no-referrer"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			p := newSetup(t)
			p.upstreamHeader = http.Header{}
			if test.cache != "" {
				p.upstreamHeader.Set("Cache-Control", test.cache)
			}
			if test.referrer != "" {
				p.upstreamHeader.Set("Referrer-Policy", test.referrer)
			}
			require.Equal(t, http.StatusOK, p.send(t, "GET "+test.target+" HTTP/1.1\nHost: h\nX-API-Key: KEY\n\n"))
			assert.Equal(t, []string{test.wantCache}, p.header.Values("Cache-Control"))
			assert.Equal(t, test.wantReferrer, strings.Join(p.header.Values("Referrer-Policy"), " and "))
		})
	}
}

// httputil.ReverseProxy removes all header fields after each 1xx response.
func TestResponsesStayPrivateAfterInformationalResponses(t *testing.T) {
	t.Parallel()
	for name, request := range map[string]string{
		"103 of the upstream": "GET /hints?api_key=KEY HTTP/1.1\nHost: h\n\n",
		"100 of the upstream": "POST /library?api_key=KEY HTTP/1.1\nHost: h\nExpect: 100-continue\nContent-Length: 2\n\nhi",
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := newSetup(t)
			assert.Equal(t, http.StatusOK, p.send(t, request))
			assert.Equal(t, []string{"private"}, p.header.Values("Cache-Control"))
			assert.Equal(t, []string{"no-referrer"}, p.header.Values("Referrer-Policy"))
		})
	}
}

func TestClientCannotForgeTheIdentity(t *testing.T) {
	t.Parallel()
	p := newSetup(t)
	for name, lines := range map[string]string{
		"the field itself":                       "X-Caller-Id: forged\nX-Caller-Scopes: forged",
		"in another case":                        "x-caller-ID: forged\nX-CALLER-NAME: forged",
		"several lines":                          "X-Caller-Id: forged\nX-Caller-Id: forged",
		"with underscores":                       "X_Caller_Id: forged\nx_caller-name: forged",
		"with other characters":                  "X.Caller.Id: forged\nX!Caller~Id: forged\nx'caller|scopes: forged",
		"the address of the client":              "X-Forwarded-For: forged\nX_Forwarded_For: forged\nForwarded: for=forged",
		"the host and the scheme":                "X-Forwarded-Host: forged\nX-Forwarded-Proto: forged\nX.Forwarded.Proto: forged",
		"removed by Connection":                  "Connection: X-Caller-Id, X-Caller-Name, X-Caller-Scopes",
		"forged and listed":                      "X-Caller-Id: forged\nConnection: close, x-caller-id",
		"a name that begins like a reserved one": "X-Caller-Id-2: harmless",
	} {
		t.Run(name, func(t *testing.T) {
			require.Equal(t, http.StatusOK, p.send(t, "GET / HTTP/1.1\nHost: h\nX-API-Key: KEY\n"+lines+"\n\n"))
			assert.NotContains(t, p.raw[0], "forged")
			for field, want := range map[string]string{
				"X-Caller-Id": p.key.ID, "X-Caller-Name": "K%C3%BCche%20&%20Co", "X-Caller-Scopes": "library:read library:write",
			} {
				assert.Equal(t, []string{want}, p.got[0].Header.Values(field), field)
			}
		})
	}
}

func TestUpstreamGetsNoRefusedRequest(t *testing.T) {
	t.Parallel()
	p := newSetup(t)
	for request, want := range map[string]int{
		"GET / HTTP/1.1\nHost: h\nX-Caller-Id: forged\n\n":          http.StatusUnauthorized,
		"GET /?api_key=KEY HTTP/1.1\nHost: h\nX-API-Key: other\n\n": http.StatusBadRequest,
	} {
		assert.Equal(t, want, p.send(t, request), request)
		assert.Empty(t, p.got)
	}
}

func TestPrintedCommands(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0")
	got := program.Curl(t, p.Line("curl"))
	assert.Regexp(t, fmt.Sprintf("^GET /library by %s, Reading%%20room, with the scopes library:read\n$", "[A-Za-z0-9_-]+"), got)
}
