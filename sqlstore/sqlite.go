package sqlstore

import (
	"database/sql"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"

	"github.com/latchkey-dev/apikey"
)

// OpenSQLite opens a database file with the settings that hold under many concurrent callers:
// every connection waits for a lock instead of failing, what is committed is on disk, a
// transaction that will write says so when it begins, and there are some more connections than
// processors. driver is the name under which one was registered: "sqlite" (modernc.org/sqlite)
// or "sqlite3" (github.com/mattn/go-sqlite3). [Store.Migrate] puts the file into WAL mode, in
// which readers do not wait for writers; it must be on a local disk.
//
// A database in memory would be another one for each connection, so ":memory:" is refused; for
// keys in memory there is package memstore.
func OpenSQLite(driver, file string) (*sql.DB, error) {
	if file == "" || file == ":memory:" {
		return nil, fmt.Errorf("%w file %q: want the name of a file", apikey.ErrInvalid, file)
	}
	// Each driver reads its own parameters and passes over the other's.
	settings := url.Values{
		"_pragma":       {"busy_timeout(10000)", "synchronous(FULL)"},
		"_busy_timeout": {"10000"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"},
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(filepath.Clean(file))}).EscapedPath(), RawQuery: settings.Encode()}
	db, err := sql.Open(driver, dsn.String())
	if err != nil {
		return nil, err
	}
	connections := runtime.GOMAXPROCS(0) + 4
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections) // opening one costs more than a lookup
	return db, nil
}
