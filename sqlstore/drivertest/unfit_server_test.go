//go:build long && linux

package drivertest

import (
	"os"
	"path/filepath"
	"slices"
	"strings"
	"syscall"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A standby lags behind, though nothing tells so in what it answers.
func TestAStandbyIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it starts servers")
	}
	t.Parallel()
	e := engineNamed("PostgreSQL")
	s := newServer(t, e)
	s.start()
	addKeys(t, e.openStore(t, s.dsn, sqlstore.Options{}), 0, 1)
	s.signal(syscall.SIGINT)
	data := s.command[slices.Index(s.command, "-D")+1]
	require.NoError(t, os.WriteFile(filepath.Join(data, "standby.signal"), nil, 0o644))
	s.start()
	store := e.newStore(t, e.openDB(t, s.dsn), sqlstore.Options{})
	require.NoError(t, errorOf(store.Lookup(t.Context(), digestOf(0))))
	require.ErrorContains(t, errorOf(store.Changes(t.Context(), apikey.Cursor{})), "want the primary")
	require.ErrorContains(t, store.Migrate(t.Context()), "recovery")
}

func TestAReadOnlyServerIsRefused(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it starts servers")
	}
	t.Parallel()
	e := engineNamed("MySQL")
	s := newServer(t, e)
	s.start()
	db := e.openDB(t, s.dsn)
	run(t, db, "CREATE DATABASE apikey_test")
	s.dsn = strings.TrimSuffix(s.dsn, "mysql") + "apikey_test"
	store := e.openStore(t, s.dsn, sqlstore.Options{})
	require.NoError(t, errorOf(store.Changes(t.Context(), apikey.Cursor{})))
	run(t, db, "SET GLOBAL read_only = 1")
	require.ErrorContains(t, errorOf(store.Changes(t.Context(), apikey.Cursor{})), "want the primary")
	require.ErrorContains(t, store.Migrate(t.Context()), "want the primary")
}
