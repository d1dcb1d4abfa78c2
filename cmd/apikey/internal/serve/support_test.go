package serve

import (
	"bufio"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/manage"
)

// program is the path of the command. Tests call binary, which builds it.
var program string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "apikey")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	program = filepath.Join(dir, "apikey")
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

var built = sync.OnceValue(func() error { return build(program) })

// binary returns the path of the command. The first call builds it, so that fuzzing does not.
func binary(t *testing.T) string {
	t.Helper()
	require.NoError(t, built())
	return program
}

// skip skips a test. If APIKEY_TEST_ALL is set, it fails the test instead.
func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("APIKEY_TEST_ALL") != "" {
		t.Fatalf("must not be skipped: %s", why)
	}
	t.Skipf("skipped: %s", why)
}

func lookPath(t *testing.T, name string) string {
	t.Helper()
	path, err := exec.LookPath(name)
	if err != nil {
		skip(t, name+" is not installed")
	}
	return path
}

func write(t *testing.T, dir, name, text string) string {
	t.Helper()
	path := filepath.Join(dir, name)
	require.NoError(t, os.WriteFile(path, []byte(text), 0o600))
	return path
}

// patience is the longest wait for an action of a process.
const patience = time.Minute

// slowly returns a promised time, multiplied by APIKEY_TEST_PATIENCE for a busy machine.
func slowly(promised time.Duration) time.Duration {
	if n, err := strconv.Atoi(os.Getenv("APIKEY_TEST_PATIENCE")); err == nil {
		return promised * time.Duration(n)
	}
	return promised
}

// eventually waits until a condition holds.
func eventually(t *testing.T, condition func() bool, why string) {
	t.Helper()
	for end := time.Now().Add(patience); !condition(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(end) {
			t.Fatal(why)
		}
	}
}

// newIssuer returns an Issuer of a program beside the server, over the same database.
func newIssuer(t *testing.T, url string) *apikey.Issuer {
	t.Helper()
	db, err := database.Open(apikey.NewSecret(url), "")
	require.NoError(t, err)
	t.Cleanup(func() { assert.NoError(t, db.Close()) })
	require.NoError(t, db.Store.Migrate(t.Context()))
	issuer, err := apikey.NewIssuer(db.Store, apikey.IssuerOptions{})
	require.NoError(t, err)
	return issuer
}

func newSQLite(t *testing.T) (url string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "keys") // without the name of the test
	require.NoError(t, err)
	t.Cleanup(func() { os.RemoveAll(dir) })
	return filepath.Join(dir, "keys.db")
}

// issue makes a key and returns its secret and its ID.
func issue(t *testing.T, issuer *apikey.Issuer, scopes ...string) (secret, id string) {
	t.Helper()
	s, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", Owner: "alice", Scopes: scopes})
	require.NoError(t, err)
	return s.Reveal(), key.ID
}

// A process is a running server.
type process struct {
	url, metricsURL string
	client          *http.Client
	cmd             *exec.Cmd
	ended           chan error

	mu    sync.Mutex
	lines []string // of the log
}

// startServer starts the server. It runs in an empty environment except for env.
func startServer(t *testing.T, env []string, args ...string) *process {
	t.Helper()
	p := &process{client: &http.Client{Timeout: patience, CheckRedirect: func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }}, ended: make(chan error, 1)}
	p.cmd = exec.Command(binary(t), append([]string{"serve", "--log", "json", "--listen", "127.0.0.1:0", "--metrics", "127.0.0.1:0"}, args...)...)
	p.cmd.Env = append([]string{"HOME=" + t.TempDir(), "PATH=" + os.Getenv("PATH")}, env...)
	stderr, err := p.cmd.StderrPipe()
	require.NoError(t, err)
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { p.cmd.Process.Kill(); <-p.ended; p.ended <- nil })
	addr := make(chan string, 1)
	go func() {
		for lines := bufio.NewScanner(stderr); lines.Scan(); {
			var line struct{ Addr, Metrics, Scheme string }
			p.mu.Lock()
			p.lines = append(p.lines, lines.Text())
			p.mu.Unlock()
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Metrics != "" {
				p.metricsURL = "http://" + line.Metrics
			}
			if line.Addr != "" {
				addr <- line.Scheme + "://" + line.Addr
			}
		}
		close(addr)
		p.ended <- p.cmd.Wait()
	}()
	select {
	case p.url = <-addr:
		require.NotEmpty(t, p.url, "the server ended:\n%s", p.log())
	case <-time.After(patience):
		t.Fatal("the server is not listening")
	}
	return p
}

// ready waits until the server is ready.
func (p *process) ready(t *testing.T) *process {
	t.Helper()
	eventually(t, func() bool { return p.get(t, "/readyz").status == 200 }, "the server is not ready")
	return p
}

func (p *process) log() string {
	p.mu.Lock()
	defer p.mu.Unlock()
	return strings.Join(p.lines, "\n")
}

func (p *process) signal(t *testing.T, s syscall.Signal) {
	t.Helper()
	require.NoError(t, p.cmd.Process.Signal(s))
}

// stop ends the server by SIGTERM and returns its log.
func (p *process) stop(t *testing.T) string {
	t.Helper()
	p.signal(t, syscall.SIGTERM)
	err := <-p.ended
	p.ended <- nil // for the cleanup
	require.NoError(t, err, p.log())
	return p.log()
}

// A response is a response to a client.
type response struct {
	status int
	header http.Header
	body   string
}

// send sends a request with header lines such as "Name: value".
func send(t *testing.T, client *http.Client, method, url, body string, lines ...string) response {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	require.NoError(t, err)
	for _, line := range lines {
		name, value, _ := strings.Cut(line, ": ")
		r.Header.Add(name, value)
	}
	res, err := client.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return response{res.StatusCode, res.Header, string(text)}
}

func (p *process) get(t *testing.T, path string, lines ...string) response {
	t.Helper()
	return send(t, p.client, "GET", p.url+path, "", lines...)
}

// asks sends the subrequest of nginx.
func (p *process) asks(t *testing.T, method, uri string, lines ...string) response {
	t.Helper()
	return p.get(t, "/auth/nginx", append([]string{"X-Original-Method: " + method, "X-Original-URI: " + uri, "X-Forwarded-For: 203.0.113.9"}, lines...)...)
}

// manager is the scope of keys for the management API.
const manager = manage.ScopeManage
