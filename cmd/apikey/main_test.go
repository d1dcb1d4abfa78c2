package main_test

import (
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// binary is the command, built once for all tests.
var binary string

func TestMain(m *testing.M) {
	dir, err := os.MkdirTemp("", "apikey")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	binary = filepath.Join(dir, "apikey")
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Stderr = os.Stderr
	status := 1
	if err := build.Run(); err == nil {
		status = m.Run()
	}
	os.RemoveAll(dir)
	os.Exit(status)
}

// A machine runs the binary on a database of its own.
type machine struct {
	t   *testing.T
	env []string
}

func newMachine(t *testing.T) *machine {
	t.Helper()
	m := &machine{t, []string{"PATH=" + filepath.Dir(binary) + ":" + os.Getenv("PATH"), "APIKEY_DATABASE=" + t.TempDir() + "/keys.db", "APIKEY_ACTOR=alice", "TZ=UTC"}}
	m.output("migrate")
	return m
}

// command returns a command that the test runs.
func (m *machine) command(args ...string) *exec.Cmd {
	cmd := exec.CommandContext(m.t.Context(), binary, args...)
	cmd.Env = m.env
	return cmd
}

// output runs the command, which must succeed, and returns standard output.
func (m *machine) output(args ...string) string {
	m.t.Helper()
	out, err := m.command(args...).Output()
	require.NoError(m.t, err)
	return string(out)
}

// allRevoked requires that no key is active and that the key of the test is revoked.
func (m *machine) allRevoked() {
	m.t.Helper()
	assert.Equal(m.t, "{\"keys\":[]}\n", m.output("list", "--status", "active", "--json"))
	assert.Contains(m.t, m.output("list", "--status", "revoked"), "Backup job")
}

func exitStatus(t *testing.T, err error) int {
	t.Helper()
	var exit *exec.ExitError
	require.ErrorAs(t, err, &exit)
	return exit.ExitCode()
}

const undelivered = 8

// The runtime ends a program that writes to a closed standard output, unless the program handles SIGPIPE.
func TestClosedPipeRevokesTheKey(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	cmd := m.command("issue", "Backup job")
	cmd.Stdout = w
	assert.Equal(t, undelivered, exitStatus(t, cmd.Run()))
	require.NoError(t, w.Close())
	m.allRevoked()
}

func TestClosedStandardOutputMakesNoKey(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	cmd := exec.CommandContext(t.Context(), "sh", "-c", binary+` issue "Backup job" >&-`)
	cmd.Env = m.env
	assert.Equal(t, 2, exitStatus(t, cmd.Run()))
	assert.Equal(t, "{\"keys\":[]}\n", m.output("list", "--json"))
}

func TestReaderThatClosesThePipeEndsAListSilently(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	var errs strings.Builder
	cmd := m.command("list")
	cmd.Stdout, cmd.Stderr = w, &errs
	assert.Equal(t, 1, exitStatus(t, cmd.Run()))
	require.NoError(t, w.Close())
	assert.Empty(t, errs.String())
}

func TestSignalWhileAPipeIsFullRevokesTheKey(t *testing.T) {
	t.Parallel()
	for _, signal := range []os.Signal{os.Interrupt, syscall.SIGTERM, syscall.SIGHUP} {
		t.Run(signal.String(), func(t *testing.T) {
			t.Parallel()
			m := newMachine(t)
			r, w, err := os.Pipe()
			require.NoError(t, err)
			defer r.Close()
			defer w.Close()
			fill(t, w)
			cmd := m.command("issue", "Backup job")
			cmd.Stdout = w
			require.NoError(t, cmd.Start())
			require.Eventually(t, func() bool { return strings.Contains(m.output("list"), "Backup job") }, time.Minute, 50*time.Millisecond)
			require.NoError(t, cmd.Process.Signal(signal))
			assert.Equal(t, undelivered, exitStatus(t, cmd.Wait()))
			m.allRevoked()
		})
	}
}

// fill fills a pipe, so that the next write to it waits.
func fill(t *testing.T, w *os.File) {
	t.Helper()
	require.NoError(t, w.SetWriteDeadline(time.Now().Add(200*time.Millisecond)))
	for {
		if _, err := w.Write(make([]byte, 4096)); err != nil {
			require.ErrorIs(t, err, os.ErrDeadlineExceeded)
			return
		}
	}
}

func TestInterruptEndsACommandThatReadsItsInput(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	cmd := m.command("identify")
	stdin, err := cmd.StdinPipe()
	require.NoError(t, err)
	defer stdin.Close()
	require.NoError(t, cmd.Start())
	_, err = io.WriteString(stdin, "half a key")
	require.NoError(t, err)
	// An interrupt that arrives before the program handles signals ends it without an exit status.
	ended := make(chan error, 1)
	go func() { ended <- cmd.Wait() }()
	for {
		require.NoError(t, cmd.Process.Signal(os.Interrupt))
		select {
		case err := <-ended:
			assert.Contains(t, []int{130, -1}, exitStatus(t, err))
			return
		case <-time.After(50 * time.Millisecond):
		}
	}
}

func TestShellsGetCompletionOfIDs(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.output("issue", "Backup job")
	id := strings.Fields(strings.Split(m.output("list"), "\n")[1])[0]
	for _, command := range []string{"show", "edit", "rotate", "suspend", "resume", "revoke", "history"} {
		assert.Equal(t, id+"\tBackup job\n:4\n", m.output("__complete", command, ""), command)
	}
	assert.Equal(t, id+"\tBackup job\n:4\n", m.output("__complete", "show", id[:3]))
	assert.Equal(t, ":4\n", m.output("__complete", "show", id, ""))
	assert.Equal(t, ":4\n", m.output("__complete", "show", "--database", t.TempDir()+"/missing.db", ""))
	assert.Equal(t, ":4\n", m.output("__complete", "show", "--database", "postgres://127.0.0.1:1/keys", ""))
	assert.Equal(t, ":4\n", m.output("__complete", "show", "--server", "http://127.0.0.1:1", ""))
	for _, shell := range []string{"bash", "zsh", "fish", "powershell"} {
		assert.Contains(t, m.output("completion", shell), "apikey")
	}
}
