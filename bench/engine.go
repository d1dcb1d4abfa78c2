package main

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	_ "github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// An engine is a kind of database that the store is measured on.
type engine struct {
	name    string
	dialect sqlstore.Dialect
	driver  string
	env     string // names a server; "" if none is needed

	create  func(server string) (dsn string, drop func() error, err error) // an empty database
	version string                                                         // asks what it is
	hurry   string                                                         // has one connection fill at the risk of what a crash would lose
	settle  string                                                         // brings it to rest after a fill, as the server would by itself some time later
	size    string                                                         // asks for the bytes on disk of all tables and indexes

	// listen is how a cache is woken; nil where there is no such thing.
	listen func(ctx context.Context, dsn string, wake func()) error
}

var engines = []engine{
	{
		name: "SQLite", dialect: sqlstore.SQLite, driver: "sqlite",
		create:  createFile,
		version: "SELECT sqlite_version()",
		hurry:   "PRAGMA synchronous = OFF; PRAGMA cache_size = -500000; PRAGMA wal_autocheckpoint = 50000",
		settle:  "PRAGMA wal_checkpoint(TRUNCATE)",
		size:    "SELECT page_count * page_size FROM pragma_page_count(), pragma_page_size()", // the file
	},
	{
		name: "PostgreSQL", dialect: sqlstore.Postgres, driver: "pgx", env: "APIKEY_TEST_POSTGRES",
		create:  createSchema,
		version: "SHOW server_version",
		hurry:   "SET synchronous_commit = off",
		settle:  "VACUUM (ANALYZE) apikey_meta, apikey_keys, apikey_used, apikey_audit",
		size: "SELECT sum(pg_total_relation_size(oid))::bigint FROM pg_class " +
			"WHERE relnamespace = current_schema()::regnamespace AND relkind = 'r'",
		listen: func(ctx context.Context, dsn string, wake func()) error {
			return sqlstore.Listen(ctx, pgx.Connect, dsn, wake)
		},
	},
	{
		name: "MySQL", dialect: sqlstore.MySQL, driver: "mysql", env: "APIKEY_TEST_MYSQL",
		create:  createDatabase,
		version: "SELECT version()",
		hurry:   "SET SESSION unique_checks = 0",
		settle:  "ANALYZE TABLE apikey_meta, apikey_keys, apikey_used, apikey_audit",
		size:    "SELECT CAST(SUM(data_length + index_length) AS SIGNED) FROM information_schema.tables WHERE table_schema = DATABASE()",
	},
}

// missing tells why an engine cannot be measured, or "".
func (e engine) missing() string {
	if e.env == "" || os.Getenv(e.env) != "" {
		return ""
	}
	return e.env + " names no server"
}

// open returns the pool that a service would have.
func (e engine) open(dsn string) (*sql.DB, error) {
	if e.dialect == sqlstore.SQLite {
		return sqlstore.OpenSQLite(e.driver, dsn)
	}
	db, err := sql.Open(e.driver, dsn)
	if err != nil {
		return nil, err
	}
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	return db, nil
}

func createFile(string) (string, func() error, error) {
	dir, err := os.MkdirTemp("", "apikey_bench_")
	return filepath.Join(dir, "keys.db"), func() error { return os.RemoveAll(dir) }, err
}

// createSchema makes a schema in the database that a URL names.
func createSchema(server string) (string, func() error, error) {
	u, err := url.Parse(server)
	if err != nil {
		return "", nil, err
	}
	name := randomName()
	query := u.Query()
	query.Set("search_path", name)
	u.RawQuery = query.Encode()
	drop := func() error { return administer("pgx", server, "DROP SCHEMA "+name+" CASCADE") }
	return u.String(), drop, administer("pgx", server, "CREATE SCHEMA "+name)
}

// createDatabase makes a database on the server that a DSN names.
func createDatabase(server string) (string, func() error, error) {
	c, err := mysql.ParseDSN(server)
	if err != nil {
		return "", nil, err
	}
	c.DBName = randomName()
	drop := func() error { return administer("mysql", server, "DROP DATABASE "+c.DBName) }
	return c.FormatDSN(), drop, administer("mysql", server, "CREATE DATABASE "+c.DBName)
}

func randomName() string { return fmt.Sprintf("apikey_bench_%x", rand.Uint64()) }

func administer(driver, server, statement string) error {
	db, err := sql.Open(driver, server)
	if err != nil {
		return err
	}
	defer db.Close()
	_, err = db.Exec(statement)
	return err
}
