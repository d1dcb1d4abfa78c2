package drivertest

import (
	"context"
	"os/exec"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/sqlstore"
)

// migrateOnce creates the tables, as a service does when it starts.
func migrateOnce(e engine, dsn string) error {
	db, err := e.open(dsn)
	if err != nil {
		return err
	}
	store, err := sqlstore.New(db, e.dialect, sqlstore.Options{})
	if err != nil {
		return err
	}
	return store.Migrate(context.Background())
}

// Pools of one process share more state than processes, especially with SQLite.
func TestConcurrentMigrateByProcesses(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		var children [4]*exec.Cmd
		var stderr [len(children)]strings.Builder
		for i := range children {
			children[i] = e.child(t, dsn, "migrate")
			children[i].Stderr = &stderr[i]
			require.NoError(t, children[i].Start())
		}
		for i, child := range children {
			assert.NoError(t, child.Wait(), &stderr[i])
		}
		db := e.openDB(t, dsn)
		assert.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_meta"))
		assert.EqualValues(t, 1, queryInt(t, db, "SELECT COUNT(*) FROM apikey_schema WHERE version = 2 AND step = 1"))
		addKeys(t, e.openStore(t, dsn, sqlstore.Options{}), 0, 1)
	})
}
