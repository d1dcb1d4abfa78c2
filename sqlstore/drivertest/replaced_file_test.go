package drivertest

import (
	"context"
	"database/sql"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// fileFaults damage the files of an open database.
var fileFaults = []struct {
	name   string
	inject func(t *testing.T, file, backup string)
	file   string // the file that the error names
}{
	{"a backup replaces the file", func(t *testing.T, file, backup string) { require.NoError(t, os.Rename(backup, file)) }, "keys.db"},
	{"the file is moved away", func(t *testing.T, file, _ string) { require.NoError(t, os.Rename(file, file+".old")) }, "keys.db"},
	{"the file is deleted", func(t *testing.T, file, _ string) { require.NoError(t, os.Remove(file)) }, "keys.db"},
	{"the file is deleted with its log", func(t *testing.T, file, _ string) {
		for _, name := range []string{file, file + "-wal", file + "-shm"} {
			require.NoError(t, os.Remove(name))
		}
	}, "keys.db"},
	{"the log is deleted", func(t *testing.T, file, _ string) { require.NoError(t, os.Remove(file+"-wal")) }, "keys.db-wal"},
	{"the log is replaced", func(t *testing.T, file, _ string) {
		require.NoError(t, os.Remove(file+"-wal"))
		require.NoError(t, os.WriteFile(file+"-wal", nil, 0o600))
	}, "keys.db-wal"},
	{"the shared memory is deleted", func(t *testing.T, file, _ string) { require.NoError(t, os.Remove(file+"-shm")) }, "keys.db-shm"},
}

// A fileServer is a server on one database file. It has accepted a request with a key.
type fileServer struct {
	file, backup string
	db           *sql.DB
	store        *sqlstore.Store
	cache        *cachestore.Store
	auth         *apikey.Middleware
	secret       apikey.Secret
	key          apikey.Key
}

func newFileServer(t *testing.T, file string) *fileServer {
	s := &fileServer{file: file, backup: filepath.Join(filepath.Dir(file), "backup.db"), db: onSQLite.openDB(t, file)}
	s.store = onSQLite.newStore(t, s.db, sqlstore.Options{Logger: silent})
	require.NoError(t, s.store.Migrate(t.Context()))
	s.cache = must(cachestore.New(s.store, cachestore.Options{Poll: 50 * time.Millisecond, Lease: 3 * time.Second, Logger: silent}))
	t.Cleanup(s.cache.Close)
	s.auth = must(apikey.New(s.cache, apikey.Options{Logger: silent}))
	var err error
	s.secret, s.key, err = must(apikey.NewIssuer(s.store, apikey.IssuerOptions{})).Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	execute(t, s.db, "VACUUM INTO ?", s.backup)
	require.Equal(t, http.StatusOK, s.status())
	return s
}

func (s *fileServer) status() int {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", s.secret.Reveal())
	w := httptest.NewRecorder()
	s.auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return w.Code
}

// A write to a replaced file would be lost, and the writes of other processes would not be visible.
// Until the database is opened again, the store acknowledges no write, and the cache accepts no key
// after the lease.
func TestReplacedFile(t *testing.T) {
	t.Parallel()
	for _, fault := range fileFaults {
		t.Run(fault.name, func(t *testing.T) {
			t.Parallel()
			s := newFileServer(t, filepath.Join(t.TempDir(), "keys.db"))
			fault.inject(t, s.file, s.backup)
			replaced := time.Now()
			for _, use := range []struct {
				name string
				do   func() error
			}{
				{"Revoke", func() error { return errorOf(s.store.Revoke(t.Context(), s.key.ID)) }},
				{"Create", func() error { return s.store.Create(t.Context(), digestOf(1), keyOf(1)) }},
				{"a poll", func() error { return errorOf(s.store.Changes(t.Context(), apikey.Version{})) }},
				{"Get", func() error { return errorOf(s.store.Get(t.Context(), s.key.ID)) }},
				{"a miss", func() error { return errorOf(s.store.Lookup(t.Context(), digestOf(2))) }},
				{"Flush", func() error {
					s.store.Touch(digestOf(3), apikey.Use{At: time.Now()})
					return s.store.Flush(t.Context())
				}},
				{"Migrate", func() error { return s.store.Migrate(t.Context()) }},
			} {
				err := use.do()
				require.ErrorContains(t, err, fault.file+": ", use.name)
				require.ErrorContains(t, err, "open the database again", use.name)
				require.NotErrorIs(t, err, apikey.ErrNotFound, use.name)
			}
			eventually(t, 3*time.Second, "requests are refused", func() bool {
				status := s.status()
				if status == http.StatusOK {
					require.Less(t, time.Since(replaced), 3*time.Second+time.Second*(patience-1), "the lease")
				} else {
					require.Equal(t, http.StatusServiceUnavailable, status)
				}
				return status == http.StatusServiceUnavailable
			})
		})
	}
}

// A read checks the database file.
func TestReadDetectsReplacedFile(t *testing.T) {
	t.Parallel()
	s := newFileServer(t, filepath.Join(t.TempDir(), "keys.db"))
	require.NoError(t, os.Rename(s.backup, s.file))
	require.ErrorContains(t, errorOf(s.store.Lookup(t.Context(), digestOf(2))), "keys.db: replaced")
}

// A file that was moved away and back stays rejected until the database is opened again.
func TestReplacedFileStaysRejected(t *testing.T) {
	t.Parallel()
	s := newFileServer(t, filepath.Join(t.TempDir(), "keys.db"))
	require.NoError(t, os.Rename(s.file, s.file+".old"))
	require.Error(t, errorOf(s.store.Changes(t.Context(), apikey.Version{})))
	require.NoError(t, os.Rename(s.file+".old", s.file))
	require.ErrorContains(t, errorOf(s.store.Revoke(t.Context(), s.key.ID)), "open the database again")
	again := onSQLite.openStore(t, s.file, sqlstore.Options{})
	require.NoError(t, errorOf(again.Revoke(t.Context(), s.key.ID)))
}

// If another process revokes a key in the replacement file, the first process refuses the key, and
// reads the revocation after opening the database again.
func TestRevokeInReplacementFile(t *testing.T) {
	t.Parallel()
	s := newFileServer(t, filepath.Join(t.TempDir(), "keys.db"))
	require.NoError(t, os.Rename(s.backup, s.file))
	for _, leftover := range []string{"-wal", "-shm"} {
		require.NoError(t, os.Remove(s.file+leftover))
	}
	other := onSQLite.openStore(t, s.file, sqlstore.Options{})
	require.NoError(t, errorOf(other.Revoke(t.Context(), s.key.ID)))
	revoked := time.Now()
	eventually(t, 3*time.Second, "the key is refused", func() bool { return s.status() == http.StatusServiceUnavailable })
	assert.Less(t, time.Since(revoked), patience*3*time.Second)
	again := onSQLite.openStore(t, s.file, sqlstore.Options{})
	require.ErrorIs(t, errorOf(must(apikey.New(again, apikey.Options{})).Verify(t.Context(), s.secret)), apikey.ErrRevoked)
}

// The store does not acknowledge a write during which the file is replaced.
func TestFileReplacedDuringWrite(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "keys.db")
	store := onSQLite.openStore(t, file, sqlstore.Options{})
	addKeys(t, store, 0, 1)
	var published []apikey.Version
	store.Subscribe(func(_ apikey.Digest, at apikey.Version) { published = append(published, at) })
	replaced := &replacingActor{Context: t.Context(), replace: func() { require.NoError(t, os.Rename(file, file+".old")) }}
	require.ErrorContains(t, errorOf(store.Revoke(replaced, keyOf(0).ID)), "open the database again")
	require.Equal(t, []apikey.Version{{}}, published, "an uncertain write")
}

// A replacingActor is a context that replaces the file when the store, during a write, reads the
// actor.
type replacingActor struct {
	context.Context
	replace func()
}

func (c *replacingActor) Value(key any) any {
	if c.replace != nil {
		c.replace()
		c.replace = nil
	}
	return c.Context.Value(key)
}

func TestChangedSymlink(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	link := filepath.Join(dir, "keys.db")
	for _, name := range []string{"one.db", "two.db"} {
		onSQLite.openStore(t, filepath.Join(dir, name), sqlstore.Options{})
	}
	require.NoError(t, os.Symlink("one.db", link))
	store := onSQLite.openStore(t, link, sqlstore.Options{})
	addKeys(t, store, 0, 1)
	require.NoError(t, os.Symlink("two.db", link+".new"))
	require.NoError(t, os.Rename(link+".new", link))
	require.ErrorContains(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)), "keys.db: replaced")
}

// A pool may close all its connections. SQLite then deletes its log, which is not an error.
func TestPoolWithoutIdleConnections(t *testing.T) {
	t.Parallel()
	db := onSQLite.openDB(t, onSQLite.create(t))
	db.SetMaxIdleConns(-1)
	store := onSQLite.newStore(t, db, sqlstore.Options{})
	require.NoError(t, store.Migrate(t.Context()))
	for n := range 3 {
		addKeys(t, store, n, n+1)
		require.NoError(t, errorOf(store.Changes(t.Context(), apikey.Version{})))
		require.Zero(t, db.Stats().OpenConnections)
	}
}

// The store also checks the file of a *sql.DB that the caller opened by a URI.
func TestReplacedFileOfURI(t *testing.T) {
	t.Parallel()
	file := filepath.Join(t.TempDir(), "my keys.db")
	db := must(sql.Open("sqlite", "file:"+filepath.Dir(file)+"/my%20keys.db?_pragma=busy_timeout(10000)"))
	defer db.Close()
	store := onSQLite.newStore(t, db, sqlstore.Options{})
	require.NoError(t, store.Migrate(t.Context()))
	addKeys(t, store, 0, 1)
	require.NoError(t, os.Rename(file, file+".old"))
	require.ErrorContains(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)), "my keys.db: deleted")
}

// The commands of the package documentation back up and restore the keys.
func TestBackupAndRestore(t *testing.T) {
	t.Parallel()
	shell := func(t *testing.T, dir, command string) {
		cmd := exec.Command("sh", "-euc", command)
		cmd.Dir = dir
		output, err := cmd.CombinedOutput()
		require.NoError(t, err, "%s", output)
	}
	var commands []string // two to back up and two to restore
	for line := range strings.SplitSeq(string(must(os.ReadFile("../doc.go"))), "\n") {
		if command, found := strings.CutPrefix(line, "//\t"); found && (strings.HasPrefix(command, "sqlite3 ") || strings.Contains(command, " keys.db")) {
			commands = append(commands, command)
		}
	}
	require.Len(t, commands, 4)
	restore := commands[2] + "\n" + commands[3]
	if _, err := exec.LookPath("sqlite3"); err != nil {
		skip(t, "sqlite3 is not installed")
	}
	for _, test := range []struct {
		backup  string
		stopped bool
	}{
		{commands[0], false},
		{commands[1], false},
		{"cp keys.db backup.db", true},
	} {
		t.Run(test.backup, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			s := newFileServer(t, filepath.Join(dir, "keys.db"))
			require.NoError(t, os.Remove(s.backup))
			if test.stopped {
				s.stop(t)
			}
			shell(t, dir, test.backup)
			if !test.stopped {
				s.stop(t)
			}
			shell(t, dir, restore)
			restored := onSQLite.openStore(t, s.file, sqlstore.Options{})
			require.NoError(t, errorOf(must(apikey.New(restored, apikey.Options{})).Verify(t.Context(), s.secret)))
			require.NoError(t, errorOf(restored.Revoke(t.Context(), s.key.ID)))
		})
	}
	t.Run("a copy of a live file without its log is empty", func(t *testing.T) {
		dir := t.TempDir()
		newFileServer(t, filepath.Join(dir, "keys.db"))
		shell(t, dir, "cp keys.db copy.db")
		require.ErrorContains(t, errorOf(onSQLite.newStore(t, onSQLite.openDB(t, filepath.Join(dir, "copy.db")), sqlstore.Options{}).
			Get(t.Context(), "any")), "no such table")
	})
}

// stop shuts the server down as a service would.
func (s *fileServer) stop(t *testing.T) {
	s.cache.Close()
	require.NoError(t, s.store.Close(t.Context()))
	require.NoError(t, s.db.Close())
}
