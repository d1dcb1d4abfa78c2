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

// A database is where keys are kept.
type database struct {
	pool   *sql.DB
	store  *sqlstore.Store
	listen func(ctx context.Context, wake func()) // nil: nobody tells of changes early
}

// openDatabase opens what -db names and makes its tables.
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
	switch scheme, _, _ := strings.Cut(dsn, "://"); {
	case scheme == "postgres" || scheme == "postgresql":
		dialect = sqlstore.Postgres
		db.pool, err = openPostgres(dsn)
		db.listen = func(ctx context.Context, wake func()) { sqlstore.Listen(ctx, pgx.Connect, dsn, wake) }
	case scheme == "mysql" || strings.Contains(dsn, "@tcp(") || strings.Contains(dsn, "@unix("):
		dialect = sqlstore.MySQL
		db.pool, err = openMySQL(dsn)
	default:
		db.pool, err = sqlstore.OpenSQLite("sqlite", dsn)
		return sqlstore.SQLite, err
	}
	if err != nil {
		return 0, err
	}
	const connections = 16
	db.pool.SetMaxOpenConns(connections)
	db.pool.SetMaxIdleConns(connections)
	return dialect, nil
}

// Limits of what database/sql waits for without one: that a server answers to a new
// connection, and then to a statement, which may have to wait for a lock for four seconds.
const (
	connectTimeout = time.Second
	readTimeout    = 5 * time.Second
)

func openPostgres(dsn string) (*sql.DB, error) {
	c, err := pgx.ParseConfig(dsn)
	if err != nil {
		return nil, err
	}
	if c.ConnectTimeout == 0 {
		c.ConnectTimeout = connectTimeout
	}
	return stdlib.OpenDB(*c), nil
}

// openMySQL takes a URL, or a DSN as the driver has it.
func openMySQL(dsn string) (*sql.DB, error) {
	parse := mysql.ParseDSN
	if strings.HasPrefix(dsn, "mysql://") {
		parse = parseMySQL
	}
	c, err := parse(dsn)
	if err != nil {
		return nil, err
	}
	if c.Timeout == 0 {
		c.Timeout = connectTimeout
	}
	if c.ReadTimeout == 0 {
		c.ReadTimeout = readTimeout
	}
	connector, err := mysql.NewConnector(c)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func parseMySQL(text string) (*mysql.Config, error) {
	u, err := url.Parse(text)
	if err != nil {
		// Not the error itself, which shows the password.
		return nil, errors.New("-db: not a URL such as mysql://user:password@host:3306/database")
	}
	addr := u.Host
	if u.Port() == "" {
		addr += ":3306"
	}
	// With the address, since the name in the server's certificate is made of it; and with no
	// slash in the query, as in loc=Europe/Berlin, since the driver looks for the last one.
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
