package admin

import (
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestAKeyStandsInAnExampleForAWordOfItsOwn(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		defaultExample:                        "curl -H 'X-API-Key: ak_x' https://your-service.example/",
		"curl -H 'X-API-KEY: KEY' https://x/": "curl -H 'X-API-KEY: ak_x' https://x/",
		"curl https://x/?api_key=KEY":         "curl https://x/?api_key=ak_x",
		"KEY":                                 "ak_x",
		"KEY KEY":                             "ak_x ak_x",
		"echo $API_KEY KEY KEY_FILE":          "echo $API_KEY ak_x KEY_FILE",
	} {
		assert.Equal(t, want, parseExample(command).with("ak_x"), command)
	}
	for _, none := range []string{"", "curl -H 'X-API-KEY: key'", "KEYS", "éKEY", "1KEY", "KEY-FILE"} {
		assert.Equal(t, none, parseExample(none).with("ak_x"))
		if none != "" {
			_, err := New(newSite(t, Options{}).issuer, Options{PasswordHash: testHash(), Example: none})
			require.ErrorIs(t, err, apikey.ErrInvalid, none)
			assert.ErrorContains(t, err, "Example")
		}
	}
}
