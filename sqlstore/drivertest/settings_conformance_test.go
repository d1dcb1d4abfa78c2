//go:build long

package drivertest

import (
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/storetest"
)

// Settings in a DSN change the behaviour of drivers and databases, but not that of the store.
func TestConformanceWithOtherSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ engine, name, parameters string }{
		// UPDATE reports found rows as affected, the driver interpolates arguments and parses times.
		{"MySQL", "clientFoundRows interpolateParams parseTime", "clientFoundRows=true&interpolateParams=true&parseTime=true&loc=Local"},
		// As behind PgBouncer.
		{"PostgreSQL", "exec", "default_query_exec_mode=exec"},
		{"PostgreSQL", "simple_protocol", "default_query_exec_mode=simple_protocol"},
	} {
		e := engineNamed(test.engine)
		t.Run(test.engine+" "+test.name, func(t *testing.T) {
			t.Parallel()
			e.requireServer(t)
			tables := tablePool{t: t, e: e, parameters: test.parameters}
			storetest.Run(t, func(t *testing.T) apikey.KeyManager {
				skipLargeRule(t)
				return tables.newStore(t)
			})
		})
	}
}
