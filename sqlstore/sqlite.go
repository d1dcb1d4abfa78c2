package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"net/url"
	"path/filepath"
	"runtime"
)

// OpenSQLite opens a database file with settings for many concurrent callers. Every connection
// waits up to 10 seconds for a lock instead of failing. A commit is on disk before it returns.
// Transactions begin with BEGIN IMMEDIATE. The pool has four connections more than GOMAXPROCS.
//
// driverName is the registered name of the driver: "sqlite" (modernc.org/sqlite) or "sqlite3"
// (github.com/mattn/go-sqlite3). The file must be on a local disk, because [Store.Migrate] puts it
// into WAL mode, in which readers do not wait for writers.
//
// OpenSQLite rejects ":memory:", because every connection would open a database of its own. Use
// package memstore to keep keys in memory.
func OpenSQLite(driverName, file string) (*sql.DB, error) {
	if file == "" || filepath.Clean(file) == ":memory:" {
		return nil, invalid("file", "%q: want the name of a file", file)
	}
	// Each driver reads its own parameters and ignores those of the other driver.
	settings := url.Values{
		"_pragma":       {"busy_timeout(10000)", "synchronous(FULL)"},
		"_busy_timeout": {"10000"},
		"_synchronous":  {"FULL"},
		"_txlock":       {"immediate"},
	}
	dsn := url.URL{Scheme: "file", Opaque: (&url.URL{Path: filepath.ToSlash(filepath.Clean(file))}).EscapedPath(), RawQuery: settings.Encode()}
	name, err := filepath.Abs(file)
	if err != nil {
		return nil, fmt.Errorf("sqlstore: file %q: %w", file, err)
	}
	connector, err := connectorOf(driverName, dsn.String())
	if err != nil {
		return nil, fmt.Errorf("sqlstore: driver %q: %w", driverName, err)
	}
	db := sql.OpenDB(&sqliteFile{connector, name})
	connections := runtime.GOMAXPROCS(0) + 4
	db.SetMaxOpenConns(connections)
	db.SetMaxIdleConns(connections) // because opening a connection costs more than a lookup
	return db, nil
}

// connectorOf returns the connector that sql.Open would use for a DSN.
func connectorOf(name, dsn string) (driver.Connector, error) {
	db, err := sql.Open(name, dsn) // does not connect
	if err != nil {
		return nil, err
	}
	defer db.Close()
	if d, ok := db.Driver().(driver.DriverContext); ok {
		return d.OpenConnector(dsn)
	}
	return dsnConnector{db.Driver(), dsn}, nil
}

// A dsnConnector connects through a driver that does not implement driver.DriverContext.
type dsnConnector struct {
	driver driver.Driver
	dsn    string
}

func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c dsnConnector) Driver() driver.Driver                        { return c.driver }
