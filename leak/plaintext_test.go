package leak_test

import (
	"crypto/tls"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
)

const (
	client = "203.0.113.7:4711"
	proxy  = "10.1.2.3:80"
)

// A guarded service has a Plaintext in front of it. Its handler answers 204.
type guarded struct {
	*service
	*leak.Plaintext
	handler http.Handler
}

func newGuarded(t testing.TB, change ...func(*leak.PlaintextOptions)) *guarded {
	t.Helper()
	s := newService(t, apikey.FormatOptions{})
	auth, err := apikey.New(s.store, apikey.Options{Sources: []apikey.Source{apikey.Header("X-Own-Key"), apikey.Query("key"), apikey.Bearer()}})
	require.NoError(t, err)
	o := leak.PlaintextOptions{Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}, OnLeak: s.onLeak,
		Logger: slog.New(slog.NewTextHandler(s.log, nil))}
	for _, f := range change {
		f(&o)
	}
	p, err := leak.NewPlaintext(s.desk, auth, o)
	require.NoError(t, err)
	ok := http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	return &guarded{s, p, p.Handler(ok)}
}

// send sends a request from an address with header lines ("Name: value").
func (g *guarded) send(from, target string, lines ...string) *httptest.ResponseRecorder {
	r := httptest.NewRequest("GET", target, nil)
	r.RemoteAddr, r.TLS = from, nil
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		if name == "TLS" {
			r.TLS = &tls.ConnectionState{}
			continue
		}
		r.Header.Add(name, value)
	}
	return serve(g.handler, r)
}

func TestPlainHTTPIsRefusedWithTheSameResponse(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t)
		valid, _ := g.issue("valid")
		revoked, key := g.issue("revoked")
		_, err := g.store.Revoke(t.Context(), key.ID)
		require.NoError(t, err)
		unknown, _ := newService(t, apikey.FormatOptions{}).issue("of another service")
		var first string
		for name, w := range map[string]*httptest.ResponseRecorder{
			"no key":               g.send(client, "/"),
			"a valid key":          g.send(client, "/", "X-Own-Key: "+valid),
			"in the query":         g.send(client, "/?key="+valid),
			"a revoked key":        g.send(client, "/", "X-Own-Key: "+revoked),
			"an unknown key":       g.send(client, "/", "X-Own-Key: "+unknown),
			"a malformed key":      g.send(client, "/", "X-Own-Key: x"),
			"two keys":             g.send(client, "/?key="+unknown, "X-Own-Key: "+valid),
			"through a proxy":      g.send(proxy, "/", "X-Forwarded-Proto: http"),
			"an uncertain request": g.send("127.0.0.1:80", "/"),
		} {
			shown := fmt.Sprint(w.Code, w.Header(), w.Body)
			if first == "" {
				first = shown
			}
			assert.Equal(t, first, shown, name)
			assert.Equal(t, 403, w.Code)
		}
		require.NoError(t, g.Close(t.Context()))
	})
}

func TestAKeyThatArrivedOverPlainHTTPIsRevoked(t *testing.T) {
	t.Parallel()
	for name, send := range map[string]func(*guarded, string){
		"in a header":               func(g *guarded, key string) { g.send(client, "/", "X-Own-Key: "+key) },
		"in the query":              func(g *guarded, key string) { g.send(client, "/?key="+key) },
		"in Authorization":          func(g *guarded, key string) { g.send(client, "/", "Authorization: Bearer "+key) },
		"to a proxy":                func(g *guarded, key string) { g.send(proxy, "/?key="+key, "X-Forwarded-Proto: http") },
		"to a proxy with Forwarded": func(g *guarded, key string) { g.send(proxy, "/?key="+key, `Forwarded: for=1.2.3.4;proto="HTTP"`) },
		"as a WebSocket to a proxy": func(g *guarded, key string) { g.send(proxy, "/?key="+key, "X-Forwarded-Proto: ws") },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGuarded(t)
				token, key := g.issue("x")
				_, other := g.issue("other")
				for range 3 {
					send(g, token)
				}
				require.NoError(t, g.Close(t.Context()))
				assert.Equal(t, []string{"create by ", "revoke by " + leak.PlaintextActor}, g.history(key.ID))
				assert.False(t, g.isRevoked(other.ID))
				require.Len(t, g.reports, 1, "OnLeak is called once for a key")
				r := g.reports[0]
				assert.Equal(t, leak.Report{Key: r.Key, Reporter: leak.PlaintextActor, Source: leak.PlaintextSource}, r)
				assert.False(t, r.Key.RevokedAt.IsZero())
				assert.NotContains(t, g.log.String(), token)
			})
		})
	}
}

func TestAKeyIsKeptIfItsRequestWasPerhapsEncrypted(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, from string
		lines      []string
		status     int
	}{
		{"TLS", client, []string{"TLS"}, 204},
		{"TLS on loopback", "127.0.0.1:1", []string{"TLS"}, 204},
		{"TLS that claims HTTP", client, []string{"TLS", "X-Forwarded-Proto: http"}, 204},
		{"a proxy that says https", proxy, []string{"X-Forwarded-Proto: https"}, 204},
		{"a proxy that says HTTPS", proxy, []string{"X-Forwarded-Proto: HTTPS"}, 204},
		{"a proxy that says wss", proxy, []string{"X-Forwarded-Proto: wss"}, 204},
		{"a proxy of IPv4 in IPv6", "[::ffff:10.1.2.3]:80", []string{"X-Forwarded-Proto: https"}, 204},
		{"several proxies that say https", proxy, []string{"X-Forwarded-Proto: https, https", "X-Forwarded-Proto: https"}, 204},
		{"a proxy with Forwarded", proxy, []string{`Forwarded: for="[2001:db8::1]:1";proto=https;by=_x`}, 204},
		{"a quoted scheme in Forwarded", proxy, []string{`Forwarded: for="a,b;proto=http";Proto="https"`}, 204},
		{"both fields", proxy, []string{"X-Forwarded-Proto: https", "Forwarded: proto=https"}, 204},
		{"a client that claims https", client, []string{"X-Forwarded-Proto: https"}, 403},
		{"a client that claims http", client, []string{"X-Forwarded-Proto: http"}, 403},
		{"a client with Forwarded", client, []string{"Forwarded: proto=https"}, 403},
		{"a proxy without a field", proxy, nil, 403},
		{"a proxy without a field over TLS", proxy, []string{"TLS"}, 403},
		{"a proxy that contradicts itself", proxy, []string{"X-Forwarded-Proto: https, http"}, 403},
		{"fields that differ", proxy, []string{"X-Forwarded-Proto: https", "Forwarded: proto=http"}, 403},
		{"an unknown scheme", proxy, []string{"X-Forwarded-Proto: h2"}, 403},
		{"an empty scheme", proxy, []string{"X-Forwarded-Proto: "}, 403},
		{"an element without proto", proxy, []string{"Forwarded: proto=https, for=1.2.3.4"}, 403},
		{"proto twice in an element", proxy, []string{"Forwarded: proto=https;proto=https"}, 403},
		{"proto in an open quote", proxy, []string{`Forwarded: for=";proto=https`}, 403},
		{"loopback", "127.0.0.1:1", nil, 403},
		{"loopback of IPv6", "[::1]:1", nil, 403},
		{"a Unix socket", "@", nil, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				g := newGuarded(t)
				token, key := g.issue("x")
				w := g.send(test.from, "/", append([]string{"X-Own-Key: " + token}, test.lines...)...)
				assert.Equal(t, test.status, w.Code)
				require.NoError(t, g.Close(t.Context()))
				assert.False(t, g.isRevoked(key.ID))
				assert.Equal(t, test.status == 403, strings.Contains(g.log.String(), "cannot tell whether"))
			})
		})
	}
}

func TestKeepKeysOnlyLogs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		g := newGuarded(t, func(o *leak.PlaintextOptions) { o.KeepKeys = true })
		token, key := g.issue("x")
		assert.Equal(t, 403, g.send(client, "/?key="+token).Code)
		require.NoError(t, g.Close(t.Context()))
		assert.False(t, g.isRevoked(key.ID))
		assert.Contains(t, g.log.String(), key.ID)
		assert.Empty(t, g.reports)
	})
}

func TestNewPlaintextRefuses(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.FormatOptions{})
	auth, err := apikey.New(s.store, apikey.Options{})
	require.NoError(t, err)
	_, err = leak.NewPlaintext(nil, auth, leak.PlaintextOptions{})
	require.ErrorIs(t, err, apikey.ErrInvalid)
	_, err = leak.NewPlaintext(s.desk, nil, leak.PlaintextOptions{})
	require.ErrorIs(t, err, apikey.ErrInvalid)
	for _, p := range []netip.Prefix{{}, netip.MustParsePrefix("::ffff:10.0.0.0/104")} {
		_, err = leak.NewPlaintext(s.desk, auth, leak.PlaintextOptions{Proxies: []netip.Prefix{p}})
		var wrong *apikey.InvalidError
		require.ErrorAs(t, err, &wrong)
		assert.Equal(t, "Proxies[0]", wrong.Field)
	}
}

func TestResponsesOverPlainHTTPHaveTheSameBytes(t *testing.T) {
	t.Parallel()
	g := newGuarded(t, func(o *leak.PlaintextOptions) { o.Proxies = []netip.Prefix{netip.MustParsePrefix("127.0.0.0/8")} })
	server := httptest.NewServer(g.handler)
	defer server.Close()
	token, key := g.issue("x")
	date := regexp.MustCompile(`Date: [^\r]*\r\n`)
	exchange := func(request string) string {
		connection, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer connection.Close()
		require.NoError(t, connection.SetDeadline(time.Now().Add(10*time.Second)))
		_, err = io.WriteString(connection, strings.ReplaceAll(request, "\n", "\r\n")+"\r\n\r\n")
		require.NoError(t, err)
		response, err := io.ReadAll(connection) // until the server closes the connection
		require.NoError(t, err)
		return date.ReplaceAllString(string(response), "")
	}
	const head = "\nHost: h\nX-Forwarded-Proto: http"
	first := exchange("GET / HTTP/1.1" + head)
	assert.True(t, strings.HasPrefix(first, "HTTP/1.1 403 Forbidden\r\n"), first)
	for _, request := range []string{"GET /other?key=x HTTP/1.1" + head, "GET / HTTP/1.1" + head + "\nX-Own-Key: " + token, "DELETE /?key=" + token + " HTTP/1.1" + head,
		"POST / HTTP/1.1" + head + "\nContent-Length: 0"} {
		assert.Equal(t, first, exchange(request), request)
	}
	require.NoError(t, g.Close(t.Context()))
	assert.True(t, g.isRevoked(key.ID))
}
