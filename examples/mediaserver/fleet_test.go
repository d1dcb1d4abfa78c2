package main

import (
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/url"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

// lease is within what time a revocation is promised to reach every process.
const lease = 3 * time.Second

// databases are those that -db can name. Each makes an empty one.
var databases = []struct {
	name, env string
	create    func(t *testing.T) (dsn string)
}{
	{"SQLite", "", func(t *testing.T) string { return filepath.Join(t.TempDir(), "keys.db") }},
	{"PostgreSQL", "APIKEY_TEST_POSTGRES", func(t *testing.T) string {
		dsn, name := os.Getenv("APIKEY_TEST_POSTGRES"), randomName()
		during(t, "pgx", dsn, "CREATE SCHEMA "+name, "DROP SCHEMA "+name+" CASCADE")
		u, err := url.Parse(dsn)
		require.NoError(t, err)
		u.RawQuery = "search_path=" + name
		return u.String()
	}},
	{"MySQL by its driver's DSN", "APIKEY_TEST_MYSQL", func(t *testing.T) string { return createMySQL(t).FormatDSN() }},
	{"MySQL by a URL", "APIKEY_TEST_MYSQL", func(t *testing.T) string {
		c := createMySQL(t)
		return (&url.URL{Scheme: "mysql", User: url.UserPassword(c.User, c.Passwd), Host: c.Addr, Path: c.DBName}).String()
	}},
}

func createMySQL(t *testing.T) *mysql.Config {
	dsn, name := os.Getenv("APIKEY_TEST_MYSQL"), randomName()
	during(t, "mysql", dsn, "CREATE DATABASE "+name, "DROP DATABASE "+name)
	c, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	c.DBName = name
	return c
}

func randomName() string { return fmt.Sprintf("apikey_example_%x", rand.Uint64()) }

// during carries out one statement now and another after the test.
func during(t *testing.T, driver, dsn, now, later string) {
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

func TestProcessesOnOneDatabaseAreAFleet(t *testing.T) {
	t.Parallel()
	for _, d := range databases {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			if d.env != "" && os.Getenv(d.env) == "" {
				program.Skip(t, d.env+" names no server")
			}
			dsn := d.create(t)
			one := first(t, dsn)
			two := another(t, dsn)
			for _, s := range []server{one, two} {
				status, body := s.get(t, "/System/Info", one.key)
				require.Equal(t, 200, status, body)
			}

			issued := command(t, dsn, "Backup job", "")
			key := regexp.MustCompile(`ak_[0-9A-Za-z]{36}`).FindString(issued)
			require.NotEmpty(t, key, issued)
			status, body := two.get(t, "/System/Info", key)
			require.Equal(t, 200, status, "a key of the command line works at once: %s", body)

			revoked := command(t, dsn, "", one.id)
			assert.Contains(t, revoked, `"Quickstart", was revoked on`)
			deadline := time.Now().Add(lease)
			for _, s := range []server{one, two} {
				for status = 200; status == 200; {
					late := time.Now().After(deadline)
					status, _ = s.get(t, "/System/Info", one.key)
					require.False(t, late && status == 200, "accepted after the lease")
				}
				assert.Equal(t, 401, status)
			}
			status, _ = two.get(t, "/System/Info", key)
			assert.Equal(t, 200, status, "the other key goes on")
		})
	}
}

// command runs a mediaserver that issues or revokes, and exits.
func command(t *testing.T, dsn, issue, revoke string) string {
	t.Helper()
	var out strings.Builder
	require.NoError(t, run(t.Context(), &out, "", dsn, issue, "", revoke))
	return out.String()
}

func TestRevokingAnUnknownKeyIsAnError(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "keys.db")
	assert.ErrorContains(t, run(t.Context(), &strings.Builder{}, "", dsn, "", "", "nobody"), "key nobody: apikey: no such key")
	assert.ErrorContains(t, run(t.Context(), &strings.Builder{}, "", dsn, "a\nb", "", ""), "control character")
}
