package apikey_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestImport(t *testing.T) {
	t.Parallel()
	const embyKey = "0123456789abcdef0123456789abcdef"
	formats := map[string]apikey.FormatOptions{
		"without a pepper": {AllowImported: true},
		"with peppers":     {AllowImported: true, Peppers: []apikey.Secret{pepper("2"), pepper("1")}},
		"with a pepper and without": {AllowImported: true, AllowUnpeppered: true,
			Peppers: []apikey.Secret{pepper("1")}},
	}
	for name, o := range formats {
		t.Run(name, func(t *testing.T) {
			s := newService(t, apikey.Options{Format: newFormat(t, "ak", o)})
			key, err := s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(embyKey), Name: "Old hub"})
			require.NoError(t, err)
			assert.Equal(t, "…cdef", key.Hint)
			short, err := s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(embyKey[:31]), Name: "Older hub"})
			require.NoError(t, err)
			assert.Empty(t, short.Hint, "a short key has no hint")
			assert.NotZero(t, key.CreatedAt)
			w := get(s.handler, "/", "X-Emby-Token: "+embyKey)
			assert.Equal(t, key.ID, w.Body.String(), "by value")
			assert.EqualValues(t, 1, s.store.lookups.Load(), "one lookup")

			key, err = s.issuer.Import(t.Context(), apikey.ImportedKey{SHA256: sha256.Sum256([]byte("123456789987654321")), Name: "Example of the documentation"})
			require.NoError(t, err)
			assert.Empty(t, key.Hint)
			w = get(s.handler, "/emby/System/Info?api_key=123456789987654321")
			assert.Equal(t, key.ID, w.Body.String(), "by digest")

			_, err = s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(embyKey), Name: "Again"})
			assert.ErrorIs(t, err, apikey.ErrExists)
			_, err = s.issuer.Import(t.Context(), apikey.ImportedKey{SHA256: sha256.Sum256([]byte(embyKey)), Name: "Again"})
			assert.ErrorIs(t, err, apikey.ErrExists, "a secret and its SHA-256 are the same key")
			_, err = s.issuer.Import(t.Context(), apikey.ImportedKey{SHA256: [32]byte{}, Name: "Nothing"})
			assert.ErrorIs(t, err, apikey.ErrInvalid)

			_, err = s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(s.unknown), Name: "Moved"})
			require.NoError(t, err, "a native key of another store")
			assert.Equal(t, 200, get(s.handler, "/", "X-API-Key: "+s.unknown).Code)
		})
	}
	t.Run("malformed keys are refused", func(t *testing.T) {
		allow := newService(t, apikey.Options{Format: newFormat(t, "ak", apikey.FormatOptions{AllowImported: true})})
		strict := newService(t, apikey.Options{})
		for name, test := range map[string]struct {
			s   *service
			key string
		}{
			"imported keys if the Format does not accept them": {strict, embyKey},
			"a short key":                  {allow, "0123456789abcde"},
			"a key with a space":           {allow, "0123456789 abcdef"},
			"a forged key with the prefix": {allow, strict.valid[:33] + "000000"},
			"a key of 1,025 characters":    {allow, strings.Repeat("x", 1025)},
		} {
			_, err := test.s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(test.key), Name: "x"})
			assert.ErrorIs(t, err, apikey.ErrMalformed, name)
			assert.NotContains(t, err.Error(), test.key, name)
		}
		_, err := strict.issuer.Import(t.Context(), apikey.ImportedKey{SHA256: [32]byte{1}, Name: "x"})
		assert.ErrorIs(t, err, apikey.ErrInvalid)
	})
}

func TestImportKeepsHistory(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Format: newFormat(t, "ak", apikey.FormatOptions{AllowImported: true})})
	at := time.Date(2020, 1, 2, 3, 4, 5, 0, time.UTC)
	want := apikey.Key{
		Name: "Old hub", Owner: "ann", Scopes: []string{"read"}, Metadata: map[string]string{"room": "4"}, Hint: "hub…1",
		CreatedAt: at, ExpiresAt: at.AddDate(1, 0, 0), RevokedAt: at.AddDate(0, 1, 0), LastUsedAt: at.AddDate(0, 0, 1),
	}
	secret := apikey.NewSecret("0123456789abcdef")
	key, err := s.issuer.Import(t.Context(), apikey.ImportedKey{
		Secret: secret, Name: want.Name, Owner: want.Owner, Scopes: want.Scopes, Metadata: want.Metadata, Hint: want.Hint,
		CreatedAt: want.CreatedAt, ExpiresAt: want.ExpiresAt, RevokedAt: want.RevokedAt, LastUsedAt: want.LastUsedAt,
	})
	require.NoError(t, err)
	want.ID = key.ID
	assert.Equal(t, want, key)
	stored, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Equal(t, want, stored)
	_, err = s.auth.Verify(t.Context(), secret)
	assert.ErrorIs(t, err, apikey.ErrRevoked)

	expired := apikey.NewSecret("0123456789abcdefg")
	_, err = s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: expired, Name: "Older hub", ExpiresAt: at})
	require.NoError(t, err)
	_, err = s.auth.Verify(t.Context(), expired)
	assert.ErrorIs(t, err, apikey.ErrExpired)
}

func TestImportNamesBrokenRule(t *testing.T) {
	t.Parallel()
	allow := newService(t, apikey.Options{Format: newFormat(t, "ak", apikey.FormatOptions{AllowImported: true})})
	strict := newService(t, apikey.Options{})
	for _, test := range []struct {
		s              *service
		key, wantError string
	}{
		{allow, strings.Repeat("x", 15), "too short: 15 characters; want 16 to 1024"},
		{allow, strings.Repeat("x", 1025), "too long: 1025 bytes; want 16 to 1024"},
		{allow, "0123456789 abcdef", "byte 10 is not a visible ASCII character"},
		{allow, "0123456789é-abcdef", "byte 10 is not a visible ASCII character"},
		{allow, allow.valid[:33] + "000000", "its check characters are wrong"},
		{allow, allow.valid[:38] + "-", "a character after the prefix ak_ that is not"},
		{allow, allow.valid + "x", "37 characters; want 36 after the prefix ak_"},
		{strict, "0123456789abcdef", "the Format does not accept imported keys"},
	} {
		_, err := test.s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(test.key), Name: "x"})
		require.ErrorIs(t, err, apikey.ErrMalformed, test.wantError)
		assert.ErrorContains(t, err, test.wantError)
		assert.NotContains(t, err.Error(), test.key)
	}
}

func TestImportRefusesInvalidFields(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Format: newFormat(t, "ak", apikey.FormatOptions{AllowImported: true})})
	secret, future := apikey.NewSecret("0123456789abcdef"), time.Now().Add(time.Hour)
	for wantError, key := range map[string]apikey.ImportedKey{
		"both empty":                {Name: "x"},
		"both set":                  {Name: "x", Secret: secret, SHA256: [32]byte{1}},
		"the hash of an empty text": {Name: "x", SHA256: sha256.Sum256(nil)},
		"Name":                      {Secret: secret},
		"CreatedAt":                 {Name: "x", Secret: secret, CreatedAt: future},
		"RevokedAt":                 {Name: "x", Secret: secret, RevokedAt: future},
		"LastUsedAt":                {Name: "x", Secret: secret, LastUsedAt: future},
		"Hint":                      {Name: "x", Secret: secret, Hint: "\n"},
	} {
		_, err := s.issuer.Import(t.Context(), key)
		require.ErrorIs(t, err, apikey.ErrInvalid, wantError)
		assert.ErrorContains(t, err, wantError)
	}
	page, err := s.store.List(t.Context(), apikey.ListOptions{})
	require.NoError(t, err)
	assert.Len(t, page.Keys, 4, "the keys of the service; nothing was written")
}

// A service may have issued JSON Web Tokens as keys.
func TestImportedKeyOf1024Characters(t *testing.T) {
	t.Parallel()
	jwt := "eyJhbGciOiJIUzI1NiJ9." + strings.Repeat("payload_-", 100) + "." + strings.Repeat("s", 102)
	require.Len(t, jwt, 1024)
	for name, o := range map[string]apikey.FormatOptions{
		"without a pepper": {AllowImported: true},
		"with a pepper":    {AllowImported: true, Peppers: []apikey.Secret{pepper("1")}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, apikey.Options{
				Format:  newFormat(t, "ak", o),
				Sources: []apikey.Source{apikey.Bearer(), apikey.Header("X-API-Key"), apikey.Query("api_key")},
			})
			_, err := s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(jwt), Name: "Partner"})
			require.NoError(t, err)
			assert.Equal(t, 200, get(s.handler, "/", "X-API-Key: "+jwt).Code)
			assert.Equal(t, 200, get(s.handler, "/", "Authorization: Bearer "+jwt).Code)
			assert.Equal(t, 200, get(s.handler, "/?api_key="+jwt).Code)
			assert.Equal(t, 401, get(s.handler, "/", "X-API-Key: "+jwt+"x").Code)
		})
	}
}
