package drivertest

import (
	"net/url"
	"os"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// withUser returns the DSN for another database user.
func withUser(t testing.TB, e engine, dsn, user string) string {
	if e.name == "MySQL" {
		_, rest, found := strings.Cut(dsn, "@tcp(")
		require.True(t, found)
		return user + "@tcp(" + rest
	}
	u := must(url.Parse(dsn))
	u.User = url.User(user)
	return u.String()
}

// createRole creates a PostgreSQL role, which is dropped after the test.
func createRole(t testing.TB, attributes string) string {
	role := randomName()
	administer(t, "pgx", os.Getenv("APIKEY_TEST_POSTGRES"), "CREATE ROLE "+role+" LOGIN "+attributes, "DROP OWNED BY "+role+" CASCADE; DROP ROLE "+role)
	return role
}

// In a schema where PUBLIC may create, an attacker can create the tables before the service does.
// The attacker can then read and change all keys as their owner.
func TestTablesOfUntrustedOwner(t *testing.T) {
	t.Parallel()
	e := engineNamed("PostgreSQL")
	e.requireServer(t)
	tables := []string{"apikey_schema", "apikey_meta", "apikey_keys", "apikey_used", "apikey_audit", "apikey_notices"}
	for _, test := range []struct {
		name    string
		public  bool // whether PUBLIC may create in the schema
		prepare func(service, mallory, schema string) []string
		trusted bool
	}{
		{"another role owns them", true, func(_, _, _ string) []string { return nil }, false},
		{"another role owns them and PUBLIC may not create", false, func(_, _, _ string) []string { return nil }, true},
		{"a role of the service owns them", true, func(service, mallory, _ string) []string {
			return []string{"GRANT " + mallory + " TO " + service}
		}, true},
		{"the owner of the schema owns them", true, func(_, mallory, schema string) []string {
			return []string{"ALTER SCHEMA " + schema + " OWNER TO " + mallory}
		}, true},
		{"a superuser owns them", true, func(_, mallory, _ string) []string { return []string{"ALTER ROLE " + mallory + " SUPERUSER"} }, true},
	} {
		for _, superuser := range []bool{false, true} {
			service := "plain service"
			if superuser {
				service = "superuser as service" // a member of every role
			}
			t.Run(test.name+", "+service, func(t *testing.T) {
				dsn := e.create(t)
				db := e.openDB(t, dsn)
				schema := must(url.Parse(dsn)).Query().Get("search_path")
				mallory, service := createRole(t, ""), createRole(t, "")
				if superuser {
					execute(t, db, "ALTER ROLE "+service+" SUPERUSER")
				}
				execute(t, db, "GRANT USAGE, CREATE ON SCHEMA "+schema+" TO "+mallory)
				execute(t, db, "GRANT USAGE ON SCHEMA "+schema+" TO "+service)
				if test.public {
					execute(t, db, "GRANT CREATE ON SCHEMA "+schema+" TO PUBLIC")
				}
				e.openStore(t, withUser(t, e, dsn, mallory), sqlstore.Options{})
				for _, table := range tables {
					execute(t, db, "GRANT ALL ON "+table+" TO "+service)
				}
				for _, statement := range test.prepare(service, mallory, schema) {
					execute(t, db, statement)
				}
				t.Cleanup(func() { execute(t, db, "ALTER SCHEMA "+schema+" OWNER TO CURRENT_USER") }) // so that DROP OWNED does not drop it
				err := e.newStore(t, e.openDB(t, withUser(t, e, dsn, service)), sqlstore.Options{}).Migrate(t.Context())
				if test.trusted {
					require.NoError(t, err)
					return
				}
				for _, part := range []string{"table apikey_audit", mallory, schema, "ALTER TABLE", "REVOKE CREATE ON SCHEMA"} {
					require.ErrorContains(t, err, part)
				}
			})
		}
	}
	for _, table := range tables {
		t.Run("another role owns only "+table, func(t *testing.T) {
			dsn := e.create(t)
			db := e.openDB(t, dsn)
			schema := must(url.Parse(dsn)).Query().Get("search_path")
			mallory := createRole(t, "")
			execute(t, db, "GRANT USAGE, CREATE ON SCHEMA "+schema+" TO PUBLIC")
			execute(t, e.openDB(t, withUser(t, e, dsn, mallory)), "CREATE TABLE "+table+" (one int)")
			err := e.newStore(t, db, sqlstore.Options{}).Migrate(t.Context())
			require.ErrorContains(t, err, "table "+table)
			require.ErrorContains(t, err, mallory)
		})
	}
}

func TestSearchPathToOtherTables(t *testing.T) {
	t.Parallel()
	e := engineNamed("PostgreSQL")
	e.requireServer(t)
	theirs, ours := e.create(t), e.create(t)
	e.openStore(t, theirs, sqlstore.Options{})
	theirSchema, ourSchema := must(url.Parse(theirs)).Query().Get("search_path"), must(url.Parse(ours)).Query().Get("search_path")
	both := withParameter(t, e, ours, "search_path", ourSchema+","+theirSchema)
	err := e.newStore(t, e.openDB(t, both), sqlstore.Options{}).Migrate(t.Context())
	for _, part := range []string{"table apikey_", "schema " + theirSchema, ourSchema, "search_path", "TablePrefix"} {
		require.ErrorContains(t, err, part)
	}
	require.Zero(t, queryInt(t, e.openDB(t, ours), "SELECT COUNT(*) FROM pg_tables WHERE schemaname = '"+ourSchema+"'"), "created tables")
	e.openStore(t, both, sqlstore.Options{TablePrefix: "ours_"})
	e.openStore(t, withParameter(t, e, ours, "search_path", theirSchema+","+ourSchema), sqlstore.Options{})
	e.openStore(t, ours, sqlstore.Options{})
	require.NoError(t, e.newStore(t, e.openDB(t, both), sqlstore.Options{}).Migrate(t.Context()), "with own tables first in the search_path")
}

// MySQL's named locks are global to a server. The lock of a migration must still not block the
// migration of another database or prefix.
func TestMigrationLockScope(t *testing.T) {
	t.Parallel()
	e := engineNamed("MySQL")
	e.requireServer(t)
	dsn := e.create(t)
	db := e.openDB(t, dsn)
	database := dsn[strings.LastIndex(dsn, "/")+1:]
	conn, err := db.Conn(t.Context())
	require.NoError(t, err)
	defer conn.Close()
	for _, lock := range []string{"apikey_migrate", "other.apikey_", database + ".other_"} {
		_, err := conn.ExecContext(t.Context(), "DO GET_LOCK('"+lock+"', 1)")
		require.NoError(t, err)
	}
	ctx, cancel := withTimeout(t, 30*time.Second)
	defer cancel()
	require.NoError(t, e.newStore(t, db, sqlstore.Options{}).Migrate(ctx))

	var id int64
	require.NoError(t, conn.QueryRowContext(t.Context(), "SELECT CONNECTION_ID() FROM (SELECT GET_LOCK('"+database+".held_', 1)) l").Scan(&id))
	short, cancel := withTimeout(t, 1500*time.Millisecond)
	defer cancel()
	err = e.newStore(t, db, sqlstore.Options{TablePrefix: "held_"}).Migrate(short)
	require.ErrorContains(t, err, "another process is migrating")
	assert.ErrorContains(t, err, "connection "+strconv.FormatInt(id, 10))
}
