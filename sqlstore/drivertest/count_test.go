package drivertest

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestCountStopsAtItsBound(t *testing.T) {
	t.Parallel()
	if raceDetector {
		t.Skip("skipped: it has no concurrency, and the race detector makes it slow")
	}
	forEachEngine(t, func(t *testing.T, e engine) {
		db := e.openDB(t, e.openTables(t))
		e.fill(t, db, apikey.MaxCount+50, "0")
		execute(t, db, "UPDATE apikey_keys SET owner = 'grace' WHERE seq > 50")
		store := e.newStore(t, db, sqlstore.Options{})
		for name, test := range map[string]struct {
			o    apikey.ListOptions
			want apikey.Count
		}{
			"all keys":                  {apikey.ListOptions{}, apikey.Count{Keys: apikey.MaxCount, More: true}},
			"active keys":               {apikey.ListOptions{Status: apikey.StatusActive}, apikey.Count{Keys: apikey.MaxCount, More: true}},
			"exactly as many":           {apikey.ListOptions{Owner: "grace"}, apikey.Count{Keys: apikey.MaxCount}},
			"active keys of an owner":   {apikey.ListOptions{Owner: "grace", Status: apikey.StatusActive}, apikey.Count{Keys: apikey.MaxCount}},
			"revoked keys":              {apikey.ListOptions{Status: apikey.StatusRevoked}, apikey.Count{}},
			"a search in too many keys": {apikey.ListOptions{Search: "needle"}, apikey.Count{More: true}},
		} {
			got, err := store.Count(t.Context(), test.o)
			require.NoError(t, err, name)
			assert.Equal(t, test.want, got, name)
		}
	})
}
