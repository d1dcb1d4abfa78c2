package serve

import (
	"math/rand/v2"
	"net"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

var (
	// savedFile finds a file that the text of the page tells the reader to save.
	savedFile = regexp.MustCompile("(?s)as\\s+`([a-z.]+)`:\n\n```[a-z]+\n(.*?)```\n")
	session   = regexp.MustCompile("(?s)```console\n(.*?)```\n")
	commands  = regexp.MustCompile(`(?m)^\$ (.*)\n((?:[^$\n].*\n)*)`)
)

// TestANewcomerFollowsThePage does what the first section of docs/serve.md says: it saves the files, runs
// each command, and compares the output. Only the ports differ.
func TestANewcomerFollowsThePage(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"nginx", "python3", "node", "curl"} {
		lookPath(t, tool)
	}
	page, err := os.ReadFile("../../../../docs/serve.md")
	require.NoError(t, err)
	_, section, found := strings.Cut(string(page), "## Protect a service in ten minutes\n")
	require.True(t, found)
	section, _, found = strings.Cut(section, "\n## ")
	require.True(t, found)
	for language, skipped := range map[string]string{"Python": "node ", "Node": "python3 "} {
		t.Run(language, func(t *testing.T) {
			t.Parallel()
			follow(t, newReader(t, section), skipped)
		})
	}
}

// A reader follows a page in a directory of their own.
type reader struct {
	dir, text string
	env       []string
}

func newReader(t *testing.T, text string) *reader {
	t.Helper()
	dir, err := os.MkdirTemp("", "page")
	require.NoError(t, err)
	require.NoError(t, os.Chmod(dir, 0o755)) // workers of nginx run as another user
	t.Cleanup(func() { os.RemoveAll(dir) })
	ports := map[string]string{}
	for _, port := range []string{"8000", "8080", "9000"} {
		ports[port] = freePort(t)
		require.Regexp(t, `\b`+port+`\b`, text)
		text = regexp.MustCompile(`\b`+port+`\b`).ReplaceAllString(text, ports[port])
	}
	return &reader{dir: dir, text: text, env: append(os.Environ(),
		"PATH="+filepath.Dir(binary(t))+":/usr/sbin:"+os.Getenv("PATH"), "APIKEY_METRICS=127.0.0.1:0", "APIKEY_LISTEN=127.0.0.1:"+ports["8080"])}
}

// freePort returns a port that is free now, for a program that cannot choose one. The system itself does not assign
// ports of this range.
func freePort(t *testing.T) string {
	t.Helper()
	for range 100 {
		port := strconv.Itoa(10_000 + rand.IntN(20_000))
		listener, err := net.Listen("tcp", "127.0.0.1:"+port)
		if err != nil {
			continue
		}
		listener.Close()
		if _, taken := takenPorts.LoadOrStore(port, true); !taken {
			return port
		}
	}
	t.Fatal("no free port")
	return ""
}

// takenPorts are the results of freePort.
var takenPorts sync.Map

func follow(t *testing.T, r *reader, skipped string) {
	t.Helper()
	files := savedFile.FindAllStringSubmatch(r.text, -1)
	require.Len(t, files, 4)
	for _, file := range files {
		write(t, r.dir, file[1], file[2])
	}
	ran := 0
	for _, block := range session.FindAllStringSubmatch(r.text, -1) {
		for _, command := range commands.FindAllStringSubmatch(block[1], -1) {
			if strings.HasPrefix(command[1], skipped) {
				continue
			}
			ran++
			if line, background := strings.CutSuffix(command[1], " &"); background {
				r.background(t, line, command[2])
			} else {
				r.run(t, command[1], command[2])
			}
		}
	}
	assert.Equal(t, 12, ran, "commands")
}

// background starts a program and waits for its output.
func (r *reader) background(t *testing.T, line, want string) {
	t.Helper()
	cmd := exec.Command("sh", "-c", "exec "+line)
	output := filepath.Join(r.dir, "output of "+strings.Fields(line)[0])
	file, err := os.Create(output)
	require.NoError(t, err)
	defer file.Close()
	cmd.Dir, cmd.Env, cmd.Stdout, cmd.Stderr = r.dir, r.env, file, file
	require.NoError(t, cmd.Start())
	t.Cleanup(func() {
		cmd.Process.Signal(syscall.SIGTERM)
		cmd.Wait()
		if t.Failed() {
			text, _ := os.ReadFile(output)
			t.Logf("%s\n%s", line, text)
		}
	})
	eventually(t, func() bool {
		text, _ := os.ReadFile(output)
		return matches(string(text), want, true)
	}, line+" does not print\n"+want)
}

// run runs a command and compares its output. It repeats a request, as a reader would, because a program needs time to
// start and a revocation needs time to reach the server.
func (r *reader) run(t *testing.T, line, want string) {
	t.Helper()
	var text []byte
	var err error
	for end := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		cmd := exec.Command("sh", "-c", line)
		cmd.Dir, cmd.Env = r.dir, r.env
		text, err = cmd.CombinedOutput()
		done := err == nil && matches(string(text), want, false)
		if done || !strings.HasPrefix(line, "curl ") || time.Now().After(end) {
			break
		}
	}
	require.NoError(t, err, "%s\n%s", line, text)
	assert.True(t, matches(string(text), want, false), "%s\n%s\nwant\n%s", line, text, want)
}

// matches compares an output with a page, where "…" stands for any text. With partly, the output may contain other lines
// before and after.
func matches(output, want string, partly bool) bool {
	pattern := strings.ReplaceAll(regexp.QuoteMeta(strings.TrimSpace(want)), "…", "(?s:.*)")
	if !partly {
		pattern = "^" + pattern + "$"
	}
	return regexp.MustCompile(pattern).MatchString(strings.TrimSpace(output))
}
