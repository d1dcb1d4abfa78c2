package serve

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// proxyRules have a public route beside protected routes.
const proxyRules = `rules:
  - match: /
    public: true
  - match: /library/{book...}
    scopes: [library:read]
  - match: DELETE /library/{book...}
    scopes: [library:read, library:write]
  - match: /admin/{page...}
    scopes: [staff]
  - match: /admin
    scopes: [staff]
`

// An upstream is the service behind a proxy. It records the requests that reach it.
type upstream struct {
	server *httptest.Server
	mu     sync.Mutex
	seen   []*http.Request
}

func newUpstream(t *testing.T) *upstream {
	t.Helper()
	u := &upstream{}
	u.server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		u.mu.Lock()
		defer u.mu.Unlock()
		u.seen = append(u.seen, r)
	}))
	t.Cleanup(u.server.Close)
	return u
}

// take returns the requests since the last call.
func (u *upstream) take() []*http.Request {
	u.mu.Lock()
	defer u.mu.Unlock()
	seen := u.seen
	u.seen = nil
	return seen
}

// proxies start a proxy with its file in cmd/apikey/deploy.
var proxies = map[string]struct {
	file  string
	start func(t *testing.T, dir, file string) *exec.Cmd
}{
	"nginx": {"nginx.conf", func(t *testing.T, dir, file string) *exec.Cmd {
		return exec.Command(lookPath(t, "nginx"), "-p", dir, "-c", file, "-e", "error.log")
	}},
	"Caddy": {"Caddyfile", func(t *testing.T, dir, file string) *exec.Cmd {
		cmd := exec.Command(lookPath(t, "caddy"), "run", "--config", file)
		cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
		return cmd
	}},
}

// startProxy starts a proxy in front of a service and returns its address.
func startProxy(t *testing.T, name, server, service string) (addr string, output func() string) {
	t.Helper()
	proxy := proxies[name]
	dir, err := os.MkdirTemp("", "proxy")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) // workers of nginx run as another user
	t.Cleanup(func() { os.RemoveAll(dir) })
	text, err := os.ReadFile(deploy + proxy.file)
	require.NoError(t, err)
	config := string(text)
	addr = "127.0.0.1:" + freePort(t)
	for old, replacement := range map[string]string{":8000": strings.TrimPrefix(addr, "127.0.0.1"), "127.0.0.1:8080": server, "127.0.0.1:9000": service} {
		require.Contains(t, config, old)
		config = strings.ReplaceAll(config, old, replacement)
	}
	log, err := os.Create(filepath.Join(dir, "output"))
	require.NoError(t, err)
	cmd := proxy.start(t, dir, write(t, dir, proxy.file, config))
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	require.NoError(t, cmd.Start())
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	t.Cleanup(func() { cmd.Process.Signal(syscall.SIGTERM); <-ended; log.Close() })
	output = func() string {
		all, _ := os.ReadFile(log.Name())
		errors, _ := os.ReadFile(filepath.Join(dir, "error.log"))
		return string(all) + string(errors)
	}
	eventually(t, func() bool {
		select {
		case err := <-ended:
			ended <- err
			t.Fatalf("%s ended: %v\n%s", name, err, output())
		default:
		}
		conn, err := net.Dial("tcp", addr)
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, name+" is not listening")
	return addr, output
}

// raw sends a request line as it is, which an http.Client would clean, and returns the status.
func raw(t *testing.T, addr, line string, fields ...string) (status int, header http.Header) {
	t.Helper()
	conn, err := net.Dial("tcp", addr)
	require.NoError(t, err)
	defer conn.Close()
	require.NoError(t, conn.SetDeadline(time.Now().Add(patience)))
	_, err = fmt.Fprintf(conn, "%s HTTP/1.1\r\nHost: a.example\r\nConnection: close\r\n%s\r\n", line, strings.Join(append(fields, ""), "\r\n"))
	require.NoError(t, err)
	res, err := http.ReadResponse(bufio.NewReader(conn), nil)
	require.NoError(t, err, line)
	defer res.Body.Close()
	return res.StatusCode, res.Header
}

func TestProxiesEnforceTheRules(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	issuer := newIssuer(t, db) // another program than the server
	secret, id := issue(t, issuer, "library:read")
	p := startServer(t, nil, "--database", db, "--rules", write(t, t.TempDir(), "rules.yaml", proxyRules)).ready(t)
	key := "X-API-Key: " + secret
	for name := range proxies {
		t.Run(name, func(t *testing.T) {
			service := newUpstream(t)
			addr, output := startProxy(t, name, strings.TrimPrefix(p.url, "http://"), service.server.Listener.Addr().String())
			t.Run("the service gets the identity and no key", func(t *testing.T) {
				for _, line := range []string{key, "Authorization: Bearer " + secret} {
					status, _ := raw(t, addr, "GET /library/1?limit=5", line, "X-Apikey-Id: forged", "X-Apikey-Name: forged", "X-Apikey-Scopes: staff", "X_Apikey_Id: forged")
					assert.Equal(t, 200, status)
					seen := service.take()
					require.Len(t, seen, 1)
					assert.Equal(t, "/library/1?limit=5", seen[0].RequestURI)
					assert.Equal(t, []string{id}, seen[0].Header["X-Apikey-Id"])
					assert.Equal(t, []string{"Backup%20job"}, seen[0].Header["X-Apikey-Name"])
					assert.Equal(t, []string{"library:read"}, seen[0].Header["X-Apikey-Scopes"])
					for field, values := range seen[0].Header {
						assert.NotContains(t, strings.Join(values, " "), secret, field)
						assert.NotContains(t, values, "forged", field)
					}
				}
			})
			t.Run("a public route has no identity", func(t *testing.T) {
				status, _ := raw(t, addr, "GET /", "X-Apikey-Id: forged")
				assert.Equal(t, 200, status)
				seen := service.take()
				require.Len(t, seen, 1)
				assert.Empty(t, seen[0].Header.Get("X-Apikey-Id"))
			})
			t.Run("the client cannot drop the identity", func(t *testing.T) {
				for _, field := range []string{"Connection: x-apikey-id, X-Apikey-Scopes", "Connection: x, X-APIKEY-ID"} {
					status, _ := raw(t, addr, "GET /library/1", key, field)
					for _, seen := range service.take() {
						assert.Equal(t, []string{id}, seen.Header["X-Apikey-Id"], field)
						assert.Equal(t, []string{"library:read"}, seen.Header["X-Apikey-Scopes"], field)
					}
					assert.Contains(t, []int{200, 400}, status, field)
				}
			})
			for _, test := range []struct {
				rule, line string
				status     int
				fields     []string
			}{
				{"no key", "GET /library/1", 401, nil},
				{"a wrong key", "GET /library/1", 401, []string{"X-API-Key: " + secret + "x"}},
				{"a key in the query", "GET /library/1?api_key=" + secret, 401, nil},
				{"a method without its scope", "DELETE /library/1", 403, []string{key}},
				{"a route without its scope", "GET /admin", 403, []string{key}},
				{"a slash at the end", "GET /admin/", 401, nil},
				{"another case", "GET /ADMIN", 401, nil},
				{"an escaped letter", "GET /%61dmin", 401, nil},
				{"a replaced method", "POST /library/1", 403, []string{key, "X-HTTP-Method-Override: DELETE", "Content-Length: 0"}},
				{"a forged URI", "GET /admin", 0, []string{"X-Original-URI: /", "X-Forwarded-Uri: /"}},
				{"a forged method", "DELETE /library/1", 0, []string{key, "X-Original-Method: GET", "X-Forwarded-Method: GET"}},
				{"an escaped slash", "GET /x%2F..%2Fadmin", 0, nil},
				{"escaped dots", "GET /x/%2e%2e/admin", 0, nil},
				{"dots", "GET /x/../admin", 0, nil},
				{"two slashes", "GET //admin", 0, nil},
				{"a parameter of the path", "GET /admin;x=1", 0, nil},
				{"a backslash", `GET /x\..\admin`, 0, nil},
				{"a double escape", "GET /%2561dmin", 0, nil},
				{"an absolute URI", "GET http://a.example/admin", 401, nil},
			} {
				t.Run(test.rule, func(t *testing.T) {
					status, header := raw(t, addr, test.line, test.fields...)
					if test.status != 0 {
						assert.Equal(t, test.status, status)
					}
					assert.Contains(t, []int{400, 401, 403}, status)
					assert.Empty(t, service.take(), "the request reached the service")
					if status == 401 {
						assert.NotEmpty(t, header.Values("WWW-Authenticate"))
					}
				})
			}
			assert.False(t, strings.Contains(output(), secret[len(secret)-20:]), "the log of the proxy shows the key")
			t.Run("a key that another program revoked", func(t *testing.T) {
				own, ownID := issue(t, issuer, "library:read")
				status, _ := raw(t, addr, "GET /library/1", "X-API-Key: "+own)
				require.Equal(t, 200, status)
				_, err := issuer.Manager().Revoke(t.Context(), ownID)
				require.NoError(t, err)
				begin := time.Now()
				eventually(t, func() bool { status, _ := raw(t, addr, "GET /library/1", "X-API-Key: "+own); return status == 401 }, "the revoked key is still accepted")
				assert.Less(t, time.Since(begin), slowly(3*time.Second))
				service.take()
			})
		})
	}
	p.stop(t)
	assert.NotContains(t, p.log(), secret)
}

func TestAProxyWithoutTheServerRefusesEveryRequest(t *testing.T) {
	t.Parallel()
	for name, want := range map[string]int{"nginx": 500, "Caddy": 502} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			service := newUpstream(t)
			addr, _ := startProxy(t, name, "127.0.0.1:"+freePort(t), service.server.Listener.Addr().String())
			status, _ := raw(t, addr, "GET /library/1", "X-API-Key: any")
			assert.Equal(t, want, status)
			assert.Empty(t, service.take(), "the request reached the service")
		})
	}
}
