package drivertest

import (
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
	"github.com/latchkey-dev/apikey/storetest"
)

func TestConformance(t *testing.T) {
	onEach(t, func(t *testing.T, e engine) {
		storetest.Run(t, func(t *testing.T) apikey.KeyManager {
			return e.openStore(t, e.create(t), sqlstore.Options{})
		})
	})
}
