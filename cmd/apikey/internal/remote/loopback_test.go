package remote

import (
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestHTTPConnectsOnlyToThisMachine(t *testing.T) {
	t.Parallel()
	for address, want := range map[string]bool{"http://x.localhost/": true, "https://x.localhost/": false} {
		s, err := New(address, apikey.NewSecret("x"), false)
		require.NoError(t, err)
		transport := s.client.Transport.(*http.Transport)
		assert.Equal(t, want, transport.Proxy == nil, "%s without a proxy", address)
		// A resolver may say that the name is this address, which is not routed (RFC 5737).
		ctx := t.Context()
		if !want {
			continue
		}
		_, err = transport.DialContext(ctx, "tcp", "192.0.2.1:80")
		assert.ErrorContains(t, err, "another machine")
		_, err = transport.DialContext(ctx, "tcp", "[::ffff:192.0.2.1]:80")
		assert.ErrorContains(t, err, "another machine")
		_, err = transport.DialContext(ctx, "tcp", "127.0.0.1:1")
		assert.NotContains(t, err.Error(), "another machine")
	}
}
