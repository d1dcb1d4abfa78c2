// Package program starts an example as its reader would, for the tests of the examples.
package program

import (
	"bufio"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"
)

// A Program is a running example.
type Program struct {
	t     *testing.T
	lines chan string
}

// Start builds the program in the directory of the test and runs it. It is ended, by an
// interrupt, when the test is.
func Start(t *testing.T, args ...string) *Program {
	t.Helper()
	binary := filepath.Join(t.TempDir(), "program")
	if out, err := exec.Command("go", "build", "-o", binary, ".").CombinedOutput(); err != nil {
		t.Fatalf("go build: %v\n%s", err, out)
	}
	cmd := exec.Command(binary, args...)
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
		for range p.lines { // what nobody asked for, so that the program can write on and end
		}
		<-read
		cmd.Wait()
		if t.Failed() {
			t.Logf("standard error of the program:\n%s", stderr)
		}
	})
	return p
}

// patience is how long Line waits for what a program prints when it starts.
const patience = time.Minute

// Line returns the next line of standard output that contains text, without the blanks
// around it.
func (p *Program) Line(text string) string {
	p.t.Helper()
	late := time.After(patience)
	for {
		select {
		case line, ok := <-p.lines:
			if !ok {
				p.t.Fatalf("the program ended without a line that contains %q", text)
			}
			if strings.Contains(line, text) {
				return strings.TrimSpace(line)
			}
		case <-late:
			p.t.Fatalf("no line that contains %q within %v", text, patience)
		}
	}
}

// Skip says that a test was skipped, which is a failure where all of them must run.
func Skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv("APIKEY_TEST_ALL") != "" {
		t.Fatalf("must not be skipped: %s", why)
	}
	t.Skipf("skipped: %s", why)
}

// Curl runs a line that the program printed, "curl …", with further arguments, and returns
// what it printed. Where there is no curl the test says that it was skipped.
func Curl(t *testing.T, line string, args ...string) string {
	t.Helper()
	if _, err := exec.LookPath("curl"); err != nil {
		Skip(t, "no curl on this machine")
	}
	if !strings.HasPrefix(line, "curl ") {
		t.Fatalf("not a line for curl: %q", line)
	}
	cmd := exec.Command("sh", append([]string{"-c", line + ` --silent --show-error "$@"`, "sh"}, args...)...)
	out, err := cmd.CombinedOutput()
	if err != nil {
		t.Fatalf("%s: %v\n%s", line, err, out)
	}
	return string(out)
}
