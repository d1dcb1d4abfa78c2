//go:build long && linux

package drivertest

import (
	"bytes"
	"math/rand/v2"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"os/user"
	"path/filepath"
	"strconv"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A privateServer is a database server for one test, which can stop and start it.
type privateServer struct {
	t       *testing.T
	e       engine
	dsn     string
	dir     string     // of its data and temporary files
	account *user.User // the account that it runs as; nil for the account of the test
	command []string
	log     bytes.Buffer // of the current process

	process *exec.Cmd
	ended   chan struct{}
}

// newServer returns a server that is not started yet. It skips the test if the server's programs are
// not installed.
func newServer(t *testing.T, e engine) *privateServer {
	s := &privateServer{t: t, e: e}
	var programs, account string
	switch e.name {
	case "PostgreSQL":
		account = "postgres"
		if found := must(filepath.Glob("/usr/lib/postgresql/*/bin/initdb")); len(found) > 0 {
			programs = filepath.Dir(found[len(found)-1])
		} else if found, err := exec.LookPath("initdb"); err == nil {
			programs = filepath.Dir(found)
		}
	case "MySQL":
		account = "mysql"
		if found, err := exec.LookPath("mariadbd"); err == nil && errorOf(exec.LookPath("mariadb-install-db")) == nil {
			programs = filepath.Dir(found)
		}
	}
	if programs == "" {
		skip(t, "the server's programs are not installed")
	}
	if os.Getuid() == 0 {
		var err error
		if s.account, err = user.Lookup(account); err != nil {
			skip(t, err.Error())
		}
	}
	// t.TempDir does not work, because other accounts cannot enter it.
	dir := must(os.MkdirTemp("", "apikey"))
	t.Cleanup(func() { os.RemoveAll(dir) })
	s.dir = dir
	if s.account != nil {
		uid, gid := s.ids()
		require.NoError(t, os.Chown(dir, int(uid), int(gid)))
	}
	data, port := filepath.Join(dir, "data"), freePort(t)
	if e.name == "PostgreSQL" {
		s.run(programs+"/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
		s.command = []string{programs + "/postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories=" + dir, "-c", "shared_buffers=16MB",
			"-c", "synchronous_commit=off"} // which the store must override
		s.dsn = "postgres://postgres@127.0.0.1:" + port + "/postgres?sslmode=disable"
	} else {
		s.run("mariadb-install-db", "--no-defaults", "--datadir="+data, "--auth-root-authentication-method=normal", "--skip-test-db",
			"--innodb-log-file-size=8M")
		s.command = []string{programs + "/mariadbd", "--no-defaults", "--datadir=" + data, "--port=" + port, "--bind-address=127.0.0.1",
			"--socket=" + dir + "/socket", "--pid-file=" + dir + "/pid", "--innodb-buffer-pool-size=16M", "--innodb-log-file-size=8M"}
		s.dsn = "root@tcp(127.0.0.1:" + port + ")/mysql"
	}
	return s
}

// freePort returns a free port outside the range of ephemeral ports.
func freePort(t testing.TB) string {
	for range 1000 {
		port := strconv.Itoa(15000 + rand.IntN(15000))
		if l, err := net.Listen("tcp", "127.0.0.1:"+port); err == nil {
			l.Close()
			return port
		}
	}
	t.Fatal("no port is free")
	return ""
}

func (s *privateServer) ids() (uid, gid uint32) {
	return uint32(must(strconv.Atoi(s.account.Uid))), uint32(must(strconv.Atoi(s.account.Gid)))
}

func (s *privateServer) cmd(command ...string) *exec.Cmd {
	cmd := exec.Command(command[0], command[1:]...)
	cmd.Dir = "/"
	// MariaDB deletes the temporary tables of every server in its temporary directory when it starts.
	cmd.Env = append(os.Environ(), "TMPDIR="+s.dir)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	if s.account != nil {
		uid, gid := s.ids()
		cmd.SysProcAttr.Credential = &syscall.Credential{Uid: uid, Gid: gid}
	}
	return cmd
}

func (s *privateServer) run(command ...string) {
	output, err := s.cmd(command...).CombinedOutput()
	require.NoError(s.t, err, "%v: %s", command, output)
}

// start starts the server and waits until it accepts connections.
func (s *privateServer) start() {
	s.t.Helper()
	db := must(s.e.open(s.dsn))
	defer db.Close()
	s.launch()
	eventually(s.t, time.Minute, "the server accepts connections", func() bool {
		select {
		case <-s.ended: // the previous process may still have held the port or the data
			s.launch()
		default:
		}
		return db.PingContext(s.t.Context()) == nil
	})
}

func (s *privateServer) launch() {
	s.log.Reset()
	process, ended := s.cmd(s.command...), make(chan struct{})
	process.Stdout, process.Stderr = &s.log, &s.log
	process.WaitDelay = 10 * time.Second
	require.NoError(s.t, process.Start())
	s.process, s.ended = process, ended
	go func() {
		process.Wait()
		close(ended)
	}()
	s.t.Cleanup(func() { s.signal(syscall.SIGKILL) })
}

// signal sends the server a signal and waits until it has ended.
func (s *privateServer) signal(how syscall.Signal) {
	s.process.Process.Signal(how)
	<-s.ended
}

// The database server is stopped and started under load. No valid key gets 401, no acknowledged
// revocation is lost, and requests succeed as soon as the server is back.
func TestServerRestart(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it starts servers")
	}
	t.Parallel()
	var all sync.WaitGroup
	for _, e := range engines[1:] {
		all.Go(func() {
			t.Run(e.name, func(t *testing.T) { testStoppedServer(t, e) })
		})
	}
	all.Wait()
}

func testStoppedServer(t *testing.T, e engine) {
	const keys = 20
	begin := time.Now()
	s := newServer(t, e)
	s.start()
	if e.name == "MySQL" {
		db := must(e.open(s.dsn))
		execute(t, db, "CREATE DATABASE apikey_test")
		db.Close()
		s.dsn = s.dsn[:len(s.dsn)-len("mysql")] + "apikey_test"
	}
	t.Logf("the server started after %v", time.Since(begin))
	o := cachestore.Options{Poll: patience * 200 * time.Millisecond, QueryTimeout: patience * 500 * time.Millisecond, Lease: patience * time.Second}
	node := e.openNode(t, s.dsn, sqlstore.Options{}, o)
	writer := e.openNode(t, s.dsn, sqlstore.Options{}, o) // another process
	require.NoError(t, node.store.Migrate(t.Context()))
	var good []apikey.Secret
	for i := range keys {
		writer.issue(t, i)
		good = append(good, importedSecret(i))
	}

	var down outage
	var counts [600]atomic.Int64
	stop := make(chan struct{})
	var load sync.WaitGroup
	var web *httptest.Server
	var client *http.Client
	get := func(secret apikey.Secret) int {
		r := must(http.NewRequest("GET", web.URL, nil))
		r.Header.Set("X-API-Key", secret.Reveal())
		response, err := client.Do(r)
		if !assert.NoError(t, err) {
			return 0
		}
		response.Body.Close()
		if response.StatusCode == http.StatusServiceUnavailable {
			assert.NotEmpty(t, response.Header.Get("Retry-After"))
		}
		return response.StatusCode
	}
	node.labelled(func() {
		web = httptest.NewServer(node.auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
		client = &http.Client{Transport: &http.Transport{MaxIdleConnsPerHost: 4}}
		for worker := range 3 {
			load.Go(func() {
				for i := worker; ; i++ {
					select {
					case <-stop:
						return
					case <-time.After(2 * time.Millisecond):
					}
					since, begin := down.started(), time.Now()
					status := get(good[i%len(good)])
					counts[status].Add(1)
					switch {
					case status != http.StatusOK && status != http.StatusServiceUnavailable:
						t.Errorf("a valid key got status %d", status)
					case status == http.StatusOK && !since.IsZero() && since.Equal(down.started()) && begin.After(since.Add(o.Lease)):
						t.Errorf("a key was accepted %v after the server had ended", begin.Sub(since))
					}
				}
			})
		}
	})
	awaitRecovery := func() {
		t.Helper()
		eventually(t, 2*time.Second, "valid keys are accepted", func() bool {
			for _, secret := range good {
				if get(secret) != http.StatusOK {
					return false
				}
			}
			return true
		})
	}
	eventually(t, 30*time.Second, "the first poll succeeds", func() bool { return node.cache.Stats().LeaseRemaining > 0 })
	awaitRecovery()
	shutdown := syscall.SIGTERM // of a service manager
	if e.name == "PostgreSQL" {
		shutdown = syscall.SIGQUIT // an immediate shutdown, because SIGTERM waits for clients
	}
	for i, how := range []syscall.Signal{shutdown, syscall.SIGKILL, syscall.SIGKILL} {
		n := keys + i
		id := writer.issue(t, n).ID
		eventually(t, 10*time.Second, "the key is accepted", func() bool { return get(importedSecret(n)) == http.StatusOK })
		_, err := writer.store.Revoke(t.Context(), id)
		require.NoError(t, err)
		acknowledged := time.Now()
		s.signal(how)
		down.begin()
		refusals := counts[http.StatusServiceUnavailable].Load()
		eventually(t, 30*time.Second, "valid keys get 503", func() bool {
			begin := time.Now()
			if status := get(importedSecret(n)); status == http.StatusOK && begin.After(acknowledged.Add(o.Lease)) {
				t.Fatalf("a revoked key was accepted %v after its revocation", begin.Sub(acknowledged))
			}
			return counts[http.StatusServiceUnavailable].Load() > refusals+50
		})
		assert.Error(t, errorOf(writer.store.Revoke(t.Context(), id)), "a write without a server")
		down.end()
		begin := time.Now()
		s.start()
		t.Logf("%v: the server is back after %v", how, time.Since(begin))
		awaitRecovery()
		fresh := e.openNode(t, s.dsn, sqlstore.Options{}, o)
		_, err = fresh.verify(importedSecret(n))
		require.ErrorIs(t, err, apikey.ErrRevoked, "acknowledged before %v", how)
		require.NoError(t, fresh.close())
		require.Equal(t, http.StatusUnauthorized, get(importedSecret(n)))
	}
	requireConsistentRevisions(t, node.db)
	close(stop)
	load.Wait()
	client.CloseIdleConnections()
	web.Close()
	t.Logf("%d times 200, %d times 503", counts[200].Load(), counts[503].Load())
	require.NoError(t, node.close())
	node.requireNoLeak(t)
	require.NoError(t, writer.close())
	writer.requireNoLeak(t)
	requireNoClients(t, s)
}

// requireNoClients requires that the server has no clients after all pools are closed.
func requireNoClients(t testing.TB, s *privateServer) {
	t.Helper()
	query := "SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
	if s.e.name == "MySQL" {
		query = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'root' AND id <> connection_id()"
	}
	db := must(s.e.open(s.dsn))
	defer db.Close()
	eventually(t, 10*time.Second, "the server has no other clients", func() bool { return queryInt(t, db, query) == 0 })
}
