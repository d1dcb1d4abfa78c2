package drivertest

import (
	"net/url"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// withParameter returns a DSN with one more parameter, or as it is for the parameter "".
func withParameter(t testing.TB, e engine, dsn, parameter, value string) string {
	switch {
	case parameter == "":
		return dsn
	case e.name == "MySQL":
		separator := "?"
		if strings.Contains(dsn[strings.LastIndex(dsn, "/"):], "?") {
			separator = "&"
		}
		return dsn + separator + parameter + "=" + url.QueryEscape(value)
	default:
		u, err := url.Parse(dsn)
		require.NoError(t, err)
		q := u.Query()
		q.Set(parameter, value)
		u.RawQuery = strings.ReplaceAll(q.Encode(), "+", "%20") // pgx does not take a + for a blank
		return u.String()
	}
}

// Two nodes write and read at once, whatever transactions are by default.
func TestWritesUnderAnyIsolation(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ engine, parameter, value string }{
		{"PostgreSQL", "default_transaction_isolation", "serializable"},
		{"PostgreSQL", "default_transaction_isolation", "repeatable read"},
		{"PostgreSQL", "default_transaction_read_only", "on"},
		{"MySQL", "transaction_isolation", "'SERIALIZABLE'"},
		{"MySQL", "transaction_isolation", "'READ-COMMITTED'"},
	} {
		e := engineNamed(test.engine)
		t.Run(test.engine+" "+test.value, func(t *testing.T) {
			e.mustBeThere(t)
			if e.name == "MySQL" {
				test.parameter = isolationVariable(t)
			}
			dsn := withParameter(t, e, e.create(t), test.parameter, test.value)
			o := sqlstore.Options{ReadTimeout: time.Minute, WriteTimeout: time.Minute} // it is about what happens, not when
			nodes := []*sqlstore.Store{e.openStore(t, dsn, o), e.openStore(t, dsn, o)}
			const keys = 20
			addKeys(t, nodes[0], 0, keys)
			var all sync.WaitGroup
			for w := range 4 {
				node := nodes[w%2]
				all.Go(func() {
					for n := range keys {
						if w == 0 {
							assert.NoError(t, node.Create(t.Context(), digestOf(keys+n), keyOf(keys+n)))
						}
						assert.NoError(t, errorOf(node.Revoke(t.Context(), keyOf(n).ID)))
						assert.NoError(t, errorOf(node.Lookup(t.Context(), digestOf(n))))
						node.Touch(digestOf(n), time.Now())
						assert.NoError(t, node.Flush(t.Context()))
					}
				})
			}
			all.Wait()
			requireSoundRevisions(t, e.openDB(t, dsn))
		})
	}
}

// isolationVariable is the name of that setting, which MariaDB had another one for.
func isolationVariable(t testing.TB) string {
	var name, value string
	require.NoError(t, engineNamed("MySQL").openDB(t, os.Getenv("APIKEY_TEST_MYSQL")).
		QueryRow("SHOW VARIABLES WHERE Variable_name IN ('tx_isolation', 'transaction_isolation')").Scan(&name, &value))
	return name
}

// Where writes could be lost or reads be old, caches must not be told that all is well.
func TestUnfitSettingsAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		engine, parameter, value string
		migrates                 bool
	}{
		{"PostgreSQL", "default_transaction_read_only", "on", true}, // its own transactions say otherwise
		{"MySQL", "autocommit", "0", false},
		{"MySQL", "charset", "latin1", false},
		{"MySQL", "isolation", "'READ-UNCOMMITTED'", false},
	} {
		e := engineNamed(test.engine)
		t.Run(test.engine+" "+test.parameter, func(t *testing.T) {
			e.mustBeThere(t)
			if test.parameter == "isolation" {
				test.parameter = isolationVariable(t)
			}
			dsn := e.openTables(t)
			store := e.newStore(t, e.openDB(t, withParameter(t, e, dsn, test.parameter, test.value)), sqlstore.Options{})
			_, err := store.Changes(t.Context(), apikey.Cursor{})
			require.ErrorContains(t, err, "want the primary")
			if err := store.Migrate(t.Context()); test.migrates {
				require.NoError(t, err)
			} else {
				require.ErrorContains(t, err, "want the primary")
			}
		})
	}
}
