package main

import (
	"bufio"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

// A deployment is the database and the files with secrets that the processes of a service share.
type deployment struct {
	binary string
	env    []string
	key    string
}

const (
	password = "correct horse battery staple"
	pepper   = "0123456789abcdef0123456789abcdef"
)

func TestMain(m *testing.M) { program.Main(m) }

func newDeployment(t *testing.T) *deployment {
	t.Helper()
	database, dir := newSchema(t), t.TempDir()
	d := &deployment{binary: program.Build(t, ".")}
	file := func(name, text string) string {
		path := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(path, []byte(text+"\n"), 0o600))
		return path
	}
	d.env = []string{
		"ADDR=localhost:0", "DRAIN=1s", "PATH=" + os.Getenv("PATH"),
		"DATABASE_URL_FILE=" + file("database", database), "PEPPER_FILE=" + file("pepper", pepper),
	}
	hash := d.output(t, password+"\n", "hash-password")
	d.key = d.output(t, "", "make-key")
	d.env = append(d.env, "ADMIN_PASSWORD_HASH_FILE="+file("hash", hash), "SEED_KEY_FILE="+file("key", d.key))
	return d
}

func newSchema(t *testing.T) (dsn string) {
	t.Helper()
	dsn = os.Getenv("APIKEY_TEST_POSTGRES")
	if dsn == "" {
		program.Skip(t, "APIKEY_TEST_POSTGRES does not name a server")
	}
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	schema := fmt.Sprintf("apikey_production_%x", rand.Uint64())
	_, err = db.Exec("CREATE SCHEMA " + schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP SCHEMA " + schema + " CASCADE")
		assert.NoError(t, err)
		db.Close()
	})
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	// On a busy machine PostgreSQL may need longer than the service's default of one second.
	u.RawQuery = "connect_timeout=30&search_path=" + schema
	return u.String()
}

// output runs a command of the program and returns its output.
func (d *deployment) output(t *testing.T, in string, args ...string) string {
	t.Helper()
	cmd := exec.Command(d.binary, args...)
	cmd.Env, cmd.Stdin = d.env, strings.NewReader(in)
	out, err := cmd.Output()
	require.NoError(t, err)
	return strings.TrimSpace(string(out))
}

// A process is a running service.
type process struct {
	url    string
	cmd    *exec.Cmd
	client *http.Client
	log    chan string // the whole log, after the process has ended
}

func (d *deployment) start(t *testing.T, client *http.Client, env ...string) *process {
	t.Helper()
	p := &process{cmd: exec.Command(d.binary), client: client, log: make(chan string, 1)}
	p.cmd.Env = append(d.env, env...)
	stdout, err := p.cmd.StdoutPipe()
	require.NoError(t, err)
	p.cmd.Stderr = p.cmd.Stdout
	require.NoError(t, p.cmd.Start())
	t.Cleanup(func() { p.cmd.Process.Kill() })
	addr := make(chan string, 1)
	go func() {
		var log strings.Builder
		for lines := bufio.NewScanner(stdout); lines.Scan(); {
			fmt.Fprintln(&log, lines.Text())
			var line struct{ Msg, Addr string }
			if json.Unmarshal(lines.Bytes(), &line) == nil && line.Addr != "" {
				addr <- line.Addr
			}
		}
		p.log <- log.String()
	}()
	select {
	case at := <-addr:
		p.url = "http://" + at
	case log := <-p.log:
		t.Fatalf("the process ended:\n%s", log)
	case <-time.After(time.Minute):
		t.Fatal("the process is not listening")
	}
	return p
}

func (p *process) get(t *testing.T, path, key string) (status int, body string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", p.url+path, nil)
	require.NoError(t, err)
	if key != "" {
		r.Header.Set("X-API-Key", key)
	}
	res, err := p.client.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	text, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(text)
}

func (p *process) awaitReady(t *testing.T, status int) {
	t.Helper()
	require.Eventually(t, func() bool {
		got, _ := p.get(t, "/readyz", "")
		return got == status
	}, time.Minute, 10*time.Millisecond, "/readyz does not respond with %d", status)
}

func TestProcessesShareKeysAndOneStopsGracefully(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	one, two := d.start(t, http.DefaultClient), d.start(t, http.DefaultClient)
	for _, p := range []*process{one, two} {
		p.awaitReady(t, http.StatusOK)
		status, _ := p.get(t, "/livez", "")
		assert.Equal(t, http.StatusOK, status)
		status, body := p.get(t, "/library", d.key)
		assert.Equal(t, http.StatusOK, status)
		assert.Equal(t, "Hello, Seed!\n", body)
		status, _ = p.get(t, "/library", "")
		assert.Equal(t, http.StatusUnauthorized, status)
		status, body = p.get(t, "/admin/", "")
		assert.Equal(t, http.StatusOK, status)
		assert.Contains(t, body, "password", "the login page")
	}
	require.NoError(t, one.cmd.Process.Signal(syscall.SIGTERM))
	one.awaitReady(t, http.StatusServiceUnavailable)
	status, _ := one.get(t, "/library", d.key)
	assert.Equal(t, http.StatusOK, status, "a process that is not ready still serves requests")
	log := <-one.log
	assert.NoError(t, one.cmd.Wait(), log)
	for _, secret := range []string{d.key, password, pepper} {
		assert.NotContains(t, log, secret)
	}
	status, _ = two.get(t, "/library", d.key)
	assert.Equal(t, http.StatusOK, status, "the other process still serves requests")
}

func TestServiceServesTLS(t *testing.T) {
	t.Parallel()
	d := newDeployment(t)
	certFile, keyFile, client := newCertificate(t)
	p := d.start(t, client, "TLS_CERT_FILE="+certFile, "TLS_KEY_FILE="+keyFile)
	p.url = strings.Replace(p.url, "http://", "https://", 1)
	status, _ := p.get(t, "/library", d.key)
	assert.Equal(t, http.StatusOK, status)
}
