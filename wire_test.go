package apikey_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// raw sends bytes to a server and returns its response and the body.
func raw(t *testing.T, server *httptest.Server, request string) (*http.Response, string) {
	t.Helper()
	conn, err := net.Dial("tcp", server.Listener.Addr().String())
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, request)
	require.NoError(t, err)
	method, _, _ := strings.Cut(request, " ")
	res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
	require.NoError(t, err)
	var body strings.Builder
	if res.StatusCode != http.StatusSwitchingProtocols {
		io.Copy(&body, res.Body)
	}
	return res, body.String()
}

func TestRawRequests(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Sources: []apikey.Source{
		apikey.Header("X-API-Key"), apikey.Header("X-Emby-Token"), apikey.Query("api_key"), apikey.Bearer(),
	}})
	server := httptest.NewServer(s.handler)
	t.Cleanup(server.Close)
	const noLookup, oneLookup = 0, 1
	for _, test := range []struct {
		name    string
		request string // {H} is the Host field
		status  int
		lookups int64
	}{
		{"a header", "GET / HTTP/1.1\r\n{H}X-Emby-Token: {valid}\r\n\r\n", 200, oneLookup},
		{"a header in lower case", "GET / HTTP/1.1\r\n{H}x-emby-token: {valid}\r\n\r\n", 200, oneLookup},
		{"a header with spaces around its value", "GET / HTTP/1.1\r\n{H}X-Emby-Token: \t {valid} \t\r\n\r\n", 200, oneLookup},
		{"the query of Emby's documentation", "GET /emby/System/Info?api_key={valid} HTTP/1.1\r\n{H}\r\n", 200, oneLookup},
		{"HTTP/1.0", "GET /?api_key={valid} HTTP/1.0\r\n\r\n", 200, oneLookup},
		{"an absolute URI", "GET http://localhost/?api_key={valid} HTTP/1.1\r\n{H}\r\n", 200, oneLookup},
		{"HEAD with a key", "HEAD / HTTP/1.1\r\n{H}X-Api-Key: {valid}\r\n\r\n", 200, oneLookup},
		{"HEAD without a key", "HEAD / HTTP/1.1\r\n{H}\r\n", 401, noLookup},
		{"an unknown method without a key", "BREW / HTTP/1.1\r\n{H}\r\n", 401, noLookup},
		{"OPTIONS without a key", "OPTIONS / HTTP/1.1\r\n{H}\r\n", 401, noLookup},
		{"no key", "GET / HTTP/1.1\r\n{H}\r\n", 401, noLookup},
		{"an empty header", "GET / HTTP/1.1\r\n{H}X-Api-Key:\r\n\r\n", 401, noLookup},
		{"two lines differ, with names in another case", "GET / HTTP/1.1\r\n{H}X-API-KEY: {valid}\r\nx-api-key: {other}\r\n\r\n", 400, noLookup},
		{"header and query differ", "GET /?api_key={other} HTTP/1.1\r\n{H}X-Api-Key: {valid}\r\n\r\n", 400, noLookup},
		{"a pair that net/url drops", "GET /?x=1;api_key={valid} HTTP/1.1\r\n{H}\r\n", 400, noLookup},
		{"a tab within the key", "GET / HTTP/1.1\r\n{H}X-Api-Key: {valid}\t{valid}\r\n\r\n", 401, noLookup},
		{"0xFF", "GET / HTTP/1.1\r\n{H}X-Api-Key: {valid}\xff\r\n\r\n", 401, noLookup},
		{"full-width digits", "GET / HTTP/1.1\r\n{H}X-Api-Key: ak_１２３４５６７８９０\r\n\r\n", 401, noLookup},
		{"a folded line", "GET / HTTP/1.1\r\n{H}X-Api-Key: {valid}\r\n {valid}\r\n\r\n", 401, noLookup},
		{"NUL, which net/http refuses", "GET / HTTP/1.1\r\n{H}X-Api-Key: {valid}\x00\r\n\r\n", 400, noLookup},
		{"NUL in the query", "GET /?api_key={valid}%00 HTTP/1.1\r\n{H}\r\n", 401, noLookup},
		{"a key in a trailer", "POST / HTTP/1.1\r\n{H}Trailer: X-Api-Key\r\nTransfer-Encoding: chunked\r\n\r\n0\r\nX-Api-Key: {valid}\r\n\r\n", 401, noLookup},
		{"a key in the body", "POST / HTTP/1.1\r\n{H}Content-Type: application/x-www-form-urlencoded\r\nContent-Length: 47\r\n\r\napi_key={valid}", 401, noLookup},
		{"a key in a fragment", "GET /#api_key={valid} HTTP/1.1\r\n{H}\r\n", 401, noLookup},
		{"a key of 512 KiB", "GET / HTTP/1.1\r\n{H}X-Api-Key: ak_" + strings.Repeat("x", 1<<19) + "\r\n\r\n", 401, noLookup},
		{"a WebSocket upgrade without a key", "GET / HTTP/1.1\r\n{H}" + upgrade + "\r\n", 401, noLookup},
		{"a WebSocket upgrade with a revoked key", "GET /?api_key={revoked} HTTP/1.1\r\n{H}" + upgrade + "\r\n", 401, oneLookup},
	} {
		t.Run(test.name, func(t *testing.T) {
			lookups, served := s.store.lookups.Load(), s.served.Load()
			res, body := raw(t, server, strings.ReplaceAll(s.fill(test.request), "{H}", "Host: localhost\r\nConnection: close\r\n"))
			assert.Equal(t, test.status, res.StatusCode)
			assert.Equal(t, test.lookups, s.store.lookups.Load()-lookups, "lookups")
			if test.status == 200 && res.Request.Method != "HEAD" {
				assert.Equal(t, s.key.ID, body)
			}
			if test.status != 200 {
				assert.Equal(t, served, s.served.Load(), "the handler is not called")
			}
		})
	}
}

const upgrade = "Upgrade: websocket\r\nSec-WebSocket-Version: 13\r\nSec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\n"

func TestHandlerHijacksConnection(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	server := httptest.NewServer(s.auth.Conceal(s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		conn, rw, err := http.NewResponseController(w).Hijack()
		if !assert.NoError(t, err) {
			return
		}
		defer conn.Close()
		fmt.Fprint(rw, "HTTP/1.1 101 Switching Protocols\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n\r\n")
		rw.Flush()
	}))))
	t.Cleanup(server.Close)
	res, _ := raw(t, server, s.fill("GET /?api_key={valid} HTTP/1.1\r\nHost: localhost\r\nConnection: Upgrade\r\n"+upgrade+"\r\n"))
	assert.Equal(t, http.StatusSwitchingProtocols, res.StatusCode)
}

func TestHTTP2(t *testing.T) {
	t.Parallel()
	for _, protocol := range []struct {
		name   string
		server func(http.Handler) *httptest.Server
	}{
		{"over TLS", func(h http.Handler) *httptest.Server {
			server := httptest.NewUnstartedServer(h)
			server.EnableHTTP2 = true
			server.StartTLS()
			return server
		}},
		{"h2c", func(h http.Handler) *httptest.Server {
			server := httptest.NewUnstartedServer(h)
			server.Config.Protocols = new(http.Protocols)
			server.Config.Protocols.SetUnencryptedHTTP2(true)
			server.Start()
			transport := &http.Transport{Protocols: new(http.Protocols)}
			transport.Protocols.SetUnencryptedHTTP2(true)
			server.Client().Transport = transport
			return server
		}},
	} {
		s := newService(t, apikey.Options{})
		server := protocol.server(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			w.Header().Set("Test-Proto", r.Proto)
			s.handler.ServeHTTP(w, r)
		}))
		t.Cleanup(server.Close)
		for _, test := range []struct {
			name    string
			method  string
			target  string
			keys    []string
			status  int
			lookups int64
		}{
			{"a header", "GET", "/", []string{s.valid}, 200, 1},
			{"the query", "GET", "/?api_key=" + s.valid, nil, 200, 1},
			{"HEAD", "HEAD", "/", []string{s.valid}, 200, 1},
			{"no key", "GET", "/", nil, 401, 0},
			{"a revoked key", "GET", "/", []string{s.revoked}, 401, 1},
			{"two lines differ", "GET", "/", []string{s.valid, s.other}, 400, 0},
			{"a semicolon", "GET", "/?x=1;api_key=" + s.valid, nil, 400, 0},
			{"0xFF", "GET", "/", []string{s.valid + "\xff"}, 401, 0},
		} {
			t.Run(protocol.name+": "+test.name, func(t *testing.T) {
				r, err := http.NewRequestWithContext(t.Context(), test.method, server.URL+test.target, nil)
				require.NoError(t, err)
				r.Header["X-Api-Key"] = test.keys
				lookups := s.store.lookups.Load()
				res, err := server.Client().Do(r)
				require.NoError(t, err)
				defer res.Body.Close()
				assert.Equal(t, "HTTP/2.0", res.Header.Get("Test-Proto"))
				assert.Equal(t, test.status, res.StatusCode)
				assert.Equal(t, test.lookups, s.store.lookups.Load()-lookups, "lookups")
			})
		}
	}
}

func TestRefusalsOnTheWireAreByteIdentical(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header()["Date"] = nil // which depends on the clock
		s.handler.ServeHTTP(w, r)
	}))
	t.Cleanup(server.Close)
	bytesOf := func(line string) string {
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		fmt.Fprintf(conn, "GET / HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\n%s\r\n", line)
		b, err := io.ReadAll(conn)
		require.NoError(t, err)
		return string(b)
	}
	missing := bytesOf("")
	assert.Contains(t, missing, "HTTP/1.1 401 Unauthorized\r\n")
	for _, key := range []string{"x", s.unknown, s.revoked, s.expired} {
		assert.Equal(t, missing, bytesOf("X-Api-Key: "+key+"\r\n"))
	}
}

func TestStreamOutlivesRevocation(t *testing.T) {
	t.Parallel()
	// A revocation affects new requests only.
	s := newService(t, apikey.Options{})
	begun, revoked := make(chan struct{}), make(chan struct{})
	server := httptest.NewServer(s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		close(begun)
		<-revoked
		io.WriteString(w, "finished")
	})))
	t.Cleanup(server.Close)
	go func() {
		<-begun
		s.store.Revoke(context.Background(), s.key.ID)
		close(revoked)
	}()
	res, err := http.Get(server.URL + "?api_key=" + s.valid)
	require.NoError(t, err)
	body, _ := io.ReadAll(res.Body)
	res.Body.Close()
	assert.Equal(t, "finished", string(body))
	assert.Equal(t, 401, get(s.handler, "/?api_key="+s.valid).Code, "the next request is refused")
}
