// Package program builds and runs the examples for their tests, as a reader would.
package program

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"
)

// builds holds the binaries that the tests of a package share.
var builds struct {
	mu       sync.Mutex
	dir      string            // "" without Main
	binaries map[string]string // by the directory of the source
}

// Main runs the tests of a package and exits. Call it from TestMain to build each program once
// instead of once in each test.
func Main(m *testing.M) {
	dir, err := os.MkdirTemp("", "program")
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	builds.dir, builds.binaries = dir, map[string]string{}
	status := m.Run()
	os.RemoveAll(dir)
	os.Exit(status)
}

// Build builds the program in a directory and returns the path of the binary.
func Build(t *testing.T, dir string) (binary string) {
	t.Helper()
	source, err := filepath.Abs(dir)
	if err != nil {
		t.Fatal(err)
	}
	builds.mu.Lock()
	defer builds.mu.Unlock()
	if binary, built := builds.binaries[source]; built {
		return binary
	}
	if builds.dir == "" {
		binary = filepath.Join(t.TempDir(), "program")
	} else {
		binary = filepath.Join(builds.dir, fmt.Sprint("program", len(builds.binaries)))
	}
	build := exec.Command("go", "build", "-o", binary, ".")
	build.Dir = source
	if out, err := build.CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	if builds.dir != "" {
		builds.binaries[source] = binary
	}
	return binary
}

// A Program is a running example.
type Program struct {
	t     *testing.T
	lines chan string
}

// Start builds and runs the program in the directory of the test. At the end of the test it
// interrupts the program and waits for its end.
func Start(t *testing.T, args ...string) *Program {
	t.Helper()
	return StartIn(t, ".", args...)
}

// StartIn is like Start for the program in another directory.
func StartIn(t *testing.T, dir string, args ...string) *Program {
	t.Helper()
	return Command(t, exec.Command(Build(t, dir), args...))
}

// Command is like Start for a program that is not one of the examples.
func Command(t *testing.T, cmd *exec.Cmd) *Program {
	t.Helper()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	stderr := &strings.Builder{}
	cmd.Stderr = stderr
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	p := &Program{t: t, lines: make(chan string, 100)}
	read := make(chan struct{})
	go func() {
		defer close(read)
		defer close(p.lines)
		for s := bufio.NewScanner(stdout); s.Scan(); {
			p.lines <- s.Text()
		}
	}()
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGINT)
		// The program cannot end while it waits for a reader of its output.
		for range p.lines {
		}
		<-read
		cmd.Wait()
		if t.Failed() {
			t.Logf("standard error of the program:\n%s", stderr)
		}
	})
	return p
}

// lineTimeout limits the wait for a line of a program.
const lineTimeout = time.Minute

// Line returns the next line of standard output that contains text, without the spaces around it.
func (p *Program) Line(text string) string {
	p.t.Helper()
	timeout := time.After(lineTimeout)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the program ended without a line that contains %q", text)
			}
			if strings.Contains(line, text) {
				return strings.TrimSpace(line)
			}
		case <-timeout:
			p.t.Fatalf("no line that contains %q within %v", text, lineTimeout)
		}
	}
}

// Skip skips a test. If APIKEY_TEST_ALL is set, it fails the test instead.
func Skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("APIKEY_TEST_ALL") != "" {
		t.Fatalf("must not be skipped: %s", why)
	}
	t.Skipf("skipped: %s", why)
}

// Curl runs a curl command that a program printed, with further arguments, and returns its output.
// It skips the test if curl is not installed.
func Curl(t *testing.T, line string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		Skip(t, "curl is not installed")
	}
	if !strings.HasPrefix(line, "curl ") {
		t.Fatalf("not a curl command: %q", line)
	}
	cmd := exec.Command("sh", append([]string{"-c", line + ` --silent --show-error "$@"`, "sh"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}
