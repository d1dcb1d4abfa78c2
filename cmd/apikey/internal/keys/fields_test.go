package keys

import (
	"testing"

	"github.com/stretchr/testify/assert"
)

func TestANetworkHasNoZone(t *testing.T) {
	t.Parallel()
	f := &fields{networks: []string{"fe80::1%eth0"}}
	_, err := f.parsedNetworks()
	assert.ErrorContains(t, err, "--network")
}
