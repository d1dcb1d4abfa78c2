package main

import (
	"encoding/json"
	"io"
	"net/http"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

// A server is a running mediaserver, and what it printed.
type server struct {
	url, id, key, byHeader, byQuery string
}

// first starts a server on a database without keys.
func first(t *testing.T, dsn string) server {
	t.Helper()
	p := program.Start(t, "-addr", "localhost:0", "-db", dsn)
	s := server{url: urlOf(p)}
	s.id = strings.TrimSuffix(strings.TrimPrefix(p.Line("with the ID"), "A key was issued, with the ID "), ". It is shown this once:")
	s.key = p.Line("ak_")
	s.byHeader, s.byQuery = p.Line("X-Emby-Token"), p.Line("api_key")
	require.Regexp(t, regexp.MustCompile(`^ak_[0-9A-Za-z]{36}$`), s.key)
	return s
}

// another starts a server on a database with keys.
func another(t *testing.T, dsn string) server {
	t.Helper()
	p := program.Start(t, "-addr", "localhost:0", "-db", dsn)
	s := server{url: urlOf(p)}
	p.Line("There are keys already")
	return s
}

func urlOf(p *program.Program) string {
	url, _, _ := strings.Cut(strings.TrimPrefix(p.Line("Listening on "), "Listening on "), ",")
	return url
}

// get asks for a path with a key in the header.
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
	t.Run("the curl lines it prints work", func(t *testing.T) {
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
		{"without the prefix", "/System/Info", s.key, 200},
		{"no key", "/emby/System/Info", "", 401},
		{"a wrong key", "/emby/System/Info", "123456789987654321", 401},
		{"a path that is not there, without a key", "/nothing", "", 401},
		{"a path that is not there, with a key", "/nothing", s.key, 404},
		{"what is public", "/System/Info/Public", "", 200},
		{"what is public, with the prefix", "/emby/System/Info/Public", "", 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			status, body := s.get(t, test.target, test.key)
			assert.Equal(t, test.status, status, body)
		})
	}
}

func TestAnAddressThatCannotBeListenedOnIsTold(t *testing.T) {
	t.Parallel()
	err := run(t.Context(), io.Discard, "localhost:99999", filepath.Join(t.TempDir(), "keys.db"), "", "", "")
	assert.ErrorContains(t, err, "99999")
}
