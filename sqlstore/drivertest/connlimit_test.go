package drivertest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// withConnectionLimit returns the DSN of a user with a limited number of connections.
func (e engine) withConnectionLimit(t testing.TB, dsn, connections string) string {
	name := randomName()
	if e.name == "MySQL" {
		name = "u" + name[len(name)-15:] // begins with a letter, because the statements do not quote it
		server := os.Getenv("APIKEY_TEST_MYSQL")
		administer(t, "mysql", server, "CREATE USER "+name+"@'127.0.0.1' WITH MAX_USER_CONNECTIONS "+connections, "DROP USER "+name+"@'127.0.0.1'")
		administer(t, "mysql", server, "GRANT ALL ON *.* TO "+name+"@'127.0.0.1'", "SELECT 1")
		c := must(mysql.ParseDSN(dsn))
		c.User = name
		return c.FormatDSN()
	}
	server := os.Getenv("APIKEY_TEST_POSTGRES")
	u := must(url.Parse(dsn))
	schema := u.Query().Get("search_path")
	administer(t, "pgx", server, "CREATE ROLE "+name+" LOGIN CONNECTION LIMIT "+connections, "DROP OWNED BY "+name+"; DROP ROLE "+name)
	administer(t, "pgx", server, "GRANT USAGE ON SCHEMA "+schema+" TO "+name+"; GRANT ALL ON ALL TABLES IN SCHEMA "+schema+" TO "+name, "SELECT 1")
	u.User = url.User(name)
	return u.String()
}

// If the server permits fewer connections than the pool, callers wait for those that it permits.
func TestServerWithFewerConnectionsThanPool(t *testing.T) {
	t.Parallel()
	for _, e := range engines[1:] {
		for _, test := range []struct {
			name        string
			connections string
			pool        int // 0 means unlimited
		}{
			{"a pool of 8 and 3 connections", "3", 8},
			{"an unlimited pool and 3 connections", "3", 0},
			{"a pool of 8 and 1 connection", "1", 8},
		} {
			t.Run(e.name+" "+test.name, func(t *testing.T) {
				t.Parallel()
				e.requireServer(t)
				dsn := e.openTables(t)
				const keys = 200
				addKeys(t, e.openStore(t, dsn, sqlstore.Options{}), 0, keys)
				var opened countedConnector
				db := opened.open(t, e, e.withConnectionLimit(t, dsn, test.connections))
				db.SetMaxOpenConns(test.pool)
				db.SetMaxIdleConns(8)
				store := e.newStore(t, db, sqlstore.Options{ReadTimeout: patience * 5 * time.Second, WriteTimeout: patience * 5 * time.Second})
				require.NoError(t, store.Migrate(t.Context()))
				var all sync.WaitGroup
				start := make(chan struct{})
				for n := range keys {
					all.Go(func() {
						<-start
						assert.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(n))), "a lookup")
					})
				}
				for n := range 10 {
					all.Go(func() {
						<-start
						assert.NoError(t, errorOf(store.Revoke(t.Context(), keyOf(n).ID)), "a write")
						assert.NoError(t, errorOf(store.List(t.Context(), apikey.ListOptions{Search: "system"})), "a list")
						assert.NoError(t, errorOf(store.Changes(t.Context(), apikey.Version{})), "a poll")
					})
				}
				begin := time.Now()
				close(start)
				all.Wait()
				t.Logf("%d attempts to connect, %v", opened.n.Load(), time.Since(begin))
			})
		}
	}
}

// With a cache in front, no lookup fails and the lease begins.
func TestCacheOnServerWithFewerConnectionsThanPool(t *testing.T) {
	t.Parallel()
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			e.requireServer(t)
			dsn := e.openTables(t)
			const keys = 200
			addKeys(t, e.openStore(t, dsn, sqlstore.Options{}), 0, keys)
			store := e.newStore(t, e.openDB(t, e.withConnectionLimit(t, dsn, "3")), sqlstore.Options{})
			cache := must(cachestore.New(store, cachestore.Options{Logger: silent}))
			t.Cleanup(cache.Close)
			var all sync.WaitGroup
			for n := range keys {
				all.Go(func() { assert.NoError(t, errorOf(cache.Lookup(t.Context(), digestOf(n)))) })
			}
			all.Wait()
			eventually(t, 10*time.Second, "the lease begins", func() bool { return cache.Stats().LeaseRemaining > 0 })
		})
	}
}

// If other clients use all connections, the error says so by the timeout, and the store does not
// flood the server with attempts.
func TestServerWithoutFreeConnection(t *testing.T) {
	t.Parallel()
	for _, e := range engines[1:] {
		t.Run(e.name, func(t *testing.T) {
			t.Parallel()
			e.requireServer(t)
			dsn := e.openTables(t)
			limited := e.withConnectionLimit(t, dsn, "1")
			other := must(e.openDB(t, limited).Conn(t.Context()))
			const timeout, callers = 5 * time.Second, 50
			var opened countedConnector
			db := opened.open(t, e, limited)
			store := e.newStore(t, db, sqlstore.Options{ReadTimeout: timeout, WriteTimeout: timeout})
			var all sync.WaitGroup
			for n := range callers {
				all.Go(func() {
					begin := time.Now()
					err := errorOf(store.Lookup(t.Context(), digestOf(n)))
					assert.ErrorContains(t, err, "Options.ReadTimeout")
					assert.Regexp(t, "too many connections|max_user_connections", err.Error())
					assert.Less(t, time.Since(begin), timeout+patience*time.Second)
				})
			}
			all.Wait()
			assert.LessOrEqual(t, opened.n.Load(), int64(2*callers+5*20), "attempts to connect within 5 seconds")
			assert.ErrorContains(t, errorOf(store.Revoke(t.Context(), keyOf(0).ID)), "Options.WriteTimeout")
			require.ErrorIs(t, other.Raw(func(any) error { return driver.ErrBadConn }), driver.ErrBadConn) // closes the connection
			eventually(t, 2*time.Second, "a lookup succeeds", func() bool {
				return errors.Is(errorOf(store.Lookup(t.Context(), digestOf(0))), apikey.ErrNotFound)
			})
		})
	}
}

// A countedConnector counts the attempts to open a connection.
type countedConnector struct {
	driver.Connector
	n atomic.Int64
}

// open returns a pool whose connections c counts.
func (c *countedConnector) open(t *testing.T, e engine, dsn string) *sql.DB {
	c.Connector = dsnConnector{e.openDB(t, dsn).Driver(), dsn}
	db := sql.OpenDB(c)
	t.Cleanup(func() { db.Close() })
	return db
}

func (c *countedConnector) Connect(ctx context.Context) (driver.Conn, error) {
	c.n.Add(1)
	return c.Connector.Connect(ctx)
}

// A dsnConnector is the connector of drivers that open a DSN.
type dsnConnector struct {
	driver driver.Driver
	dsn    string
}

func (c dsnConnector) Connect(context.Context) (driver.Conn, error) { return c.driver.Open(c.dsn) }
func (c dsnConnector) Driver() driver.Driver                        { return c.driver }
