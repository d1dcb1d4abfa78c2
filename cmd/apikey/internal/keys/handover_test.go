package keys_test

import (
	"bytes"
	"context"
	"encoding/json"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/keyjson"
)

// living returns the active keys of a machine.
func (m *machine) living() []keyjson.Key {
	m.t.Helper()
	var page keyjson.Page
	require.NoError(m.t, json.Unmarshal([]byte(m.run("list", "--status", "active", "--all", "--json").ok()), &page))
	return page.Keys
}

// only returns the only active key.
func (m *machine) only() keyjson.Key {
	m.t.Helper()
	keys := m.living()
	require.Len(m.t, keys, 1)
	return keys[0]
}

func closedPipe(t *testing.T) io.Writer {
	t.Helper()
	r, w, err := os.Pipe()
	require.NoError(t, err)
	require.NoError(t, r.Close())
	t.Cleanup(func() { w.Close() })
	return w
}

func fullDisk(t *testing.T) io.Writer {
	t.Helper()
	full, err := os.OpenFile("/dev/full", os.O_WRONLY, 0)
	require.NoError(t, err)
	t.Cleanup(func() { full.Close() })
	return full
}

// onServer returns a machine that uses a server over the database of m.
func onServer(t *testing.T, m *machine) *machine { return newServer(t, m, nil).client(t) }

func onDatabase(_ *testing.T, m *machine) *machine { return m }

// places return a machine whose commands use the database of m directly, or through a server.
var places = map[string]func(*testing.T, *machine) *machine{"database": onDatabase, "server": onServer}

var brokenOutputs = map[string]func(*testing.T) io.Writer{"closed pipe": closedPipe, "full disk": fullDisk}

func TestIssueRevokesAKeyThatItCannotHandOut(t *testing.T) {
	t.Parallel()
	for place, on := range places {
		for output, broken := range brokenOutputs {
			for _, flags := range [][]string{nil, {"--json"}} {
				t.Run(place+" "+output+" "+strings.Join(flags, ""), func(t *testing.T) {
					t.Parallel()
					m := onFile(t)
					var errs bytes.Buffer
					status := on(t, m).runOn(t.Context(), cli.Streams{In: strings.NewReader(""), Out: broken(t), Err: &errs}, append(flags, "issue", "Backup job")...)
					assert.Equal(t, cli.ExitUndelivered, status, errs.String())
					assert.Contains(t, errs.String(), "was revoked")
					assert.NotContains(t, errs.String(), "ak_")
					assert.Empty(t, m.living())
					assert.Contains(t, m.run("list", "--status", "revoked").ok(), "Backup job")
				})
			}
		}
	}
}

func TestRotateUndoesARotationWhoseSecretItCannotHandOut(t *testing.T) {
	t.Parallel()
	for place, on := range places {
		for output, broken := range brokenOutputs {
			for _, grace := range []string{"0", "1d", "1s"} {
				for _, expires := range []string{"never", "90d", "30m"} {
					t.Run(strings.Join([]string{place, output, grace, expires}, " "), func(t *testing.T) {
						t.Parallel()
						m := onFile(t)
						m.run("issue", "Backup job", "--expires", expires).ok()
						before := m.only()
						var errs bytes.Buffer
						streams := cli.Streams{In: strings.NewReader(""), Out: broken(t), Err: &errs}
						status := on(t, m).runOn(t.Context(), streams, "rotate", before.ID, "--grace", grace)
						assert.Equal(t, cli.ExitUndelivered, status, errs.String())
						assert.Equal(t, before, m.only(), "the old key")
						m.run("rotate", before.ID).ok()
					})
				}
			}
		}
	}
}

func TestSecretFileIsPrivateAndRemovedAfterAFailure(t *testing.T) {
	t.Parallel()
	m := onFile(t)
	file := filepath.Join(t.TempDir(), "key")
	m.run("issue", "Backup job", "--secret-file", file).ok()
	info, err := os.Stat(file)
	require.NoError(t, err)
	assert.Equal(t, os.FileMode(0o600), info.Mode())
	file += "2"
	assert.Equal(t, cli.ExitUsage, m.run("issue", "", "--secret-file", file).status)
	assert.NoFileExists(t, file)
}

func TestIssueMakesNoKeyIfStandardOutputIsDiscarded(t *testing.T) {
	t.Parallel()
	m := onFile(t)
	null, err := os.OpenFile(os.DevNull, os.O_WRONLY, 0)
	require.NoError(t, err)
	defer null.Close()
	assert.Equal(t, cli.ExitUsage, m.runOn(t.Context(), cli.Streams{In: strings.NewReader(""), Out: null, Err: io.Discard}, "issue", "Backup job"))
	assert.Empty(t, m.living())
}

// losing returns middleware that executes the first POST to a path, calls lost, and drops the response.
func losing(path string, lost func()) func(http.Handler) http.Handler {
	var done atomic.Bool
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if !strings.HasSuffix(r.URL.Path, path) || r.Method != http.MethodPost || done.Swap(true) {
				next.ServeHTTP(w, r)
				return
			}
			next.ServeHTTP(httptest.NewRecorder(), r)
			lost()
			panic(http.ErrAbortHandler)
		})
	}
}

func TestNewKeyIsRevokedIfTheResponseWithItsSecretIsLost(t *testing.T) {
	t.Parallel()
	for _, command := range []string{"issue", "rotate"} {
		for _, how := range []string{"connection", "interruption"} {
			t.Run(command+" "+how, func(t *testing.T) {
				t.Parallel()
				m := onFile(t)
				args, path, living := []string{"issue", "Backup job"}, "/keys", []keyjson.Key(nil)
				if command == "rotate" {
					m.run("issue", "Old key").ok()
					living = m.living()
					args, path = []string{"rotate", living[0].ID, "--grace", "0"}, "/rotate"
				}
				ctx, interrupt := context.WithCancel(t.Context())
				defer interrupt()
				lost := func() {}
				if how == "interruption" {
					lost = interrupt
				}
				r := newServer(t, m, losing(path, lost)).client(t).runWith(ctx, "", args...)
				assert.Equal(t, cli.ExitUndelivered, r.status, r.stderr)
				assert.Empty(t, r.stdout)
				assert.Equal(t, living, append([]keyjson.Key(nil), m.living()...))
				assert.Contains(t, m.run("list", "--status", "revoked", "--json").ok(), "revoked_at")
			})
		}
	}
}

func TestChangeIsUncertainIfNoResponseArrives(t *testing.T) {
	t.Parallel()
	for how, answer := range map[string]func(http.ResponseWriter){
		"connection lost":    func(http.ResponseWriter) { panic(http.ErrAbortHandler) },
		"database away":      func(w http.ResponseWriter) { http.Error(w, `{"code":"unavailable"}`, http.StatusServiceUnavailable) },
		"too many requests":  func(w http.ResponseWriter) { w.WriteHeader(http.StatusTooManyRequests) },
		"key of the command": func(w http.ResponseWriter) { http.Error(w, `{"code":"forbidden"}`, http.StatusForbidden) },
	} {
		t.Run(how, func(t *testing.T) {
			t.Parallel()
			var again atomic.Bool
			lost := func(next http.Handler) http.Handler {
				return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
					if again.Swap(true) {
						answer(w)
						return
					}
					next.ServeHTTP(httptest.NewRecorder(), r)
					panic(http.ErrAbortHandler)
				})
			}
			m := onFile(t)
			r := newServer(t, m, lost).client(t).run("issue", "Backup job")
			assert.Equal(t, cli.ExitUncertain, r.status, r.stderr)
			assert.Len(t, m.living(), 1)
		})
	}
}

func TestRotateThatCannotEndTheOldKeyIsNotWithoutAChange(t *testing.T) {
	t.Parallel()
	m := onFile(t)
	m.run("issue", "Backup job").ok()
	old := m.only()
	away := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if strings.HasSuffix(r.URL.Path, "/revoke") {
				http.Error(w, `{"code":"unavailable"}`, http.StatusServiceUnavailable)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
	r := newServer(t, m, away).client(t).run("rotate", old.ID, "--grace", "0")
	assert.Equal(t, cli.ExitFailed, r.status, r.stderr)
	assert.Contains(t, r.stderr, "could not be revoked")
	assert.Contains(t, r.stdout, "ak_", "the secret of the new key")
	assert.Len(t, m.living(), 2)
}

// A blocked is a Writer that waits, like a full pipe.
type blocked struct{ begun, until chan struct{} }

func (b *blocked) Write(p []byte) (int, error) {
	close(b.begun)
	<-b.until
	return len(p), nil
}

func TestInterruptionWhileAPipeIsFullRevokesTheKey(t *testing.T) {
	t.Parallel()
	m := onFile(t)
	out := &blocked{make(chan struct{}), make(chan struct{})}
	defer close(out.until)
	ctx, interrupt := context.WithCancel(t.Context())
	go func() {
		<-out.begun
		interrupt()
	}()
	begin := time.Now()
	status := m.runOn(ctx, cli.Streams{In: strings.NewReader(""), Out: out, Err: io.Discard}, "issue", "Backup job")
	assert.Equal(t, cli.ExitUndelivered, status)
	assert.Less(t, time.Since(begin), 20*time.Second)
	assert.Empty(t, m.living())
}
