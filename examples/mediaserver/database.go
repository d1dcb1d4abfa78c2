package main

import (
	"context"
	"database/sql"
	"errors"
	"net/url"
	"strings"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// A database stores the keys.
type database struct {
	name   string // to print, without a password
	pool   *sql.DB
	store  *sqlstore.Store
	listen func(ctx context.Context, wake func()) // nil if the database cannot notify of changes
}

// openDatabase opens the database that -db names and creates its tables.
func openDatabase(ctx context.Context, dsn string) (*database, error) {
	db := &database{}
	dialect, err := db.connect(dsn)
	if err != nil {
		return nil, err
	}
	if db.store, err = sqlstore.New(db.pool, dialect, sqlstore.Options{}); err != nil {
		return nil, errors.Join(err, db.pool.Close())
	}
	if err := db.store.Migrate(ctx); err != nil {
		return nil, errors.Join(err, db.close(ctx))
	}
	return db, nil
}

func (db *database) connect(dsn string) (dialect sqlstore.Dialect, err error) {
	switch kindOf(dsn) {
	case isPostgres:
		dialect = sqlstore.Postgres
		err = db.openPostgres(dsn)
	case isMySQL:
		dialect = sqlstore.MySQL
		err = db.openMySQL(dsn)
	case isFile:
		db.name = dsn
		db.pool, err = sqlstore.OpenSQLite("sqlite", dsn)
		return sqlstore.SQLite, err
	default:
		err = errDSN
	}
	if err != nil {
		return 0, err
	}
	const connections = 16
	db.pool.SetMaxOpenConns(connections)
	db.pool.SetMaxIdleConns(connections)
	return dialect, nil
}

// Timeouts for the drivers, which by default wait without limit. A statement may wait up to four
// seconds for a lock.
const (
	connectTimeout = time.Second
	readTimeout    = 5 * time.Second
)

// openPostgres opens a URL, or a DSN such as "host=h dbname=d".
func (db *database) openPostgres(dsn string) error {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return errDSN
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	db.name = "postgres://" + c.Host + "/" + c.Database
	db.pool = stdlib.OpenDB(*c)
	db.listen = func(ctx context.Context, wake func()) { sqlstore.Listen(ctx, pgx.Connect, dsn, wake) }
	return nil
}

// openMySQL opens a URL, or a DSN of the driver.
func (db *database) openMySQL(dsn string) error {
	parse := mysql.ParseDSN
	if strings.HasPrefix(dsn, "mysql://") {
		parse = parseMySQL
	}
	c, err := parse(dsn)
	if err != nil {
		return errDSN
	}
	if c.Timeout == 0 {
		c.Timeout = connectTimeout
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = readTimeout
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return errDSN
	}
	db.name = "mysql://" + c.Addr + "/" + c.DBName
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

func (db *database) close(ctx context.Context) error {
	return errors.Join(db.store.Close(ctx), db.pool.Close())
}
