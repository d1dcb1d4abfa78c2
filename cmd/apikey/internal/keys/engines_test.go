package keys_test

import (
	"net"
	"net/url"
	"path/filepath"
	"testing"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/internal/testdb"
)

func TestEveryEngineGivesTheSameOutput(t *testing.T) {
	t.Parallel()
	for _, engine := range []testdb.Engine{testdb.Postgres, testdb.MySQL} {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			engine.Require(t)
			for _, name := range []string{"change", "rotate", "owners", "history"} {
				address := engine.Create(t)
				if engine.Name == testdb.MySQL.Name {
					address = urlOf(t, address)
				}
				m := &machine{t, map[string]string{"APIKEY_DATABASE": address, "APIKEY_ACTOR": "alice"}}
				m.run("migrate").ok()
				file := filepath.Join("testdata", name+".golden")
				checkSession(t, file, replay(t, m, file))
				m.run("purge", "--older-than", "1d", "--yes").ok()
			}
		})
	}
}

// urlOf returns the URL of a DSN of go-sql-driver.
func urlOf(t *testing.T, dsn string) string {
	t.Helper()
	c, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	user := url.User(c.User)
	if c.Passwd != "" {
		user = url.UserPassword(c.User, c.Passwd)
	}
	_, _, err = net.SplitHostPort(c.Addr)
	require.NoError(t, err)
	return (&url.URL{Scheme: "mysql", User: user, Host: c.Addr, Path: "/" + c.DBName}).String()
}

func TestDatabaseWithoutTablesNamesMigrate(t *testing.T) {
	t.Parallel()
	for _, engine := range testdb.Engines {
		t.Run(engine.Name, func(t *testing.T) {
			t.Parallel()
			engine.Require(t)
			address := engine.Create(t)
			switch engine.Name {
			case testdb.MySQL.Name:
				address = urlOf(t, address)
			case testdb.SQLite.Name:
				createEmpty(t, address)
			}
			r := (&machine{t, map[string]string{"APIKEY_DATABASE": address, "APIKEY_ACTOR": "alice"}}).run("list")
			require.Equal(t, 1, r.status)
			require.Contains(t, r.stderr, "create the tables with apikey migrate")
		})
	}
}
