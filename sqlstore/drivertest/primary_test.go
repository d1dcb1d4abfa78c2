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

// A standby lags behind the primary without an error.
func TestStandbyIsRejected(t *testing.T) {
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
	requireAgreement(t, e, s.dsn, "recovery")
}

func TestReadOnlyServerIsRejected(t *testing.T) {
	if testing.Short() {
		t.Skip("skipped: it starts servers")
	}
	t.Parallel()
	e := engineNamed("MySQL")
	s := newServer(t, e)
	s.start()
	db := e.openDB(t, s.dsn)
	execute(t, db, "CREATE DATABASE apikey_test")
	s.dsn = strings.TrimSuffix(s.dsn, "mysql") + "apikey_test"
	store := e.openStore(t, s.dsn, sqlstore.Options{})
	require.NoError(t, errorOf(store.Changes(t.Context(), apikey.Version{})))
	execute(t, db, "SET GLOBAL read_only = 1")
	requireAgreement(t, e, s.dsn, "read-only") // root may write nevertheless
	execute(t, db, "CREATE USER plain@'127.0.0.1'")
	execute(t, db, "GRANT ALL ON apikey_test.* TO plain@'127.0.0.1'")
	requireAgreement(t, e, strings.Replace(s.dsn, "root@", "plain@", 1), "read-only")
}
