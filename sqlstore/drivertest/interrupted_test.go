package drivertest

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"fmt"
	"math"
	"os"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// createVersion1 creates the tables of version 1 of the schema.
func (e engine) createVersion1(t testing.TB, db *sql.DB) {
	t.Helper()
	file := map[string]string{"SQLite": "sqlite", "PostgreSQL": "postgres", "MySQL": "mysql"}[e.name]
	execute(t, db, "CREATE TABLE apikey_schema (version INTEGER NOT NULL, step INTEGER NOT NULL, PRIMARY KEY (version, step))")
	steps := strings.Split(strings.TrimSpace(string(must(os.ReadFile("../schema/"+file+"_1.sql")))), ";\n\n")
	for _, step := range steps {
		for statement := range strings.SplitSeq(step, ";\n") {
			execute(t, db, statement)
			execute(t, db, "INSERT INTO apikey_schema SELECT 1, COUNT(*) + 1 FROM apikey_schema")
		}
	}
	execute(t, db, "INSERT INTO apikey_meta (one, epoch, rev, tag) VALUES (1, 4711, 0, 0)")
}

// An upgrade loses its connection before or after any of its writing statements. The next Migrate
// continues there, and the keys stay unchanged.
func TestInterruptedUpgradeResumes(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		moments, err := e.interruptUpgrade(t, math.MaxInt)
		require.NoError(t, err)
		require.Greater(t, moments, 20)
		for at := 1; at <= moments; at++ {
			t.Run(fmt.Sprintf("at moment %d", at), func(t *testing.T) {
				t.Parallel()
				_, err := e.interruptUpgrade(t, at)
				require.Error(t, err)
			})
		}
	})
}

// interruptUpgrade upgrades tables of version 1 through a connection that is lost at a moment, and
// requires that a second Migrate succeeds. The moments before and after each writing statement are
// counted from 1. It returns the number of moments and the error of the first Migrate.
func (e engine) interruptUpgrade(t *testing.T, at int) (moments int, err error) {
	dsn := e.create(t)
	plain := e.openDB(t, dsn)
	e.createVersion1(t, plain)
	e.fill(t, plain, 3, "0")
	db := e.openHooked(t, dsn, func(_ context.Context, query string, _ []driver.NamedValue, do func() error) error {
		if moments >= at {
			return driver.ErrBadConn
		}
		if !strings.HasPrefix(query, "ALTER ") && !strings.HasPrefix(query, "CREATE INDEX ") && !strings.HasPrefix(query, "INSERT ") {
			return do()
		}
		if moments++; moments == at { // before the statement
			return driver.ErrBadConn
		}
		err := do()
		if moments++; moments == at { // after the statement
			return driver.ErrBadConn
		}
		return err
	})
	err = e.newStore(t, db, sqlstore.Options{}).Migrate(t.Context())
	store := e.openStore(t, dsn, sqlstore.Options{})
	for i := 1; i <= 3; i++ {
		key, err := store.Get(t.Context(), fmt.Sprintf("filled-%06d", i))
		require.NoError(t, err)
		assert.Equal(t, "Same", key.Name)
	}
	addKeys(t, store, 0, 1)
	requireConsistentRevisions(t, plain)
	return moments, err
}
