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

// migrateOnce makes the tables, as a service does when it starts.
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

// Pools of one process share more than processes do, above all with a database that is a file.
func TestManyProcessesMigrateAtOnce(t *testing.T) {
	t.Parallel()
	onEach(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		var children [4]*exec.Cmd
		var complaints [len(children)]strings.Builder
		for i := range children {
			children[i] = e.child(t, dsn, "migrate")
			children[i].Stderr = &complaints[i]
			require.NoError(t, children[i].Start())
		}
		for i, child := range children {
			assert.NoError(t, child.Wait(), &complaints[i])
		}
		db := e.openDB(t, dsn)
		assert.EqualValues(t, 1, number(t, db, "SELECT COUNT(*) FROM apikey_meta"))
		assert.EqualValues(t, 1, number(t, db, "SELECT COUNT(*) FROM apikey_schema WHERE step = 1"))
		addKeys(t, e.openStore(t, dsn, sqlstore.Options{}), 0, 1)
	})
}
