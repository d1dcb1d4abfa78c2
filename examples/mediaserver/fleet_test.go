package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

// lease is the time within which a revocation reaches every process.
const lease = 3 * time.Second

// connectPatience replaces the server's connect timeout of one second, which is too short for a
// database on a busy machine.
const connectPatience = 30 * time.Second

// databases are the databases that -db can name. create creates an empty one.
var databases = []struct {
	name, env string
	create    func(t *testing.T) (dsn string)
}{
	{"SQLite", "", func(t *testing.T) string { return filepath.Join(t.TempDir(), "keys.db") }},
	{"PostgreSQL", "APIKEY_TEST_POSTGRES", func(t *testing.T) string {
		dsn, name := os.Getenv("APIKEY_TEST_POSTGRES"), randomName()
		withStatement(t, "pgx", dsn, "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE")
		u, err := url.Parse(dsn)
		require.NoError(t, err)
		u.RawQuery = fmt.Sprintf("connect_timeout=%d&search_path=%s", int(connectPatience.Seconds()), name)
		return u.String()
	}},
	{"MySQL by a DSN of the driver", "APIKEY_TEST_MYSQL", func(t *testing.T) string { return createMySQL(t).FormatDSN() }},
	{"MySQL by a URL", "APIKEY_TEST_MYSQL", func(t *testing.T) string {
		c := createMySQL(t)
		return (&url.URL{
			Scheme: "mysql", User: url.UserPassword(c.User, c.Passwd), Host: c.Addr, Path: c.DBName,
			RawQuery: "timeout=" + connectPatience.String(),
		}).String()
	}},
}

func createMySQL(t *testing.T) *mysql.Config {
	dsn, name := os.Getenv("APIKEY_TEST_MYSQL"), randomName()
	withStatement(t, "mysql", dsn, "CREATE DATABASE "+name, "DROP DATABASE "+name)
	c, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	c.DBName, c.Timeout = name, connectPatience
	return c
}

func randomName() string { return fmt.Sprintf("apikey_example_%x", rand.Uint64()) }

// withStatement executes one statement now and another after the test.
func withStatement(t *testing.T, driver, dsn, now, later string) {
	db, err := sql.Open(driver, dsn)
	require.NoError(t, err)
	_, err = db.Exec(now)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec(later)
		assert.NoError(t, err)
		db.Close()
	})
}

func TestProcessesShareADatabase(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			if d.env != "" && os.Getenv(d.env) == "" {
				program.Skip(t, d.env+" does not name a server")
			}
			dsn := d.create(t)
			one := first(t, dsn)
			two := another(t, dsn)
			for _, s := range []server{one, two} {
				status, body := s.get(t, "/System/Info", one.key)
				require.Equal(t, 200, status, body)
			}

			issued := mediaserver(t, "-db", dsn, "-issue", "Backup job")
			key := regexp.MustCompile(`ak_[0-9A-Za-z]{36}`).FindString(issued)
			require.NotEmpty(t, key, issued)
			status, body := two.get(t, "/System/Info", key)
			require.Equal(t, 200, status, "a key from the command line works at once: %s", body)

			revoked := mediaserver(t, "-db", dsn, "-revoke", one.id)
			assert.Contains(t, revoked, `"Quickstart", was revoked on`)
			deadline := time.Now().Add(lease)
			for _, s := range []server{one, two} {
				for status = 200; status == 200; {
					late := time.Now().After(deadline)
					status, _ = s.get(t, "/System/Info", one.key)
					require.False(t, late && status == 200, "the revoked key is accepted after the lease")
				}
				assert.Equal(t, 401, status)
			}
			status, _ = two.get(t, "/System/Info", key)
			assert.Equal(t, 200, status, "the other key still works")
		})
	}
}
