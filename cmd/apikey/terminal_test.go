package main_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// A terminal is a shell in a window of tmux.
type terminal struct {
	t      *testing.T
	socket string
}

// newTerminal starts a shell in the environment of a machine.
func newTerminal(t *testing.T, m *machine) *terminal {
	t.Helper()
	if _, err := exec.LookPath("tmux"); err != nil {
		if os.Getenv("APIKEY_TEST_ALL") != "" {
			t.Fatal("must not be skipped: tmux is not installed")
		}
		t.Skip("skipped: tmux is not installed")
	}
	dir, err := os.MkdirTemp("", "tmux") // short, because the path of a socket has about 100 bytes
	require.NoError(t, err)
	term := &terminal{t, filepath.Join(dir, "s")}
	t.Cleanup(func() {
		exec.Command("tmux", "-S", term.socket, "kill-server").Run()
		os.RemoveAll(dir)
	})
	args := []string{"-f", "/dev/null", "new-session", "-d", "-x", "150", "-y", "40", "env", "-i", "PS1=> ", "TERM=screen"}
	term.tmux(append(append(args, m.env...), "sh", "-i")...)
	term.wait(">")
	return term
}

func (term *terminal) tmux(args ...string) string {
	term.t.Helper()
	cmd := exec.Command("tmux", append([]string{"-S", term.socket}, args...)...)
	cmd.Env = append(os.Environ(), "LC_ALL=C.UTF-8", "TMUX=")
	out, err := cmd.CombinedOutput()
	require.NoError(term.t, err, string(out))
	return string(out)
}

// enter types a line.
func (term *terminal) enter(line string) {
	term.t.Helper()
	term.tmux("send-keys", "-l", line)
	term.tmux("send-keys", "Enter")
}

func (term *terminal) screen() string {
	term.t.Helper()
	return term.tmux("capture-pane", "-p") // without spaces at the ends of lines
}

// wait waits until the screen contains a text, and returns the screen.
func (term *terminal) wait(text string) string {
	term.t.Helper()
	patience, _ := strconv.Atoi(os.Getenv("APIKEY_TEST_PATIENCE"))
	for end := time.Now().Add(time.Duration(max(1, patience)) * 10 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		screen := term.screen()
		if strings.Contains(screen, text) {
			return screen
		}
		if time.Now().After(end) {
			require.Contains(term.t, screen, text)
		}
	}
}

func TestTerminalAsksForAKeyWithoutEcho(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	secret := strings.TrimSpace(m.output("issue", "Backup job"))
	term := newTerminal(t, m)
	term.enter("apikey identify; echo status=$?")
	term.wait("Key:")
	term.enter(secret)
	screen := term.wait("status=0")
	assert.Contains(t, screen, "Backup job")
	assert.NotContains(t, screen, secret)
	term.enter("apikey revoke -; echo status=$? again")
	term.wait("Key or ID:")
	term.enter(secret)
	assert.NotContains(t, term.wait("status=0 again"), secret)
	m.allRevoked()
}

func TestTerminalEchoesAgainAfterAnInterruptedQuestion(t *testing.T) {
	t.Parallel()
	term := newTerminal(t, newMachine(t))
	term.enter("apikey identify; echo status=$?")
	term.wait("Key:")
	term.tmux("send-keys", "C-c")
	assert.Contains(t, term.wait("status=130\n>"), "apikey: interrupted")
	term.enter("echo typed")
	assert.Contains(t, term.wait("\ntyped"), "> echo typed")
}

func TestTerminalAsksForThePasswordTwice(t *testing.T) {
	t.Parallel()
	term := newTerminal(t, newMachine(t))
	for round, again := range []string{"correct horse battery stapler", "correct horse battery staple"} {
		term.enter(fmt.Sprintf("apikey hash-password; echo round %d status=$?", round))
		term.wait("Password:")
		term.enter("correct horse battery staple")
		term.wait("Password again:")
		term.enter(again)
		screen := term.wait(fmt.Sprintf("round %d status=%d", round, 2*(1-round)))
		assert.NotContains(t, screen, "correct horse")
		if round == 0 {
			assert.Contains(t, screen, "the passwords differ")
			term.enter("clear")
			require.Eventually(t, func() bool { return !strings.Contains(term.screen(), "Password") }, time.Minute, 20*time.Millisecond)
		} else {
			assert.Contains(t, screen, "$argon2id$")
		}
	}
}

func TestTerminalAsksBeforeManyKeysAreRevoked(t *testing.T) {
	t.Parallel()
	m := newMachine(t)
	m.output("issue", "Backup job", "--owner", "ops")
	term := newTerminal(t, m)
	term.enter("apikey revoke-all --owner ops; echo status=$?")
	term.wait("permanently:")
	term.enter("opps")
	assert.Contains(t, term.wait("status=1"), "not confirmed; nothing has changed")
	assert.Contains(t, m.output("list", "--status", "active"), "Backup job")
	term.enter("clear")
	term.enter("apikey revoke-all --owner ops; echo status=$?")
	term.wait("permanently:")
	term.enter("ops")
	assert.Contains(t, term.wait("status=0"), `Revoked 1 key of "ops".`)
	m.allRevoked()
}

func TestTerminalShowsProgressAndRemovesIt(t *testing.T) {
	t.Parallel()
	const key = `{"id":"abc","name":"Backup job","created_at":"2026-01-01T00:00:00Z"}`
	for _, test := range []struct {
		name, command, progress, output string
		answers                         []string // the last one comes after the progress was seen
	}{
		{"revoke-all", "revoke-all --owner ops --yes", "Revoking keys (", "Revoked 2 keys of \"ops\".", []string{`{"revoked":2}`}},
		{"list", "list --all > keys.txt", "Read 1 (", "", []string{`{"keys":[` + key + `],"next":"more"}`, `{"keys":[]}`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			seen, answers := make(chan struct{}), test.answers
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				if len(answers) == 1 {
					<-seen
				}
				w.Write([]byte(answers[0]))
				answers = answers[1:]
			}))
			t.Cleanup(server.Close)
			m := newMachine(t)
			m.env = append(m.env, "APIKEY_SERVER_KEY=key")
			term := newTerminal(t, m)
			term.enter("cd " + t.TempDir() + "; apikey --server " + server.URL + " " + test.command + "; echo status=$?")
			term.wait(test.progress)
			close(seen)
			screen := term.wait("status=0")
			assert.Contains(t, screen, test.output)
			assert.NotContains(t, screen, test.progress)
		})
	}
}
