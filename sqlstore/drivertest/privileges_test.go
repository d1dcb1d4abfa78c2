package drivertest

import (
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// A grant gives privileges on one table.
type grant struct{ table, privileges string }

// documentedPrivileges returns the privileges that the package documentation grants to a service.
func documentedPrivileges(t testing.TB) (list []grant) {
	for _, statement := range documentedStatements(t, "Tables, privileges and upgrades") {
		var g grant
		rest, found := strings.CutPrefix(statement, "GRANT ")
		require.True(t, found, statement)
		g.privileges, rest, found = strings.Cut(rest, " ON ")
		require.True(t, found, statement)
		g.table, _, found = strings.Cut(rest, " TO service")
		require.True(t, found, statement)
		list = append(list, g)
	}
	require.Len(t, list, 10)
	return list
}

// unprivilegedUser creates a database user without privileges on the tables of a database. It
// returns the user's DSN and the user's name in statements.
func unprivilegedUser(t testing.TB, e engine, dsn string) (userDSN, grantee string) {
	if e.name == "PostgreSQL" {
		role := createRole(t, "")
		execute(t, e.openDB(t, dsn), "GRANT USAGE ON SCHEMA "+must(url.Parse(dsn)).Query().Get("search_path")+" TO "+role)
		return withUser(t, e, dsn, role), role
	}
	name := randomName()
	grantee = "'" + name + "'@'127.0.0.1'"
	administer(t, "mysql", os.Getenv("APIKEY_TEST_MYSQL"), "CREATE USER "+grantee, "DROP USER "+grantee)
	// A user without any privilege cannot connect to the database.
	execute(t, e.openDB(t, dsn), "CREATE TABLE IF NOT EXISTS unrelated (one INT)")
	execute(t, e.openDB(t, dsn), "GRANT SELECT ON unrelated TO "+grantee)
	return withUser(t, e, dsn, name), grantee
}

// forEachServer runs a test with each database that has users: SQLite has none.
func forEachServer(t *testing.T, test func(t *testing.T, e engine)) {
	forEachEngine(t, func(t *testing.T, e engine) {
		if e.name != "SQLite" {
			test(t, e)
		}
	})
}

func TestDocumentedPrivilegesSuffice(t *testing.T) {
	t.Parallel()
	forEachServer(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		userDSN, grantee := unprivilegedUser(t, e, dsn)
		grantAll := func(purge bool) {
			for _, g := range documentedPrivileges(t) {
				if (g.privileges == "DELETE") == purge {
					execute(t, e.openDB(t, dsn), "GRANT "+g.privileges+" ON "+g.table+" TO "+grantee)
				}
			}
		}
		grantAll(false)
		useEverything(t, e.newStore(t, e.openDB(t, userDSN), sqlstore.Options{}))
		grantAll(true)
		store := e.newStore(t, e.openDB(t, userDSN), sqlstore.Options{PurgeAfter: 24 * time.Hour})
		require.NoError(t, store.Migrate(t.Context()))
		execute(t, e.openDB(t, dsn), "UPDATE apikey_audit SET at = 1")
		execute(t, e.openDB(t, dsn), "UPDATE apikey_keys SET expires_at = 1")
		p, err := store.Purge(t.Context(), time.Now().AddDate(0, 0, -30))
		require.NoError(t, err)
		assert.NotZero(t, p.Keys)
	})
}

func TestMigrateReportsMissingPrivilege(t *testing.T) {
	t.Parallel()
	forEachServer(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		db := e.openDB(t, dsn)
		for _, missing := range documentedPrivileges(t) {
			for privilege := range strings.SplitSeq(missing.privileges, ", ") {
				t.Run(privilege+" on "+missing.table, func(t *testing.T) {
					userDSN, grantee := unprivilegedUser(t, e, dsn)
					for _, g := range documentedPrivileges(t) {
						for p := range strings.SplitSeq(g.privileges, ", ") {
							if g != missing || p != privilege {
								execute(t, db, "GRANT "+p+" ON "+g.table+" TO "+grantee)
							}
						}
					}
					err := e.newStore(t, e.openDB(t, userDSN), sqlstore.Options{PurgeAfter: 24 * time.Hour}).Migrate(t.Context())
					require.ErrorContains(t, err, missing.table)
					assert.ErrorContains(t, err, "SELECT on apikey_schema; SELECT, UPDATE on apikey_meta; "+
						"SELECT, INSERT, UPDATE on apikey_keys, apikey_used and apikey_notices; SELECT, INSERT on apikey_audit")
				})
			}
		}
	})
}

func TestMigrateReportsTableItCannotCreate(t *testing.T) {
	t.Parallel()
	forEachServer(t, func(t *testing.T, e engine) {
		userDSN, _ := unprivilegedUser(t, e, e.create(t))
		err := e.newStore(t, e.openDB(t, userDSN), sqlstore.Options{}).Migrate(t.Context())
		require.ErrorContains(t, err, "apikey_schema")
		assert.ErrorContains(t, err, "SELECT, UPDATE on apikey_meta")
	})
}

func TestErrorsNameTheFile(t *testing.T) {
	t.Parallel()
	e := engineNamed("SQLite")
	dir := t.TempDir()
	text := filepath.Join(dir, "text.db")
	require.NoError(t, os.WriteFile(text, []byte(strings.Repeat("This is not a database. ", 100)), 0o600))
	for name, file := range map[string]string{
		"in a missing directory": filepath.Join(dir, "missing", "keys.db"),
		"a directory":            dir,
		"not a database":         text,
	} {
		t.Run(name, func(t *testing.T) {
			db := e.openDB(t, file)
			store := e.newStore(t, db, sqlstore.Options{})
			require.ErrorContains(t, store.Migrate(t.Context()), file)
			assert.ErrorContains(t, errorOf(store.Lookup(t.Context(), digestOf(0))), file)
		})
	}
}
