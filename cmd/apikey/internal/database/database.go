// Package database opens the database of the keys by its URL.
package database

import (
	"cmp"
	"context"
	"database/sql"
	"errors"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgconn"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite" // the driver "sqlite"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// ErrURL means that a URL is malformed. It replaces the errors of drivers, because they may show a password.
var ErrURL = errors.New("database: want a file, postgres://user:password@host/database or mysql://user:password@host/database")

// A Database is an open database of keys.
type Database struct {
	// Name names the database in messages, without a password.
	Name string
	// Store holds the keys.
	Store *sqlstore.Store
	// Listen calls wake after each change until ctx ends. It is nil if the database cannot notify.
	Listen func(ctx context.Context, wake func())

	pool        *sql.DB
	file        string // of SQLite
	tablePrefix string
}

// Open opens a database: a file of SQLite, a URL of PostgreSQL, or a URL of MySQL or MariaDB. It creates the file if
// it does not exist, but no tables. A malformed URL is [ErrURL]. The caller must call Close.
func Open(url apikey.Secret, tablePrefix string) (*Database, error) {
	db := &Database{tablePrefix: tablePrefix}
	dialect, err := db.connect(url.Reveal())
	if err != nil {
		return nil, err
	}
	if db.Store, err = sqlstore.New(db.pool, dialect, sqlstore.Options{TablePrefix: tablePrefix}); err != nil {
		return nil, errors.Join(err, db.pool.Close())
	}
	return db, nil
}

// Close writes the last uses of keys, within five seconds, and closes the database.
func (db *Database) Close() error {
	ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
	defer cancel()
	return errors.Join(db.Store.Close(ctx), db.pool.Close())
}

// CheckFile returns an error if the database is an SQLite file that does not exist.
func (db *Database) CheckFile() error {
	if db.file == "" {
		return nil
	}
	_, err := os.Stat(db.file)
	return err
}

// The codes of PostgreSQL (undefined_table) and of MySQL (ER_NO_SUCH_TABLE).
const (
	undefinedTable = "42P01"
	noSuchTable    = 1146
)

// LacksTables reports whether an error says that the database does not have the tables of this module.
func LacksTables(err error) bool {
	if err == nil {
		return false
	}
	if failure, ok := errors.AsType[*pgconn.PgError](err); ok {
		return failure.Code == undefinedTable
	}
	if failure, ok := errors.AsType[*mysql.MySQLError](err); ok {
		return failure.Number == noSuchTable
	}
	return strings.Contains(err.Error(), "no such table")
}

// HasPassword reports whether a text may be the URL or the DSN of a database with a password. A text
// that begins like a path is a file.
func HasPassword(text string) bool {
	_, rest, isURL := strings.Cut(text, "://")
	if !isURL {
		return !filepath.IsAbs(text) && !strings.HasPrefix(text, ".") && mayBeDSN(text)
	}
	login, _, found := strings.Cut(rest, "@")
	return found && strings.Contains(login, ":") || strings.Contains(strings.ToLower(rest), "password=")
}

// mayBeDSN reports whether a text without a scheme may be a DSN of go-sql-driver or libpq.
func mayBeDSN(text string) bool {
	return strings.Contains(text, "@") || strings.Contains(strings.ToLower(text), "password=")
}

func (db *Database) connect(text string) (dialect sqlstore.Dialect, err error) {
	scheme, _, isURL := strings.Cut(text, "://")
	switch {
	case isURL && (scheme == "postgres" || scheme == "postgresql"):
		dialect = sqlstore.Postgres
		err = db.openPostgres(text)
	case isURL && scheme == "mysql":
		dialect = sqlstore.MySQL
		err = db.openMySQL(text)
	case isURL || HasPassword(text):
		err = ErrURL
	default:
		db.Name, db.file = text, text
		db.pool, err = sqlstore.OpenSQLite("sqlite", text)
		return sqlstore.SQLite, err
	}
	if err != nil {
		return 0, err
	}
	const connections = 16
	db.pool.SetMaxOpenConns(connections)
	db.pool.SetMaxIdleConns(connections)
	db.pool.SetConnMaxIdleTime(time.Minute) // before a firewall forgets a connection
	return dialect, nil
}

// Timeouts for the drivers, which by default wait without limit. A statement may wait up to four
// seconds for a lock.
const (
	connectTimeout = 10 * time.Second
	readTimeout    = 30 * time.Second
)

func (db *Database) openPostgres(text string) error {
	c, err := pgx.ParseConfig(text)
	if err != nil {
		return ErrURL
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	db.Name = "postgres://" + c.Host + "/" + c.Database
	db.pool = stdlib.OpenDB(*c)
	db.Listen = func(ctx context.Context, wake func()) {
		sqlstore.ListenPrefix(ctx, pgx.Connect, text, cmp.Or(db.tablePrefix, "apikey_"), wake)
	}
	return nil
}

func (db *Database) openMySQL(text string) error {
	c, err := parseMySQL(text)
	if err != nil {
		return ErrURL
	}
	if c.Timeout == 0 {
		c.Timeout = connectTimeout
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = readTimeout
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return ErrURL
	}
	db.Name = "mysql://" + c.Addr + "/" + c.DBName
	db.pool = sql.OpenDB(connector)
	return nil
}

// parseMySQL parses a URL. Its query contains parameters of the driver, such as tls=true.
func parseMySQL(text string) (*mysql.Config, error) {
	u, err := url.Parse(text)
	if err != nil {
		return nil, err
	}
	addr := u.Host
	if u.Port() == "" {
		addr += ":3306"
	}
	// The driver needs the address, because it derives the name in the server's certificate from it.
	// It cuts at the last slash, so a slash in the query (loc=Europe/Berlin) must be escaped.
	c, err := mysql.ParseDSN("tcp(" + addr + ")/?" + strings.ReplaceAll(u.RawQuery, "/", "%2F"))
	if err != nil {
		return nil, err
	}
	c.User = u.User.Username()
	c.Passwd, _ = u.User.Password()
	c.DBName = strings.TrimPrefix(u.Path, "/")
	return c, nil
}
