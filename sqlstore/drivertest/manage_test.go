package drivertest

import (
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/managetest"
)

func TestEveryManagementOperationWithEveryAccess(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		tables := tablePool{t: t, e: e}
		managetest.Run(t, func(t *testing.T) apikey.KeyManager { return tables.newStore(t) })
	})
}
