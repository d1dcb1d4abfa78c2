package serve

import (
	"crypto/pbkdf2"
	"crypto/sha256"
	"encoding/hex"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/rehash"
)

func TestPendingKeysAreProvedAtTheirFirstUse(t *testing.T) {
	t.Parallel()
	url := newSQLite(t)
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(newIssuer(t, url).Manager(), apikey.IssuerOptions{Format: format})
	require.NoError(t, err)
	const token, salt = "0123456789abcdef0123456789abcdef01234567", "abcdefghij"
	sum, err := pbkdf2.Key(sha256.New, token, []byte(salt), 10_000, 50)
	require.NoError(t, err)
	row, err := rehash.GiteaRow(token[32:], salt, hex.EncodeToString(sum))
	require.NoError(t, err)
	pending, err := row.Import(t.Context(), issuer, apikey.ImportedKey{Name: "CI", Scopes: []string{"library:read"}}, time.Now().Add(time.Hour))
	require.NoError(t, err)

	p := startServer(t, nil, "--database", url, "--allow-imported", "--adopt", "gitea", "--rules", write(t, t.TempDir(), "rules.yaml", libraryRules)).ready(t)
	assert.Equal(t, 401, p.asks(t, "GET", "/library", "Authorization: token "+strings.Repeat("0", 32)+token[32:]).status, "another token with the same last characters")
	for _, field := range []string{"Authorization: token " + token, "Authorization: Bearer " + token, "X-API-Key: " + token} {
		allowed := p.asks(t, "GET", "/library", field)
		assert.Equal(t, 200, allowed.status, field)
		assert.Equal(t, "CI", allowed.header.Get("X-Apikey-Name"))
		assert.NotEqual(t, pending.ID, allowed.header.Get("X-Apikey-Id"))
	}
	proved, err := issuer.Identify(t.Context(), apikey.NewSecret(token))
	require.NoError(t, err)
	assert.Equal(t, []string{"library:read"}, proved.Scopes)
	assert.NotContains(t, p.stop(t), token)
}

func TestTheErrorAboutAdoptNamesTheMissingFlag(t *testing.T) {
	t.Parallel()
	_, err := new(keys).adopter(&config{adopt: []string{"gitea"}}, newIssuer(t, newSQLite(t)))
	assert.EqualError(t, err, "--adopt: keys of other systems need --allow-imported")
}
