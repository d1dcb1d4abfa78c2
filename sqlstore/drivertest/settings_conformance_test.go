//go:build long

package drivertest

import (
	"strings"
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
	"github.com/latchkey-dev/apikey/storetest"
)

// What people set in a DSN changes how drivers and databases answer, but not the store.
func TestConformanceWithOtherSettings(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ engine, name, parameters string }{
		// Rows count as affected when they were found; parameters are put into the text by
		// the driver; times are parsed.
		{"MySQL", "clientFoundRows interpolateParams parseTime", "clientFoundRows=true&interpolateParams=true&parseTime=true&loc=Local"},
		// As behind PgBouncer.
		{"PostgreSQL", "exec", "default_query_exec_mode=exec"},
		{"PostgreSQL", "simple_protocol", "default_query_exec_mode=simple_protocol"},
	} {
		e := engineNamed(test.engine)
		t.Run(test.engine+" "+test.name, func(t *testing.T) {
			e.mustBeThere(t)
			storetest.Run(t, func(t *testing.T) apikey.KeyManager {
				dsn := e.create(t)
				for parameter := range strings.SplitSeq(test.parameters, "&") {
					name, value, _ := strings.Cut(parameter, "=")
					dsn = withParameter(t, e, dsn, name, value)
				}
				return e.openStore(t, dsn, sqlstore.Options{})
			})
		})
	}
}
