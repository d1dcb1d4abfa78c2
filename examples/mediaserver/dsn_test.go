package main

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestNamesShowNoPassword(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, dsn, want string }{
		{"a URL of PostgreSQL", "postgres://u:hidden@h/d", "postgres://h/d"},
		{"the scheme postgresql", "postgresql://u:hidden@h:5433/d", "postgres://h/d"},
		{"user and password in the query of a URL", "postgres://h/d?user=u&password=hidden", "postgres://h/d"},
		{"a password in the query of a URL", "postgres://u@h/d?password=hidden", "postgres://h/d"},
		{"keywords and values of libpq", "host=h user=u password=hidden dbname=d", "postgres://h/d"},
		{"quoted values of libpq", "user = u password = 'hid hidden' host=h dbname=d", "postgres://h/d"},
		{"a URL of MySQL", "mysql://u:hidden@h/d", "mysql://h:3306/d"},
		{"a URL of MySQL with a query", "mysql://u:hidden@h/d?tls=true", "mysql://h:3306/d"},
		{"a DSN of the MySQL driver", "u:hidden@tcp(h)/d", "mysql://h:3306/d"},
		{"a DSN without an address", "u:hidden@/d", "mysql://127.0.0.1:3306/d"},
		{"a DSN with special characters in the password", "u:p@ss:hidden/@unix(/run/mysql.sock)/d", "mysql:///run/mysql.sock/d"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			db := &database{}
			_, err := db.connect(test.dsn)
			require.NoError(t, err)
			defer db.pool.Close()
			assert.Equal(t, test.want, db.name)
		})
	}
	for _, dsn := range []string{
		"mysql://u:hidden@h:port/d",
		"mysql://u:hidden@h/d?tls=hidden",
		"postgres://u:hidden@h:port/d",
		"postgres://h/d?password=hidden&port=hidden",
		"host=h password=hidden port=hidden",
		"mariadb://u:hidden@h/d",
		"u:hidden@h/d",
		"u:hidden@tcp(h/d",
	} {
		t.Run("refused: "+dsn, func(t *testing.T) {
			t.Parallel()
			_, err := (&database{}).connect(dsn)
			require.ErrorContains(t, err, "-db: want a file, postgres://user:password@host/database")
			assert.NotContains(t, err.Error(), "hidden")
		})
	}
}

func TestSQLiteOpensFiles(t *testing.T) {
	t.Parallel()
	for _, name := range []string{"keys.db", "keys@home.db", "host.db", "a b=c.db"} {
		file := filepath.Join(t.TempDir(), name)
		db := &database{}
		dialect, err := db.connect(file)
		require.NoError(t, err)
		assert.Equal(t, sqlstore.SQLite, dialect)
		assert.Equal(t, file, db.name)
		require.NoError(t, db.pool.Close())
	}
}

func TestParseMySQL(t *testing.T) {
	t.Parallel()
	c, err := parseMySQL("mysql://u%3Ax:p%40%2F@db.example/name%20d?tls=true&loc=Europe/Berlin&timeout=7s&sql_mode=%27ANSI%27")
	require.NoError(t, err)
	assert.Equal(t, "u:x", c.User)
	assert.Equal(t, "p@/", c.Passwd)
	assert.Equal(t, "db.example:3306", c.Addr)
	assert.Equal(t, "name d", c.DBName)
	assert.Equal(t, "true", c.TLSConfig)
	require.NotNil(t, c.TLS)
	assert.Equal(t, "db.example", c.TLS.ServerName, "name in the certificate")
	assert.Equal(t, "Europe/Berlin", c.Loc.String())
	assert.Equal(t, 7*time.Second, c.Timeout)
	assert.Equal(t, map[string]string{"sql_mode": "'ANSI'"}, c.Params)
	c, err = parseMySQL("mysql://u@[::1]:3307/d")
	require.NoError(t, err)
	assert.Equal(t, "[::1]:3307", c.Addr)
	_, err = parseMySQL("mysql://u@h/d?timeout=soon")
	assert.Error(t, err)
}
