package apikey_test

import (
	"context"
	"crypto/sha256"
	"errors"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestAdoptIsCalledOnlyForUnknownKeysOfOtherSystems(t *testing.T) {
	t.Parallel()
	const imported = "0123456789abcdef0123456789abcdef"
	var adopted []string
	answer := func() (*apikey.Key, error) { return nil, apikey.ErrNotFound }
	o := apikey.Options{
		Format: newFormat(t, "ak", apikey.FormatOptions{AllowImported: true}),
		Adopt: func(_ context.Context, s apikey.Secret) (*apikey.Key, error) {
			adopted = append(adopted, s.Reveal())
			return answer()
		},
	}
	s := newService(t, o)
	for name, key := range map[string]string{"a known key": s.valid, "a revoked key": s.revoked, "an unknown native key": s.unknown, "a malformed key": "ak_x", "a short key": "short"} {
		get(s.handler, "/", "X-API-Key: "+key)
		assert.Empty(t, adopted, name)
	}
	_, err := s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret("an-imported-key-of-another"), Name: "Imported"})
	require.NoError(t, err)
	assert.Equal(t, 200, get(s.handler, "/", "X-API-Key: an-imported-key-of-another").Code)
	assert.Empty(t, adopted, "a known imported key")

	assert.Equal(t, 401, get(s.handler, "/", "X-API-Key: "+imported).Code)
	assert.Equal(t, []string{imported}, adopted)

	for name, test := range map[string]struct {
		key  *apikey.Key
		err  error
		want int
	}{
		"a key":                      {&s.key, nil, 200},
		"a key that may not be used": {&apikey.Key{ID: "x", RevokedAt: s.key.CreatedAt}, nil, 401},
		"an outage":                  {nil, errors.New("no connection"), 503},
		"neither key nor error":      {nil, nil, 503},
	} {
		answer = func() (*apikey.Key, error) { return test.key, test.err }
		assert.Equal(t, test.want, get(s.handler, "/", "X-API-Key: "+imported).Code, name)
	}
}

func TestDigestSHA256IsTheDigestOfTheKey(t *testing.T) {
	t.Parallel()
	const key = "0123456789abcdef0123456789abcdef"
	for name, o := range map[string]apikey.FormatOptions{
		"without a pepper": {AllowImported: true},
		"with a pepper":    {AllowImported: true, Peppers: []apikey.Secret{pepper("1")}},
	} {
		f := newFormat(t, "ak", o)
		want, err := f.Digest(apikey.NewSecret(key))
		require.NoError(t, err, name)
		got, err := f.DigestSHA256(sha256Of(key))
		require.NoError(t, err, name)
		assert.True(t, want == got, name)
	}
	_, err := newFormat(t, "ak", apikey.FormatOptions{}).DigestSHA256(sha256Of(key))
	assert.ErrorIs(t, err, apikey.ErrInvalid)
}

func sha256Of(text string) [sha256.Size]byte { return sha256.Sum256([]byte(text)) }
