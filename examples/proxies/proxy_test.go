package proxies

import (
	"context"
	"io"
	"io/fs"
	"net"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

// A kind is a proxy program and one of its configurations in this directory.
type kind struct {
	name   string
	config string
	caches bool
	// quit ends the program after the requests that it serves, so that its logs are complete.
	quit syscall.Signal
	// start prepares dir and returns the command. It replaces the address to listen on in the
	// configuration by listen, which is a Unix socket or a TCP address.
	start func(t *testing.T, dir, config, listen string) *exec.Cmd
	// tcp chooses a TCP address, because a client at a Unix socket has no address.
	tcp bool
}

var kinds = []kind{
	{"nginx", "nginx-cache.conf", true, syscall.SIGQUIT, startNginx, false},
	{"haproxy", "haproxy.cfg", true, syscall.SIGUSR1, startHAProxy, false},
	{"caddy", "Caddyfile", false, syscall.SIGTERM, startCaddy, false},
}

// A proxy is a running proxy program.
type proxy struct {
	kind
	dir    string // of all files that it writes
	client *http.Client
	cmd    *exec.Cmd
	ended  chan error
}

// eachProxy runs a test with each program in front of the service at upstream (host:port).
func eachProxy(t *testing.T, upstream string, test func(t *testing.T, p *proxy)) {
	for _, k := range kinds {
		t.Run(k.name, func(t *testing.T) { test(t, startProxy(t, k, "localhost:8096", upstream)) })
	}
}

// startProxy starts a program. addresses are pairs of an address in the configuration and its
// replacement.
func startProxy(t *testing.T, k kind, addresses ...string) *proxy {
	t.Helper()
	dir, err := os.MkdirTemp("", "proxy") // short, because the path of a socket is limited
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	text, err := os.ReadFile(k.config)
	require.NoError(t, err)
	config := string(text)
	for pair := range slices.Chunk(addresses, 2) {
		config = replace(t, config, pair[0], pair[1])
	}
	network, listen := "unix", filepath.Join(dir, "socket")
	if k.tcp {
		network, listen = "tcp", freeAddress(t)
	}
	cmd := k.start(t, dir, config, listen)
	output, err := os.Create(filepath.Join(dir, "output"))
	require.NoError(t, err)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, output, output
	require.NoError(t, cmd.Start())
	p := &proxy{kind: k, dir: dir, cmd: cmd, ended: make(chan error, 1)}
	go func() { p.ended <- cmd.Wait(); output.Close() }()
	t.Cleanup(p.stop)
	dial := func(ctx context.Context, _, _ string) (net.Conn, error) {
		return (&net.Dialer{}).DialContext(ctx, network, listen)
	}
	p.client = &http.Client{Transport: &http.Transport{DialContext: dial, ExpectContinueTimeout: time.Minute}}
	require.Eventually(t, func() bool {
		conn, err := dial(t.Context(), "", "")
		if err == nil {
			conn.Close()
		}
		return err == nil
	}, time.Minute, 10*time.Millisecond, "%s is not listening:\n%s", k.name, p.written(t))
	return p
}

// freeAddress returns an address at which nothing listens.
func freeAddress(t *testing.T) string {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	defer listener.Close()
	return listener.Addr().String()
}

// stop ends the program and waits for its end. Its logs are complete then.
func (p *proxy) stop() {
	if p.cmd != nil {
		p.client.CloseIdleConnections() // HAProxy would wait for them
		p.cmd.Process.Signal(p.quit)
		<-p.ended
		p.cmd = nil
	}
}

// written returns everything that the program has written: its logs, its output and its cache.
func (p *proxy) written(t *testing.T) string {
	t.Helper()
	var all strings.Builder
	require.NoError(t, filepath.WalkDir(p.dir, func(path string, entry fs.DirEntry, err error) error {
		if err != nil || !entry.Type().IsRegular() {
			return err
		}
		text, err := os.ReadFile(path)
		all.Write(text)
		return err
	}))
	return all.String()
}

// A response is a response to a client.
type response struct {
	status int
	header http.Header
	body   string
}

// send sends a request with header lines such as "Name: value".
func (p *proxy) send(t *testing.T, method, target, body string, lines ...string) response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, "http://localhost"+target, strings.NewReader(body))
	require.NoError(t, err)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	res, err := p.client.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return response{res.StatusCode, res.Header, string(text)}
}

func (p *proxy) get(t *testing.T, target string, lines ...string) response {
	t.Helper()
	return p.send(t, "GET", target, "", lines...)
}

// replace replaces a text that must occur in s.
func replace(t *testing.T, s, old, new string) string {
	t.Helper()
	require.Contains(t, s, old)
	return strings.ReplaceAll(s, old, new)
}

func lookPath(t *testing.T, name, why string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		program.Skip(t, why)
	}
	return path
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

func startNginx(t *testing.T, dir, config, listen string) *exec.Cmd {
	binary := lookPath(t, "nginx", "nginx is not installed")
	if strings.HasPrefix(listen, "/") {
		listen = "unix:" + listen
	}
	write(t, dir, "service.conf", replace(t, config, "listen 8080;", "listen "+listen+";"))
	// A distribution's nginx.conf spreads these over several directories.
	main := write(t, dir, "main.conf", `
daemon off;
master_process off;
pid nginx.pid;
events {}
http {
    client_body_temp_path body; proxy_temp_path proxy; fastcgi_temp_path fastcgi; uwsgi_temp_path uwsgi; scgi_temp_path scgi;
    include service.conf;
}
`)
	return exec.Command(binary, "-p", dir, "-c", main, "-e", "start.log")
}

func startHAProxy(t *testing.T, dir, config, listen string) *exec.Cmd {
	binary := lookPath(t, "haproxy", "HAProxy is not installed")
	file := write(t, dir, "haproxy.cfg", replace(t, config, "bind :8080", "bind "+listen))
	return exec.Command(binary, "-db", "-f", file)
}

func startCaddy(t *testing.T, dir, config, listen string) *exec.Cmd {
	binary := lookPath(t, "caddy", "Caddy is not installed; build it in examples/proxies/caddy")
	site := "http:// {\n\tbind unix/" + listen
	if _, port, err := net.SplitHostPort(listen); err == nil {
		site = "http://:" + port + " {\n\tbind 127.0.0.1"
	}
	file := write(t, dir, "Caddyfile", replace(t, config, "http://:8080 {", site))
	cmd := exec.Command(binary, "run", "--config", file)
	cmd.Env = append(os.Environ(), "HOME="+dir, "XDG_DATA_HOME="+dir, "XDG_CONFIG_HOME="+dir)
	return cmd
}
