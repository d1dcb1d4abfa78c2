package drivertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

func TestConcurrentRotationsCreateOneSuccessor(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		const rotations = 10
		dsn := e.openTables(t)
		stores := [2]*sqlstore.Store{e.openStore(t, dsn, sqlstore.Options{}), e.openStore(t, dsn, sqlstore.Options{})}
		for n := range rotations {
			require.NoError(t, stores[0].Create(t.Context(), digestOf(n), keyOf(n)))
			var errs [2]error
			var both sync.WaitGroup
			for i, store := range stores {
				both.Go(func() {
					successor := apikey.Key{ID: fmt.Sprintf("successor-%d-%d", n, i), CreatedAt: time.Now()}
					_, errs[i] = store.Replace(t.Context(), keyOf(n).ID, time.Now().Add(time.Hour), digestOf(1000+2*n+i), successor)
				})
			}
			both.Wait()
			winner := 0
			if errs[0] != nil {
				winner = 1
			}
			require.NoError(t, errs[winner])
			var replaced *apikey.ReplacedError
			require.ErrorAs(t, errs[1-winner], &replaced)
			assert.Equal(t, fmt.Sprintf("successor-%d-%d", n, winner), replaced.Successor)
		}
		assert.Len(t, allKeys(t, stores[0]), 2*rotations)
	})
}
