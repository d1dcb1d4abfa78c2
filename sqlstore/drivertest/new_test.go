package drivertest

import (
	"context"
	"database/sql"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestNewRejectsInvalidOptions(t *testing.T) {
	t.Parallel()
	db := onSQLite.openDB(t, onSQLite.create(t))
	for _, test := range []struct {
		name, field string
		db          *sql.DB
		dialect     sqlstore.Dialect
		options     sqlstore.Options
	}{
		{"no database", "db", nil, sqlstore.SQLite, sqlstore.Options{}},
		{"no dialect", "dialect", db, 0, sqlstore.Options{}},
		{"an unknown dialect", "dialect", db, 4, sqlstore.Options{}},
		{"a negative dialect", "dialect", db, -1, sqlstore.Options{}},
		{"a negative ReadTimeout", "ReadTimeout", db, sqlstore.SQLite, sqlstore.Options{ReadTimeout: -1}},
		{"a negative WriteTimeout", "WriteTimeout", db, sqlstore.SQLite, sqlstore.Options{WriteTimeout: -1}},
		{"a negative TouchInterval", "TouchInterval", db, sqlstore.SQLite, sqlstore.Options{TouchInterval: -1}},
		{"a negative MaxTouches", "MaxTouches", db, sqlstore.SQLite, sqlstore.Options{MaxTouches: -1}},
	} {
		t.Run(test.name, func(t *testing.T) {
			store, err := sqlstore.New(test.db, test.dialect, test.options)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.field)
			assert.Nil(t, store)
		})
	}
}

// Each of these calls would fail with a timeout or a limit of 0.
func TestZeroOptionsAreUsable(t *testing.T) {
	t.Parallel()
	store := onSQLite.openStore(t, onSQLite.create(t), sqlstore.Options{})
	addKeys(t, store, 0, 1)
	store.Touch(digestOf(0), apikey.Use{At: time.Now()})
	assert.Zero(t, store.Dropped())
	require.NoError(t, store.Flush(context.Background()))
	assert.False(t, lastUse(t, store, 0).IsZero())
}

func TestDialectString(t *testing.T) {
	t.Parallel()
	for dialect, want := range map[sqlstore.Dialect]string{
		sqlstore.SQLite: "SQLite", sqlstore.Postgres: "PostgreSQL", sqlstore.MySQL: "MySQL", 0: "Dialect(0)", 4: "Dialect(4)",
	} {
		assert.Equal(t, want, dialect.String())
	}
}
