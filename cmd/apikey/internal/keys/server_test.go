package keys_test

import (
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/manageapi"
)

// A server serves the management API over a database. Its own key is in another store, so that lists show
// only the keys of a test.
type server struct {
	url    string
	secret apikey.Secret
}

// newServer serves the API of the database of m. wrap may put a handler around it.
func newServer(t testing.TB, m *machine, wrap func(http.Handler) http.Handler) *server {
	t.Helper()
	db, err := database.Open(apikey.NewSecret(m.env["APIKEY_DATABASE"]), "")
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	issuer, err := apikey.NewIssuer(db.Store, apikey.IssuerOptions{})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	s := &server{secret: apikey.NewSecret("ak_" + strings.Repeat("0", 36))}
	api, err := manageapi.New(desk, manageapi.Options{
		Logger: slog.New(slog.DiscardHandler),
		Authorize: func(r *http.Request) (manage.Access, error) {
			if r.Header.Get("X-API-Key") != s.secret.Reveal() {
				return manage.Access{}, apikey.ErrMissing
			}
			return manage.Access{Actor: "alice", AllOwners: true, AnyScope: true}, nil
		},
	})
	require.NoError(t, err)
	if wrap == nil {
		wrap = func(h http.Handler) http.Handler { return h }
	}
	listener := httptest.NewServer(http.StripPrefix("/manage", wrap(api)))
	t.Cleanup(listener.Close)
	s.url = listener.URL + "/manage"
	return s
}

// client returns a machine that uses the server.
func (s *server) client(t testing.TB) *machine {
	return &machine{t, map[string]string{"APIKEY_SERVER": s.url, "APIKEY_SERVER_KEY": s.secret.Reveal()}}
}

func TestServerGivesTheSameOutput(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"issue", "list", "change", "secrets", "rotate", "owners", "history"} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			file := filepath.Join("testdata", name+".golden")
			checkSession(t, file, replay(t, newServer(t, onFile(t), nil).client(t), file))
		})
	}
}

func TestJSONEqualsTheResponsesOfTheManagementAPI(t *testing.T) {
	t.Parallel()
	m := onFile(t)
	m.run("issue", "Everything", "--owner", "ops", "--scope", "a", "--expires", "90d", "--network", "192.0.2.0/24",
		"--limit", "a=5/1h30m+2 b=7/day", "--metadata", "k=<v>").ok()
	var list struct{ Keys []struct{ ID string } }
	require.NoError(t, json.Unmarshal([]byte(m.run("list", "--json").ok()), &list))
	id := list.Keys[0].ID
	m.run("rotate", id).ok()
	m.run("suspend", id).ok()
	m.run("revoke", id).ok()
	s := newServer(t, m, nil)
	for path, args := range map[string][]string{
		"/keys/" + id:              {"show", id, "--json"},
		"/keys/" + id + "/history": {"history", id, "--json"},
		"/keys":                    {"list", "--json"},
	} {
		r, err := http.NewRequestWithContext(t.Context(), "GET", s.url+path, nil)
		require.NoError(t, err)
		r.Header.Set("X-API-Key", s.secret.Reveal())
		response, err := http.DefaultClient.Do(r)
		require.NoError(t, err)
		body, err := io.ReadAll(response.Body)
		require.NoError(t, response.Body.Close())
		require.NoError(t, err)
		assert.JSONEq(t, string(body), m.run(args...).ok(), path)
		assert.JSONEq(t, string(body), s.client(t).run(args...).ok(), path)
	}
}

func TestPurgeNeedsADatabase(t *testing.T) {
	t.Parallel()
	r := newServer(t, onFile(t), nil).client(t).run("purge", "--older-than", "90d", "--yes")
	assert.Equal(t, 2, r.status)
	assert.Contains(t, r.stderr, "needs a database")
}

func TestAFlagOverridesTheEnvironmentAndTheTargetIsUnique(t *testing.T) {
	t.Parallel()
	m := onFile(t)
	s := newServer(t, m, nil)
	keyFile := filepath.Join(t.TempDir(), "key")
	require.NoError(t, os.WriteFile(keyFile, []byte(s.secret.Reveal()+"\n"), 0o600))
	db := m.env["APIKEY_DATABASE"]
	for _, test := range []struct {
		name   string
		env    map[string]string
		args   []string
		status int
	}{
		{"a database", map[string]string{"APIKEY_DATABASE": db}, nil, 0},
		{"a database by flag", nil, []string{"--database", db}, 0},
		{"a server", map[string]string{"APIKEY_SERVER": s.url, "APIKEY_SERVER_KEY": s.secret.Reveal()}, nil, 0},
		{"a server by flags", nil, []string{"--server", s.url, "--server-key-file", keyFile}, 0},
		{"the flag of a server overrides the environment", map[string]string{"APIKEY_DATABASE": "/missing"}, []string{"--server", s.url, "--server-key-file", keyFile}, 0},
		{"the flag of a database overrides the environment", map[string]string{"APIKEY_SERVER": "https://192.0.2.1"}, []string{"--database", db}, 0},
		{"both in the environment", map[string]string{"APIKEY_SERVER": s.url, "APIKEY_DATABASE": db}, nil, 2},
		{"both as flags", nil, []string{"--server", s.url, "--database", db}, 2},
		{"neither", nil, nil, 2},
		{"a server without a key", map[string]string{"APIKEY_SERVER": s.url}, nil, 2},
		{"a key file that is missing", nil, []string{"--server", s.url, "--server-key-file", keyFile + "x"}, 2},
		{"a server with a wrong key", map[string]string{"APIKEY_SERVER": s.url, "APIKEY_SERVER_KEY": "wrong"}, nil, 4},
		{"a path without an API", map[string]string{"APIKEY_SERVER": s.url + "/other", "APIKEY_SERVER_KEY": s.secret.Reveal()}, nil, 1},
		{"http to another host", map[string]string{"APIKEY_SERVER": "http://192.0.2.1", "APIKEY_SERVER_KEY": "k"}, nil, 2},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			env := map[string]string{"APIKEY_ACTOR": "alice"}
			for name, value := range test.env {
				env[name] = value
			}
			r := (&machine{t, env}).run(append([]string{"list"}, test.args...)...)
			assert.Equal(t, test.status, r.status, r.stderr)
		})
	}
}

// createEmpty creates an empty file.
func createEmpty(t *testing.T, name string) {
	t.Helper()
	require.NoError(t, os.WriteFile(name, nil, 0o600))
}

// A server, or a database that another program fills, can contain texts that this module refuses in new keys.
func TestTextsOfAServerCannotControlTheTerminal(t *testing.T) {
	t.Parallel()
	const evil = `\u001b[2J\u202e\r`
	key := `{"id":"abc","name":"` + evil + `","owner":"` + evil + `","hint":"` + evil + `","scopes":["` + evil + `"],"metadata":{"` + evil + `":"` + evil + `"},"created_at":"2026-01-01T00:00:00Z"}`
	listener := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case r.URL.Path == "/keys" && r.Method == http.MethodPost, strings.HasSuffix(r.URL.Path, "/rotate"):
			io.WriteString(w, `{"key":`+key+`,"secret":"s"}`)
		case r.URL.Path == "/keys":
			io.WriteString(w, `{"keys":[`+key+`],"next":"`+evil+`"}`)
		case strings.HasSuffix(r.URL.Path, "/history"):
			io.WriteString(w, `{"entries":[{"actor":"`+evil+`","action":"`+evil+`","key_id":"`+evil+`","changes":[{"field":"`+evil+`","old":"`+evil+`","new":"`+evil+`"}]}]}`)
		case strings.HasSuffix(r.URL.Path, "/suspend"):
			w.WriteHeader(http.StatusForbidden)
			io.WriteString(w, `{"code":"refused","detail":"`+evil+`","field":"`+evil+`"}`)
		default:
			io.WriteString(w, key)
		}
	}))
	t.Cleanup(listener.Close)
	m := &machine{t, map[string]string{"APIKEY_SERVER": listener.URL, "APIKEY_SERVER_KEY": "key"}}
	for _, args := range [][]string{{"list", "--limit", "1"}, {"show", "abc"}, {"history"}, {"history", "abc"}, {"issue", "n"}, {"rotate", "abc"}, {"suspend", "abc"}, {"edit", "abc", "--name", "n"}} {
		r := m.run(args...)
		output := r.stdout + r.stderr
		assert.NotEmpty(t, output, args)
		for _, character := range []string{"\x1b", "\r", "\u202e"} {
			assert.NotContains(t, output, character, args)
		}
	}
}

func TestEditRepeatsAfterAChangeByAnotherProgram(t *testing.T) {
	t.Parallel()
	m := onFile(t)
	m.run("issue", "Backup job", "--metadata", "room=4").ok()
	id := m.only().ID
	changes, value := 0, "x"
	changing := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			if r.Method == http.MethodPatch && changes < 2 {
				changes++
				m.run("edit", id, "--metadata", fmt.Sprintf("other%d=%s", changes, value)).ok()
			}
			next.ServeHTTP(w, r)
		})
	}
	newServer(t, m, changing).client(t).run("edit", id, "--metadata", "rack=B").ok()
	assert.Equal(t, map[string]string{"room": "4", "rack": "B", "other1": "x", "other2": "x"}, m.only().Metadata)
	version := m.only().Version
	changes, value = 1, "y"
	r := newServer(t, m, changing).client(t).run("edit", id, "--metadata", "rack=C", "--if-version", version)
	assert.Equal(t, 4, r.status, r.stderr)
}
