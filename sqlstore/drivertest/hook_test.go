package drivertest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"
)

// A hook intercepts every statement of a connection. It calls do to execute the statement.
type hook func(ctx context.Context, query string, args []driver.NamedValue, do func() error) error

// openHooked opens a database with a hook.
func (e engine) openHooked(t testing.TB, dsn string, h hook) *sql.DB {
	return e.openRewritten(t, dsn, h, func(query string) string { return query })
}

// openRewritten opens a database with a hook, and rewrites the statements that are not prepared.
func (e engine) openRewritten(t testing.TB, dsn string, h hook, rewrite func(query string) string) *sql.DB {
	plain := e.openDB(t, dsn)
	if e.name == "SQLite" {
		dsn = "file:" + (&url.URL{Path: dsn}).EscapedPath() + "?_pragma=busy_timeout(10000)&_pragma=synchronous(FULL)&_txlock=immediate"
	}
	if e.name == "MySQL" {
		// Otherwise the driver returns driver.ErrSkip to prepare a statement with arguments first.
		dsn = withParameter(t, e, dsn, "interpolateParams", "true")
	}
	db := sql.OpenDB(hookedConnector{plain.Driver(), dsn, h, rewrite})
	db.SetMaxOpenConns(8)
	db.SetMaxIdleConns(8)
	t.Cleanup(func() { require.NoError(t, db.Close()) })
	return db
}

// A hookedConnector opens connections with a hook and a rewrite function.
type hookedConnector struct {
	driver  driver.Driver
	dsn     string
	hook    hook
	rewrite func(string) string
}

func (c hookedConnector) Driver() driver.Driver { return c.driver }

func (c hookedConnector) Connect(context.Context) (driver.Conn, error) {
	conn, err := c.driver.Open(c.dsn)
	if err != nil {
		return nil, err
	}
	return &hookedConn{conn, c.hook, c.rewrite}, nil
}

// A hookedConn is a driver's connection with a hook. It requires the optional interfaces that all
// drivers of these tests implement.
type hookedConn struct {
	driver.Conn
	hook    hook
	rewrite func(string) string
}

func (c *hookedConn) ExecContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Result, err error) {
	query = c.rewrite(query)
	err = c.hook(ctx, query, args, func() (err error) {
		r, err = c.Conn.(driver.ExecerContext).ExecContext(ctx, query, args)
		return err
	})
	return r, err
}

func (c *hookedConn) QueryContext(ctx context.Context, query string, args []driver.NamedValue) (r driver.Rows, err error) {
	query = c.rewrite(query)
	err = c.hook(ctx, query, args, func() (err error) {
		r, err = c.Conn.(driver.QueryerContext).QueryContext(ctx, query, args)
		return err
	})
	if err != nil && r != nil {
		r.Close()
	}
	return r, err
}

// PrepareContext returns a statement that calls the hook when it is executed.
func (c *hookedConn) PrepareContext(ctx context.Context, query string) (driver.Stmt, error) {
	stmt, err := c.Conn.(driver.ConnPrepareContext).PrepareContext(ctx, query)
	if err != nil {
		return nil, err
	}
	return &hookedStmt{stmt, query, c.hook}, nil
}

// A hookedStmt is a prepared query with a hook.
type hookedStmt struct {
	driver.Stmt
	query string
	hook  hook
}

func (s *hookedStmt) QueryContext(ctx context.Context, args []driver.NamedValue) (r driver.Rows, err error) {
	err = s.hook(ctx, s.query, args, func() (err error) {
		r, err = s.Stmt.(driver.StmtQueryContext).QueryContext(ctx, args)
		return err
	})
	if err != nil && r != nil {
		r.Close()
	}
	return r, err
}

func (c *hookedConn) CheckNamedValue(v *driver.NamedValue) (err error) {
	if checker, ok := c.Conn.(driver.NamedValueChecker); ok {
		return checker.CheckNamedValue(v)
	}
	v.Value, err = driver.DefaultParameterConverter.ConvertValue(v.Value)
	return err
}

func (c *hookedConn) ResetSession(ctx context.Context) error {
	if resetter, ok := c.Conn.(driver.SessionResetter); ok {
		return resetter.ResetSession(ctx)
	}
	return nil
}

func (c *hookedConn) IsValid() bool {
	if validator, ok := c.Conn.(driver.Validator); ok {
		return validator.IsValid()
	}
	return true
}
