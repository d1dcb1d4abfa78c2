package manage_test

import (
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/managetest"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestEveryOperationWithEveryAccess(t *testing.T) {
	t.Parallel()
	managetest.Run(t, func(*testing.T) apikey.KeyManager { return memstore.New() })
}
