package main

import (
	"context"
	"io"
	"net"
	"net/http"
	"os"
	"path/filepath"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestServeFinishesRequests(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "localhost:0")
	require.NoError(t, err)
	started, finish := make(chan bool), make(chan bool)
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	ready := new(atomic.Bool)
	go func() {
		ended <- serve(ctx, config{}, listener, http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
			started <- true
			<-finish
			io.WriteString(w, "done")
		}), ready)
	}()
	answered := make(chan string, 1)
	go func() {
		res, err := http.Get("http://" + listener.Addr().String())
		if !assert.NoError(t, err) {
			answered <- ""
			return
		}
		defer res.Body.Close()
		body, _ := io.ReadAll(res.Body)
		answered <- string(body)
	}()
	<-started
	assert.True(t, ready.Load())
	stop()
	for { // until serve has closed the listener
		conn, err := net.Dial("tcp", listener.Addr().String())
		if err != nil {
			break
		}
		conn.Close()
	}
	assert.False(t, ready.Load())
	close(finish)
	assert.Equal(t, "done", <-answered)
	assert.NoError(t, <-ended)
}

func TestConfigNamesMissingVariables(t *testing.T) {
	dir := t.TempDir()
	file := filepath.Join(dir, "secret")
	require.NoError(t, os.WriteFile(file, []byte("from a file\n"), 0o600))
	all := map[string]string{"DATABASE_URL": "postgres://", "PEPPER": pepper, "ADMIN_PASSWORD_HASH": "hash"}
	for _, test := range []struct {
		name    string
		env     map[string]string // besides all
		problem string            // "" if the configuration is valid
	}{
		{"all variables", nil, ""},
		{"no database", map[string]string{"DATABASE_URL": ""}, "set DATABASE_URL or DATABASE_URL_FILE"},
		{"no pepper", map[string]string{"PEPPER": ""}, "set PEPPER or PEPPER_FILE"},
		{"no hash", map[string]string{"ADMIN_PASSWORD_HASH": ""}, "set ADMIN_PASSWORD_HASH or ADMIN_PASSWORD_HASH_FILE"},
		{"a secret in a file", map[string]string{"PEPPER": "", "PEPPER_FILE": file}, ""},
		{"a missing file", map[string]string{"PEPPER_FILE": filepath.Join(dir, "none")}, "PEPPER_FILE: open"},
		{"a certificate without its key", map[string]string{"TLS_CERT_FILE": file}, "set both TLS_CERT_FILE and TLS_KEY_FILE"},
		{"a malformed duration", map[string]string{"DRAIN": "soon"}, "soon"},
	} {
		t.Run(test.name, func(t *testing.T) {
			for name, value := range all {
				t.Setenv(name, value)
			}
			for name, value := range test.env {
				t.Setenv(name, value)
			}
			c, err := loadConfig()
			if test.problem != "" {
				assert.ErrorContains(t, err, test.problem)
				return
			}
			require.NoError(t, err)
			if test.env != nil {
				assert.Equal(t, "from a file", c.pepper.Reveal())
			}
		})
	}
}

func TestErrorsNameTheVariable(t *testing.T) {
	t.Parallel()
	_, err := newFormat(config{}.pepper)
	assert.ErrorContains(t, err, "PEPPER: ")
	_, err = openKeys(t.Context(), config{pepper: apikey.NewSecret(pepper), database: apikey.NewSecret("postgres://user:canary@host:port")})
	assert.ErrorContains(t, err, "DATABASE_URL")
	assert.NotContains(t, err.Error(), "canary", "the password")
	assert.EqualError(t, command(t.Context(), []string{"serve"}), "usage: production [hash-password | make-key]")
}
