package proxies

import (
	"bufio"
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/memstore"
)

// An authProxy is a proxy that asks an auth service.
type authProxy struct {
	kind
	convention forwardauth.Convention
}

var authProxies = []authProxy{
	{kind{"nginx", "../forwardauth/nginx.conf", false, syscall.SIGQUIT, startNginx, true}, forwardauth.OriginalURI},
	{kind{"caddy", "../forwardauth/Caddyfile", false, syscall.SIGTERM, startCaddy, true}, forwardauth.ForwardedURI},
	{kind{"haproxy", "../forwardauth/haproxy.cfg", false, syscall.SIGUSR1, nil, true}, forwardauth.ForwardedURI},
}

// start starts the proxy in front of a service, with an auth service beside it.
func (a authProxy) start(t *testing.T, auth, service string) *proxy {
	t.Helper()
	addresses := []string{"localhost:8000", service}
	if a.name == "haproxy" {
		a.kind.start = func(t *testing.T, dir, config, listen string) *exec.Cmd {
			script, err := os.ReadFile("../forwardauth/forwardauth.lua")
			require.NoError(t, err)
			write(t, dir, "forwardauth.lua", replace(t, string(script), "127.0.0.1:9000", auth))
			return startHAProxy(t, dir, config, listen)
		}
	} else {
		addresses = append(addresses, "localhost:9000", auth)
	}
	return startProxy(t, a.kind, addresses...)
}

// A protected service records the last request that reached it.
type protected struct {
	proxy       *proxy
	convention  forwardauth.Convention
	store       *failingStore
	auth        *httptest.Server
	issuer      *apikey.Issuer
	plain, full string // keys with the scope library, and with all scopes
	plainID     string

	mu    sync.Mutex
	got   *http.Request
	asked *http.Request
}

// ruled returns the last request that Authorize saw.
func (s *protected) ruled() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.asked
}

// last returns the request that reached the service since the last call, or nil.
func (s *protected) last() *http.Request {
	s.mu.Lock()
	defer s.mu.Unlock()
	got := s.got
	s.got = nil
	return got
}

// eachAuthProxy runs a test with each proxy in front of a service, with an auth service beside it.
func eachAuthProxy(t *testing.T, test func(t *testing.T, s *protected)) {
	for _, a := range authProxies {
		t.Run(a.name, func(t *testing.T) {
			s := &protected{store: &failingStore{Store: memstore.New()}, convention: a.convention}
			var err error
			s.issuer, err = apikey.NewIssuer(s.store, apikey.IssuerOptions{})
			require.NoError(t, err)
			secret, key, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Café backup", Owner: "acme", Scopes: []string{"library", "read"}})
			require.NoError(t, err)
			s.plain, s.plainID = secret.Reveal(), key.ID
			secret, _, err = s.issuer.Issue(t.Context(), apikey.NewKey{Name: "root", Scopes: []string{"library", "admin"}})
			require.NoError(t, err)
			s.full = secret.Reveal()

			handler, err := newAuthService(s.store, a.convention, func(r *http.Request, key *apikey.Key) error {
				s.mu.Lock()
				s.asked = r.Clone(context.Background())
				s.mu.Unlock()
				if (r.Method == "DELETE" || strings.HasPrefix(r.URL.Path, "/admin")) && !key.HasScopes("admin") {
					return errors.New("only with the scope admin")
				}
				return nil
			})
			require.NoError(t, err)
			s.auth = httptest.NewServer(handler)
			t.Cleanup(s.auth.Close)
			service := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				s.mu.Lock()
				s.got = r
				s.mu.Unlock()
				io.Copy(w, r.Body)
			}))
			t.Cleanup(service.Close)
			s.proxy = a.start(t, s.auth.Listener.Addr().String(), service.Listener.Addr().String())
			test(t, s)
		})
	}
}

// status returns the status that the client gets instead of want. nginx replaces refusals other than 401 by 403
// and 500.
func (s *protected) status(want int) int {
	switch {
	case s.convention != forwardauth.OriginalURI || want < 400 || want == 401:
		return want
	case want >= 500:
		return 500
	}
	return 403
}

func TestForwardAuthGivesTheServiceTheIdentityAndNoKey(t *testing.T) {
	t.Parallel()
	eachAuthProxy(t, func(t *testing.T, s *protected) {
		for name, line := range map[string]string{"header": "X-API-Key: " + s.plain, "Bearer": "Authorization: Bearer " + s.plain} {
			t.Run(name, func(t *testing.T) {
				res := s.proxy.send(t, "POST", "/library?limit=5", "hello", line, "X-Apikey-Id: forged", "X-Apikey-Name: forged",
					"X-Apikey-Owner: forged", "X-Apikey-Scopes: forged", "X_Apikey_Scopes: forged", "X-Apikey_Owner: forged")
				require.Equal(t, http.StatusOK, res.status, res.body)
				assert.Equal(t, "hello", res.body)
				got := s.last()
				require.NotNil(t, got)
				assert.Equal(t, "/library?limit=5", got.RequestURI)
				assert.Equal(t, "POST", got.Method)
				assert.Equal(t, []string{s.plainID}, got.Header["X-Apikey-Id"])
				assert.Equal(t, []string{"Caf%C3%A9%20backup"}, got.Header["X-Apikey-Name"])
				assert.Equal(t, []string{"acme"}, got.Header["X-Apikey-Owner"])
				assert.Equal(t, []string{"library read"}, got.Header["X-Apikey-Scopes"])
				for name, values := range got.Header {
					assert.NotContains(t, values, "forged", name)
					assert.NotContains(t, strings.Join(values, ""), s.plain, name)
				}
			})
		}
		t.Run("an empty field replaces the client's", func(t *testing.T) {
			require.Equal(t, http.StatusOK, s.proxy.get(t, "/library", "X-API-Key: "+s.full, "X-Apikey-Owner: forged").status)
			assert.Empty(t, strings.Join(s.last().Header["X-Apikey-Owner"], ""))
		})
		t.Run("a key in the query reaches the service", func(t *testing.T) {
			require.Equal(t, http.StatusOK, s.proxy.get(t, "/library?limit=5&api_key="+s.plain).status)
			assert.Equal(t, "/library?limit=5&api_key="+s.plain, s.last().RequestURI)
		})
		s.proxy.stop()
		assert.True(t, strings.Contains(s.proxy.written(t), "/library"), "the log contains no request")
		assert.False(t, strings.Contains(s.proxy.written(t), s.plain[len(s.plain)-20:]), "a log shows the key")
	})
}

func TestForwardAuthRefuses(t *testing.T) {
	t.Parallel()
	eachAuthProxy(t, func(t *testing.T, s *protected) {
		refused := func(name string, status int, method, target string, lines ...string) {
			t.Run(name, func(t *testing.T) {
				s.last()
				res := s.proxy.send(t, method, target, "", lines...)
				assert.Equal(t, s.status(status), res.status, res.body)
				assert.Nil(t, s.last(), "the request reached the service")
				if status == 401 {
					assert.NotEmpty(t, res.header.Get("Www-Authenticate"))
				}
			})
		}
		key := "X-API-Key: " + s.plain
		refused("no key", 401, "GET", "/library")
		refused("a wrong key", 401, "GET", "/library", key+"x")
		refused("two keys, one in the header and one in the URI", 400, "GET", "/library?api_key="+s.full, key)
		refused("two keys in two lines", 400, "GET", "/library", key, "X-API-Key: "+s.full)
		refused("a path that needs a scope", 403, "GET", "/admin/users", key)
		refused("a method that needs a scope", 403, "DELETE", "/library", key)
		refused("an escaped letter in such a path", 403, "GET", "/%61dmin/users", key)
		refused("dot segments", 400, "GET", "/library/%2e%2e/admin/users", key)
		refused("a double slash", 400, "GET", "//admin/users", key)
		refused("an escaped slash", 400, "GET", "/library%2F..%2Fadmin", key)
		refused("a path parameter", 400, "GET", "/admin;x/users", key)

		// The client writes the fields of the proxy.
		for _, line := range []string{"X-Original-URI: /library", "X-Forwarded-Uri: /library", "X-Original-Method: GET", "X-Forwarded-Method: GET"} {
			s.last()
			res := s.proxy.send(t, "DELETE", "/admin/users", "", key, line)
			assert.Contains(t, []int{s.status(403), s.status(400)}, res.status, line)
			assert.Nil(t, s.last(), line)
		}
		// The client tells the proxy to drop the fields of the subrequest.
		refused("fields of the proxy in Connection", 403, "GET", "/admin/users", key,
			"Connection: X-Original-URI, X-Forwarded-Uri, X-Forwarded-Method, X-Original-Method")

		networks := []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}
		elsewhere, _, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "elsewhere", Networks: networks})
		require.NoError(t, err)
		refused("a key of another network", 403, "GET", "/library", "X-API-Key: "+elsewhere.Reveal(), "X-Forwarded-For: 192.0.2.1")

		s.store.failing.Store(true)
		refused("a failing store", 503, "GET", "/library", key)
		s.auth.Close()
		s.last()
		unreachable := map[string]int{"nginx": 500, "caddy": 502, "haproxy": 503}[s.proxy.name]
		assert.Equal(t, unreachable, s.proxy.get(t, "/library", key).status, "an unreachable auth service")
		assert.Nil(t, s.last())
	})
}

// A client can name the fields of the identity in Connection, so that a proxy in Go drops them.
func TestForwardAuthIdentityCannotBeDropped(t *testing.T) {
	t.Parallel()
	eachAuthProxy(t, func(t *testing.T, s *protected) {
		res := s.proxy.get(t, "/library", "X-API-Key: "+s.plain, "X-Apikey-Scopes: admin", "Connection: X-Apikey-Scopes")
		got := s.last()
		if s.proxy.name == "caddy" {
			assert.Equal(t, http.StatusBadRequest, res.status)
			assert.Nil(t, got)
			return
		}
		require.Equal(t, http.StatusOK, res.status)
		assert.Equal(t, []string{"library read"}, got.Header["X-Apikey-Scopes"])
	})
}

// After an upgrade to h2c the proxy does not see the requests of the client.
func TestForwardAuthPassesNoUpgradeToHTTP2(t *testing.T) {
	t.Parallel()
	eachAuthProxy(t, func(t *testing.T, s *protected) {
		for _, upgrade := range []string{"h2c", "H2C", "websocket, h2c"} {
			s.proxy.get(t, "/library", "X-API-Key: "+s.plain, "Connection: Upgrade, HTTP2-Settings", "Upgrade: "+upgrade, "HTTP2-Settings: AAMAAABkAARAAAAAAAIAAAAA")
			if got := s.last(); got != nil {
				assert.NotContains(t, strings.ToLower(strings.Join(got.Header["Upgrade"], ",")), "h2c")
			}
		}
	})
}

// TestForwardAuthExample runs the programs and configurations that docs/forward-auth.md shows.
func TestForwardAuthExample(t *testing.T) {
	t.Parallel()
	for _, a := range authProxies {
		for language, command := range map[string][]string{"python3": {"service.py"}, "node": {"service.js"}} {
			t.Run(a.name+" and "+language, func(t *testing.T) {
				t.Parallel()
				lookPath(t, language, language+" is not installed")
				auth := program.StartIn(t, "../forwardauth", "-addr", "127.0.0.1:0", "-proxy", a.name)
				authAddress, _, _ := strings.Cut(strings.TrimPrefix(auth.Line("Listening on "), "Listening on "), ". ")
				key := auth.Line("ak_")
				service := program.Command(t, exec.Command(language, "../forwardauth/"+command[0], "0"))
				address := strings.TrimPrefix(service.Line("Listening on "), "Listening on ")
				p := a.start(t, authAddress, address)
				res := p.get(t, "/books", "X-API-Key: "+key)
				assert.Equal(t, http.StatusOK, res.status)
				assert.Equal(t, "hello Café backup\n", res.body)
				assert.Equal(t, http.StatusUnauthorized, p.get(t, "/books").status)
				assert.Equal(t, http.StatusUnauthorized, p.get(t, "/books?api_key="+key).status, "a key in the query")
				assert.Equal(t, http.StatusForbidden, p.get(t, "/admin/", "X-API-Key: "+key).status)
			})
		}
	}
}

// A service may obey fields that name another URI or method. The proxy replaces some of them in the subrequest, so
// the auth service does not see the client's.
func TestForwardAuthHidesNoFieldOfTheClientFromTheRules(t *testing.T) {
	t.Parallel()
	eachAuthProxy(t, func(t *testing.T, s *protected) {
		for _, line := range []string{
			"X-Original-URI: /admin/users", "X-Forwarded-Uri: /admin/users", "X-Original-URL: /admin/users", "X-Rewrite-URL: /admin/users",
			"X-Original-Method: DELETE", "X-Forwarded-Method: DELETE", "X-Forwarded-Host: admin.example",
		} {
			if strings.HasPrefix(line, "X-Forwarded-Host") && s.convention == forwardauth.OriginalURI {
				continue // nginx does not replace the field in the subrequest, so the auth service sees it
			}
			s.proxy.get(t, "/library", "X-API-Key: "+s.plain, line)
			if got := s.last(); got != nil {
				name, value, _ := strings.Cut(line, ": ")
				assert.NotEqual(t, value, got.Header.Get(name), name)
			}
		}
	})
}

func TestForwardAuthShowsTheRulesTheWholeHost(t *testing.T) {
	t.Parallel()
	eachAuthProxy(t, func(t *testing.T, s *protected) {
		status := s.raw(t, "GET /library HTTP/1.1\r\nHost: admin.example,a.example\r\nConnection: close")
		assert.Contains(t, []int{400, 403}, status)
		assert.Nil(t, s.last())
	})
}

func TestForwardAuthShowsTheRulesLinesInTheirOrder(t *testing.T) {
	t.Parallel()
	eachAuthProxy(t, func(t *testing.T, s *protected) {
		assert.Equal(t, 200, s.raw(t, "GET /library HTTP/1.1\r\nHost: a.example\r\nX-Tenant: one\r\nX-Tenant: two\r\nConnection: close"))
		got := s.last()
		require.NotNil(t, got)
		assert.Equal(t, []string{"one", "two"}, got.Header["X-Tenant"])
		assert.Equal(t, got.Header["X-Tenant"], s.ruled().Header["X-Tenant"])
	})
}

func TestForwardAuthRefusesRequestsWithoutAPath(t *testing.T) {
	t.Parallel()
	eachAuthProxy(t, func(t *testing.T, s *protected) {
		for _, target := range []string{"*", "http://a.example"} {
			status := s.raw(t, "OPTIONS "+target+" HTTP/1.1\r\nHost: a.example\r\nConnection: close")
			assert.Contains(t, []int{200, 400, 403}, status, "%s: an error would blame the configuration", target)
			s.last()
		}
	})
}

func TestForwardAuthPermitsRequestsWithoutAHost(t *testing.T) {
	t.Parallel()
	eachAuthProxy(t, func(t *testing.T, s *protected) {
		assert.Equal(t, 200, s.raw(t, "GET /library HTTP/1.0"))
		assert.NotNil(t, s.last())
	})
}

// raw sends a request as it is, with a key, and returns the status.
func (s *protected) raw(t *testing.T, head string) int {
	t.Helper()
	conn, err := s.proxy.client.Transport.(*http.Transport).DialContext(t.Context(), "tcp", "localhost:80")
	require.NoError(t, err)
	defer conn.Close()
	_, err = io.WriteString(conn, head+"\r\nX-API-Key: "+s.plain+"\r\n\r\n")
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err)
	defer res.Body.Close()
	return res.StatusCode
}
