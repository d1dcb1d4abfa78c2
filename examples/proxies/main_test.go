package proxies

import (
	"testing"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

func TestMain(m *testing.M) { program.Main(m) }
