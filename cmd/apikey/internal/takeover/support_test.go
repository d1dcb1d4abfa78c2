package takeover

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/internal/testdb"
)

// A host is a directory with a database of keys.
type host struct {
	t   *testing.T
	dir string
	env map[string]string
}

func newHost(t *testing.T) *host {
	t.Parallel()
	h := &host{t, t.TempDir(), map[string]string{"APIKEY_ALLOW_IMPORTED": "true", "APIKEY_ACTOR": "operator"}}
	h.env["APIKEY_DATABASE"] = filepath.Join(h.dir, "keys.db")
	status, _, errs := h.run("", "migrate")
	require.Zero(t, status, errs)
	return h
}

// run runs the command and returns its status and its output.
func (h *host) run(stdin string, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	app := cli.New(cli.Streams{In: strings.NewReader(stdin), Out: &o, Err: &e}, func(name string) string { return h.env[name] })
	root := app.Root()
	root.AddCommand(cli.Migrate(app), Command(app))
	status = app.Run(h.t.Context(), root, args)
	return status, o.String(), e.String()
}

// importFrom imports from a system and returns the status and the report.
func (h *host) importFrom(system string, flags ...string) (int, report) {
	h.t.Helper()
	status, out, errs := h.run("", append([]string{"import", "--json", "--from", system}, flags...)...)
	var r report
	require.NoError(h.t, json.Unmarshal([]byte(out), &r), errs)
	return status, r
}

// open opens the database of keys.
func (h *host) open() *database.Database {
	h.t.Helper()
	db, err := database.Open(apikey.NewSecret(filepath.Join(h.dir, "keys.db")), "")
	require.NoError(h.t, err)
	h.t.Cleanup(func() { db.Close() })
	return db
}

// keys returns all keys by name.
func (h *host) keys() map[string]apikey.Key {
	h.t.Helper()
	all := map[string]apikey.Key{}
	for key, err := range apikey.Keys(h.t.Context(), h.open().Store, apikey.ListOptions{}) {
		require.NoError(h.t, err)
		all[key.Name] = key
	}
	return all
}

// request sends a request with a key to a service that uses the database, and returns the status and the name of
// the key that the service saw.
func (h *host) request(key string) (int, string) {
	h.t.Helper()
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
	require.NoError(h.t, err)
	keys, err := apikey.New(h.open().Store, apikey.Options{Format: format})
	require.NoError(h.t, err)
	return serve(h.t, keys, key)
}

func serve(t *testing.T, keys *apikey.Middleware, key string) (int, string) {
	t.Helper()
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", key)
	w := httptest.NewRecorder()
	keys.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, _ := apikey.FromContext(r.Context())
		w.Write([]byte(k.Name))
	})).ServeHTTP(w, r)
	if w.Code != 200 {
		return w.Code, ""
	}
	return w.Code, w.Body.String()
}

// A fixture is the database of another system.
type fixture struct {
	t  *testing.T
	db *sql.DB
	// url is the URL or file for --source.
	url string
}

// newFile returns a file of SQLite with tables.
func newFile(t *testing.T, statements ...string) *fixture {
	t.Helper()
	name := filepath.Join(t.TempDir(), "source.db")
	db, err := sql.Open("sqlite", "file:"+name+"?_pragma=journal_mode(WAL)")
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	f := &fixture{t, db, name}
	f.exec(statements...)
	return f
}

// newServer returns an empty schema or database of a server, with tables.
func newServer(t *testing.T, e testdb.Engine, statements ...string) *fixture {
	t.Helper()
	e.Require(t)
	dsn := e.Create(t)
	db, err := e.Open(dsn)
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	f := &fixture{t, db, dsn}
	if e.Name == testdb.MySQL.Name {
		c, err := mysql.ParseDSN(dsn)
		require.NoError(t, err)
		f.url = (&url.URL{Scheme: "mysql", User: url.User(c.User), Host: c.Addr, Path: c.DBName}).String()
	}
	f.exec(statements...)
	return f
}

func (f *fixture) exec(statements ...string) {
	f.t.Helper()
	for _, statement := range statements {
		_, err := f.db.ExecContext(f.t.Context(), statement)
		require.NoError(f.t, err, statement)
	}
}

// rowOf returns the result of a row.
func rowOf(t *testing.T, r report, id string) result {
	t.Helper()
	for _, row := range r.Rows {
		if row.SourceID == id {
			return row
		}
	}
	t.Fatalf("the report has no row %s: %+v", id, r.Rows)
	return result{}
}

func writeFile(t *testing.T, name, text string) string {
	t.Helper()
	name = filepath.Join(t.TempDir(), name)
	require.NoError(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}
