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

// A privateServer is a database server of the test's own, to be stopped and started.
type privateServer struct {
	t       *testing.T
	e       engine
	dsn     string
	account *user.User // that it runs as; nil: the test's own
	command []string
	log     bytes.Buffer // of one process at a time

	process *exec.Cmd
	ended   chan struct{}
}

// newServer makes a server where its programs are installed. It is not started yet.
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
		skip(t, "the programs of a server of its own are not installed")
	}
	if os.Getuid() == 0 {
		var err error
		if s.account, err = user.Lookup(account); err != nil {
			skip(t, err.Error())
		}
	}
	// Not t.TempDir, which other accounts cannot get into.
	dir := must(os.MkdirTemp("", "apikey"))
	t.Cleanup(func() { os.RemoveAll(dir) })
	if s.account != nil {
		uid, gid := s.ids()
		require.NoError(t, os.Chown(dir, int(uid), int(gid)))
	}
	data, port := filepath.Join(dir, "data"), freePort(t)
	if e.name == "PostgreSQL" {
		s.run(programs+"/initdb", "-D", data, "-U", "postgres", "-A", "trust", "-E", "UTF8", "--locale=C", "--no-sync")
		s.command = []string{programs + "/postgres", "-D", data, "-p", port, "-c", "listen_addresses=127.0.0.1",
			"-c", "unix_socket_directories=" + dir, "-c", "shared_buffers=16MB",
			"-c", "synchronous_commit=off"} // which the store must not rely on
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

// freePort returns a port that is free, and none of those that clients are given.
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

// start starts the server, and returns when it accepts connections.
func (s *privateServer) start() {
	s.t.Helper()
	db := must(s.e.open(s.dsn))
	defer db.Close()
	s.launch()
	eventually(s.t, time.Minute, "the server accepts connections", func() bool {
		select {
		case <-s.ended: // what is left of the one before may have been in its way
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

// signal ends the server, and returns when it has ended.
func (s *privateServer) signal(how syscall.Signal) {
	s.process.Process.Signal(how)
	<-s.ended
}

// The database server is stopped and started under load. Nobody who has a good key gets a 401,
// a revocation that was acknowledged is kept, and all is well as soon as the server is back.
func TestTheServerIsStoppedAndStarted(t *testing.T) {
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
		run(t, db, "CREATE DATABASE apikey_test")
		db.Close()
		s.dsn = s.dsn[:len(s.dsn)-len("mysql")] + "apikey_test"
	}
	t.Logf("the server is there after %v", time.Since(begin))
	o := cachestore.Options{Poll: 200 * time.Millisecond, QueryTimeout: 500 * time.Millisecond, Lease: time.Second}
	node := e.openNode(t, s.dsn, sqlstore.Options{}, o)
	writer := e.openNode(t, s.dsn, sqlstore.Options{}, o) // another process
	require.NoError(t, node.store.Migrate(t.Context()))
	var good []apikey.Secret
	for i := range keys {
		writer.issue(t, i)
		good = append(good, foreignSecret(i))
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
						t.Errorf("a good key got the status %d", status)
					case status == http.StatusOK && !since.IsZero() && since.Equal(down.started()) && begin.After(since.Add(o.Lease)):
						t.Errorf("a key was accepted %v after the server had ended", begin.Sub(since))
					}
				}
			})
		}
	})
	wellAgain := func() {
		t.Helper()
		eventually(t, 2*time.Second, "good keys are accepted", func() bool {
			for _, secret := range good {
				if get(secret) != http.StatusOK {
					return false
				}
			}
			return true
		})
	}
	eventually(t, 30*time.Second, "the first poll", func() bool { return node.cache.Stats().LeaseRemaining > 0 })
	wellAgain()
	// The first is immediate, or what the service manager does; the others are without warning.
	orderly := syscall.SIGTERM
	if e.name == "PostgreSQL" {
		orderly = syscall.SIGQUIT
	}
	for i, how := range []syscall.Signal{orderly, syscall.SIGKILL, syscall.SIGKILL} {
		n := keys + i
		id := writer.issue(t, n).ID
		eventually(t, 10*time.Second, "the key is accepted", func() bool { return get(foreignSecret(n)) == http.StatusOK })
		_, err := writer.store.Revoke(t.Context(), id)
		require.NoError(t, err)
		acknowledged := time.Now()
		s.signal(how)
		down.begin()
		refusals := counts[http.StatusServiceUnavailable].Load()
		eventually(t, 30*time.Second, "good keys get 503", func() bool {
			begin := time.Now()
			if status := get(foreignSecret(n)); status == http.StatusOK && begin.After(acknowledged.Add(o.Lease)) {
				t.Fatalf("a revoked key was accepted %v after", begin.Sub(acknowledged))
			}
			return counts[http.StatusServiceUnavailable].Load() > refusals+50
		})
		assert.Error(t, errorOf(writer.store.Revoke(t.Context(), id)), "nobody can know")
		down.end()
		begin := time.Now()
		s.start()
		t.Logf("%v: the server is back after %v", how, time.Since(begin))
		wellAgain()
		fresh := e.openNode(t, s.dsn, sqlstore.Options{}, o) // a process that has just begun
		_, err = fresh.verify(foreignSecret(n))
		require.ErrorIs(t, err, apikey.ErrRevoked, "it was acknowledged before %v", how)
		require.NoError(t, fresh.close())
		require.Equal(t, http.StatusUnauthorized, get(foreignSecret(n)))
	}
	requireSoundRevisions(t, node.db)
	close(stop)
	load.Wait()
	client.CloseIdleConnections()
	web.Close()
	t.Logf("%d times 200, %d times 503", counts[200].Load(), counts[503].Load())
	require.NoError(t, node.close())
	node.requireNothingLeft(t)
	require.NoError(t, writer.close())
	writer.requireNothingLeft(t)
	requireNoClients(t, s)
}

// requireNoClients holds when all pools are closed.
func requireNoClients(t testing.TB, s *privateServer) {
	t.Helper()
	query := "SELECT COUNT(*) FROM pg_stat_activity WHERE backend_type = 'client backend' AND pid <> pg_backend_pid()"
	if s.e.name == "MySQL" {
		query = "SELECT COUNT(*) FROM information_schema.processlist WHERE user = 'root' AND id <> connection_id()"
	}
	db := must(s.e.open(s.dsn))
	defer db.Close()
	eventually(t, 10*time.Second, "the server has no other clients", func() bool { return number(t, db, query) == 0 })
}
