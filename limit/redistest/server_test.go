package redistest

import (
	"fmt"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"syscall"
	"testing"
	"time"

	"github.com/redis/go-redis/v9"
	"github.com/stretchr/testify/require"
)

// programs are the servers that limit.Redis works with.
var programs = []string{"redis-server", "valkey-server"}

// onEachServer runs a test with each program.
func onEachServer(t *testing.T, test func(t *testing.T, program string)) {
	for _, program := range programs {
		t.Run(program, func(t *testing.T) {
			t.Parallel()
			test(t, program)
		})
	}
}

// A server is a Redis or Valkey server of one test, which can stop and start it.
type server struct {
	t       *testing.T
	addr    string
	command []string
	process *os.Process
	admin   *redis.Client
}

// newServer starts a program with extra arguments. It skips the test if the program is not installed.
func newServer(t *testing.T, program string, args ...string) *server {
	t.Helper()
	path, err := exec.LookPath(program)
	if err != nil {
		if os.Getenv("APIKEY_TEST_ALL") != "" {
			t.Fatalf("%s is not installed", program)
		}
		t.Skipf("skipped: %s is not installed", program)
	}
	l, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	port := l.Addr().(*net.TCPAddr).Port
	l.Close()
	dir := t.TempDir()
	s := &server{t: t, addr: fmt.Sprintf("127.0.0.1:%d", port), command: append([]string{
		path, "--port", fmt.Sprint(port), "--bind", "127.0.0.1", "--dir", dir, "--save", "", "--appendonly", "yes", "--appendfsync", "always",
		"--logfile", filepath.Join(dir, "log"), "--enable-debug-command", "yes", "--cluster-port", fmt.Sprint(port + 1),
	}, args...)}
	s.admin = redis.NewClient(&redis.Options{Addr: s.addr, MaxRetries: -1})
	t.Cleanup(func() { s.admin.Close(); s.stop(syscall.SIGKILL) })
	s.start()
	return s
}

func (s *server) start() {
	s.t.Helper()
	cmd := exec.Command(s.command[0], s.command[1:]...)
	cmd.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
	require.NoError(s.t, cmd.Start())
	s.process = cmd.Process
	require.Eventually(s.t, func() bool { return s.admin.Ping(s.t.Context()).Err() == nil }, 30*time.Second, 20*time.Millisecond, "the server answers")
}

func (s *server) signal(sig os.Signal) { require.NoError(s.t, s.process.Signal(sig)) }

func (s *server) stop(sig os.Signal) {
	s.process.Signal(sig)
	s.process.Wait()
}

// now returns the time of the server's clock.
func (s *server) now() time.Time {
	s.t.Helper()
	at, err := s.admin.Time(s.t.Context()).Result()
	require.NoError(s.t, err)
	return at
}
