package apikey_test

import (
	"bytes"
	"encoding/gob"
	"encoding/json"
	"encoding/xml"
	"fmt"
	"log/slog"
	"strings"
	"testing"
	"text/template"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestSecretIsNotPrinted(t *testing.T) {
	t.Parallel()
	const canary = "canary0123456789canary0123456789canary"
	type holder struct{ secret apikey.Secret }
	type exported struct{ Secret apikey.Secret }
	secret := apikey.NewSecret(canary)
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{Peppers: []apikey.Secret{secret}})
	require.NoError(t, err)
	_, err = format.Digest(apikey.NewSecret("ak_" + strings.Repeat("0", 36))) // so that the pool contains an HMAC
	require.Error(t, err)
	issuer, err := apikey.NewIssuer(newService(t, apikey.Options{}).store, apikey.IssuerOptions{Format: format})
	require.NoError(t, err)

	for _, value := range []any{
		secret, &secret, []apikey.Secret{secret}, map[string]apikey.Secret{"k": secret}, any(secret),
		holder{secret}, &holder{secret}, exported{secret}, struct{ v any }{secret}, format, *format, struct{ f *apikey.Format }{format},
		apikey.FormatOptions{Peppers: []apikey.Secret{secret}}, issuer, fmt.Errorf("broken: %v", secret),
	} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d", "%T", "%p", "%t", "%w", "%z"} {
			assertHidden(t, canary, fmt.Sprintf(verb, value), verb)
		}
		b, _ := json.Marshal(value)
		assertHidden(t, canary, string(b), "json")
		b, _ = xml.Marshal(value)
		assertHidden(t, canary, string(b), "xml")
		var buf bytes.Buffer
		gob.NewEncoder(&buf).Encode(value)
		slog.New(slog.NewTextHandler(&buf, nil)).Info("m", "v", value)
		slog.New(slog.NewJSONHandler(&buf, nil)).Info("m", "v", value)
		template.Must(template.New("").Parse("{{.}}")).Execute(&buf, value)
		assertHidden(t, canary, buf.String(), "gob, slog and template")
	}
	assertHidden(t, canary, dumpOf(holder{secret}, holder{}), "dumped by reflection")
	assertHidden(t, canary, dumpOf(format, &apikey.Format{}), "dumped by reflection")
	assert.Equal(t, canary, secret.Reveal())
}

// assertHidden checks that a text does not contain the canary, also not in hexadecimal or decimal.
func assertHidden(t *testing.T, canary, shown, how string) {
	t.Helper()
	for _, form := range []string{canary, fmt.Sprintf("%x", canary[:8]), fmt.Sprintf("% x", canary[:8]), strings.ToUpper(fmt.Sprintf("%x", canary[:8])), fmt.Sprint([]byte(canary[:8]))[1:10]} {
		assert.NotContains(t, shown, form, how)
	}
}

func TestZeroSecretIsEmpty(t *testing.T) {
	t.Parallel()
	assert.Empty(t, apikey.Secret{}.Reveal())
	assert.Equal(t, "REDACTED", fmt.Sprint(apikey.Secret{}))
}
