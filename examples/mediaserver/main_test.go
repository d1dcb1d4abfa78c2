package main

import (
	"encoding/json"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

func TestMain(m *testing.M) { program.Main(m) }

// A server is a running mediaserver and the values that it printed.
type server struct {
	url, id, key, byHeader, byQuery string
}

// first starts a server on a database without keys.
func first(t *testing.T, dsn string, flags ...string) server {
	t.Helper()
	p := program.Start(t, append([]string{"-addr", "localhost:0", "-db", dsn}, flags...)...)
	s := server{url: urlOf(p)}
	s.id = strings.TrimSuffix(strings.TrimPrefix(p.Line("with the ID"), "A key was issued, with the ID "), ". It is shown only once:")
	s.key = p.Line("ak_")
	s.byHeader, s.byQuery = p.Line("X-Emby-Token"), p.Line("api_key")
	require.Regexp(t, regexp.MustCompile(`^ak_[0-9A-Za-z]{36}$`), s.key)
	return s
}

// another starts a server on a database that has keys.
func another(t *testing.T, dsn string) server {
	t.Helper()
	p := program.Start(t, "-addr", "localhost:0", "-db", dsn)
	s := server{url: urlOf(p)}
	p.Line("The database has keys already")
	return s
}

func urlOf(p *program.Program) string {
	url, _, _ := strings.Cut(strings.TrimPrefix(p.Line("Listening on "), "Listening on "), ",")
	return url
}

// get sends a request with a key in the header.
func (s server) get(t *testing.T, target, key string) (int, string) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+target, nil)
	require.NoError(t, err)
	r.Header.Set("X-Emby-Token", key)
	res, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	defer res.Body.Close()
	body, err := io.ReadAll(res.Body)
	require.NoError(t, err)
	return res.StatusCode, string(body)
}

func TestQuickstart(t *testing.T) {
	t.Parallel()
	s := first(t, filepath.Join(t.TempDir(), "keys.db"))
	t.Run("the printed curl commands work", func(t *testing.T) {
		for _, line := range []string{s.byHeader, s.byQuery} {
			var info struct {
				ServerName        string
				HasPendingRestart *bool
			}
			require.NoError(t, json.Unmarshal([]byte(program.Curl(t, line)), &info))
			assert.Equal(t, "Example", info.ServerName)
			assert.NotNil(t, info.HasPendingRestart)
		}
	})
	for _, test := range []struct {
		name, target, key string
		status            int
	}{
		{"the key in the header", "/emby/System/Info", s.key, 200},
		{"the key in the query", "/emby/System/Info?api_key=" + s.key, "", 200},
		{"a path without the prefix", "/System/Info", s.key, 200},
		{"no key", "/emby/System/Info", "", 401},
		{"a wrong key", "/emby/System/Info", "123456789987654321", 401},
		{"an unknown path without a key", "/nothing", "", 401},
		{"an unknown path with a key", "/nothing", s.key, 404},
		{"a public path", "/System/Info/Public", "", 200},
		{"a public path with the prefix", "/emby/System/Info/Public", "", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, body := s.get(t, test.target, test.key)
			assert.Equal(t, test.status, status, body)
		})
	}
}

// execute runs a command and returns its exit status and output.
func execute(t *testing.T, stdin string, args ...string) (status int, out, errs string) {
	t.Helper()
	var stdout, stderr strings.Builder
	status = run(t.Context(), args, streams{strings.NewReader(stdin), &stdout, &stderr})
	return status, stdout.String(), stderr.String()
}

// mediaserver runs a command that must succeed and returns its output.
func mediaserver(t *testing.T, args ...string) string {
	t.Helper()
	status, out, errs := execute(t, "", args...)
	require.Zero(t, status, errs)
	return out
}

func TestFailedStartPrintsOnlyTheError(t *testing.T) {
	busy, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	t.Cleanup(func() { busy.Close() })
	for _, test := range []struct{ name, addr, variable, value, want string }{
		{"an invalid port", "localhost:99999", "", "", "99999"},
		{"a busy port", busy.Addr().String(), "", "", "address already in use"},
		{"a short password", "localhost:0", passwordVariable, "short", passwordVariable + ": "},
		{"a malformed hash", "localhost:0", hashVariable, "secret", "PasswordHash"},
		{"a missing file", "localhost:0", hashFileVariable, filepath.Join(t.TempDir(), "missing"), hashFileVariable + ": open "},
	} {
		t.Run(test.name, func(t *testing.T) {
			if test.variable != "" {
				t.Setenv(test.variable, test.value)
			}
			dsn := filepath.Join(t.TempDir(), "keys.db")
			status, out, errs := execute(t, "", "-addr", test.addr, "-db", dsn)
			assert.Equal(t, 1, status)
			assert.Empty(t, out)
			assert.Contains(t, errs, test.want)
			assert.NotContains(t, errs, "secret")
			assert.Equal(t, 1, strings.Count(mediaserver(t, "-db", dsn, "-list"), "\n"), "a server that does not start issues no key")
		})
	}
}
