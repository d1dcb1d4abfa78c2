package apikey_test

import (
	"crypto/sha256"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestNewIssuerRefusesNil(t *testing.T) {
	t.Parallel()
	for _, m := range []apikey.KeyManager{nil, (*memstore.Store)(nil)} {
		issuer, err := apikey.NewIssuer(m, nil)
		assert.Nil(t, issuer)
		assert.ErrorIs(t, err, apikey.ErrInvalid)
	}
}

func TestIssue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		issuer, err := apikey.NewIssuer(store, nil)
		require.NoError(t, err)
		asked := apikey.Key{
			Name: "Backup job", Owner: "ops", Scopes: []string{"library:read"}, Metadata: map[string]string{"host": "nas"},
			ExpiresAt: time.Now().Add(time.Hour),
		}
		secret, key, err := issuer.Issue(t.Context(), asked)
		require.NoError(t, err)

		got, err := store.Get(t.Context(), key.ID)
		require.NoError(t, err)
		assert.Equal(t, got, key, "what is returned is what was stored")
		assert.Regexp(t, `^[0-9A-Za-z]{16}$`, key.ID)
		assert.Equal(t, "ak_…"+secret.Reveal()[35:], key.Hint)
		assert.Equal(t, time.Now().UTC(), key.CreatedAt)
		key.ID, key.Hint, key.CreatedAt = "", "", time.Time{}
		assert.Equal(t, asked.Clone(), key, "the rest is what was asked for")

		d, err := issuer.Format().Digest(secret)
		require.NoError(t, err)
		_, err = store.Lookup(t.Context(), d)
		assert.NoError(t, err, "stored under the digest of the secret")
		assert.Same(t, store, issuer.Manager())

		second, other, err := issuer.Issue(t.Context(), asked)
		require.NoError(t, err)
		assert.NotEqual(t, secret.Reveal(), second.Reveal(), "two keys may have one name")
		assert.NotEqual(t, got.ID, other.ID)
	})
}

func TestIssueRefuses(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, key := range map[string]apikey.Key{
		"no name":                   {},
		"a name with a line break":  {Name: "a\r\nb"},
		"an ID":                     {Name: "x", ID: "mine"},
		"a Hint":                    {Name: "x", Hint: "ak_…"},
		"a predecessor":             {Name: "x", Replaces: "other"},
		"a time of creation":        {Name: "x", CreatedAt: now},
		"a time of revocation":      {Name: "x", RevokedAt: now},
		"a time of last use":        {Name: "x", LastUsedAt: now},
		"an expiry in the past":     {Name: "x", ExpiresAt: now.Add(-time.Second)},
		"an expiry in 10,000 years": {Name: "x", ExpiresAt: now.AddDate(10_000, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			store := memstore.New()
			issuer, err := apikey.NewIssuer(store, newFormat(t, "ak", apikey.FormatOptions{AllowForeign: true}))
			require.NoError(t, err)
			secret, got, err := issuer.Issue(t.Context(), key)
			assert.ErrorIs(t, err, apikey.ErrInvalid)
			assert.Empty(t, secret.Reveal())
			assert.Zero(t, got)
			_, err = issuer.Import(t.Context(), apikey.NewSecret("0123456789abcdef"), key)
			assert.ErrorIs(t, err, apikey.ErrInvalid, "nor by Import")
			_, err = issuer.ImportSHA256(t.Context(), [32]byte{1}, key)
			assert.ErrorIs(t, err, apikey.ErrInvalid, "nor by ImportSHA256")
			page, err := store.List(t.Context(), apikey.ListOptions{})
			require.NoError(t, err)
			assert.Empty(t, page.Keys, "nothing was written")
		})
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	rotate := func(name string, test func(t *testing.T, s *service)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, newService(t, apikey.Options{})) })
		})
	}
	status := func(s *service, key string) int { return get(s.handler, "/", "X-API-Key: "+key).Code }

	rotate("both keys work for the time of grace, then the new one alone", func(t *testing.T, s *service) {
		secret, key, err := s.issuer.Rotate(t.Context(), s.key.ID, time.Hour)
		require.NoError(t, err)
		assert.Equal(t, s.key.ID, key.Replaces)
		assert.Equal(t, s.key.Name, key.Name)
		assert.Equal(t, s.key.Scopes, key.Scopes)
		assert.NotEqual(t, s.key.ID, key.ID)
		assert.Equal(t, "ak_…"+secret.Reveal()[35:], key.Hint)
		assert.Equal(t, [2]int{200, 200}, [2]int{status(s, s.good), status(s, secret.Reveal())})
		time.Sleep(time.Hour)
		assert.Equal(t, [2]int{401, 200}, [2]int{status(s, s.good), status(s, secret.Reveal())})
	})
	rotate("without grace the old key ends at once", func(t *testing.T, s *service) {
		secret, _, err := s.issuer.Rotate(t.Context(), s.key.ID, 0)
		require.NoError(t, err)
		assert.Equal(t, [2]int{401, 200}, [2]int{status(s, s.good), status(s, secret.Reveal())})
	})
	rotate("the old key never outlives its own expiry", func(t *testing.T, s *service) {
		secret, key := s.issue(t, apikey.Key{Name: "x", ExpiresAt: time.Now().Add(time.Hour)})
		_, _, err := s.issuer.Rotate(t.Context(), key.ID, day)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		assert.Equal(t, 401, status(s, secret))
	})
	rotate("the new key lives as long from now on as the old one did", func(t *testing.T, s *service) {
		_, key := s.issue(t, apikey.Key{Name: "x", ExpiresAt: time.Now().Add(90 * day)})
		time.Sleep(80 * day)
		_, key, err := s.issuer.Rotate(t.Context(), key.ID, day)
		require.NoError(t, err)
		assert.Equal(t, time.Now().Add(90*day).UTC(), key.ExpiresAt)
		assert.Equal(t, time.Now().UTC(), key.CreatedAt)
	})
	rotate("a key of unknown age keeps its expiry", func(t *testing.T, s *service) {
		ends := time.Now().Add(day).UTC()
		require.NoError(t, s.store.Create(t.Context(), apikey.Digest{1}, apikey.Key{ID: "1", Name: "x", ExpiresAt: ends}))
		_, key, err := s.issuer.Rotate(t.Context(), "1", time.Hour)
		require.NoError(t, err)
		assert.Equal(t, ends, key.ExpiresAt)
	})
	rotate("a key may be rotated again", func(t *testing.T, s *service) {
		_, second, err := s.issuer.Rotate(t.Context(), s.key.ID, time.Hour)
		require.NoError(t, err)
		_, third, err := s.issuer.Rotate(t.Context(), second.ID, time.Hour)
		require.NoError(t, err)
		assert.Equal(t, second.ID, third.Replaces)
	})
	rotate("a negative grace is refused", func(t *testing.T, s *service) {
		_, _, err := s.issuer.Rotate(t.Context(), s.key.ID, -1)
		assert.ErrorIs(t, err, apikey.ErrInvalid)
		assert.Equal(t, 200, status(s, s.good))
	})
	rotate("unknown, revoked and expired keys are not rotated", func(t *testing.T, s *service) {
		_, _, err := s.issuer.Rotate(t.Context(), "nobody", 0)
		assert.ErrorIs(t, err, apikey.ErrNotFound)
		_, err = s.store.Revoke(t.Context(), s.key.ID)
		require.NoError(t, err)
		_, _, err = s.issuer.Rotate(t.Context(), s.key.ID, time.Hour)
		assert.ErrorIs(t, err, apikey.ErrRevoked)
		_, key := s.issue(t, apikey.Key{Name: "x", ExpiresAt: time.Now().Add(time.Hour)})
		time.Sleep(time.Hour)
		_, _, err = s.issuer.Rotate(t.Context(), key.ID, time.Hour)
		assert.ErrorIs(t, err, apikey.ErrExpired)
	})
}

func TestImport(t *testing.T) {
	t.Parallel()
	const emby = "0123456789abcdef0123456789abcdef"
	formats := map[string]apikey.FormatOptions{
		"without a pepper": {AllowForeign: true},
		"with peppers":     {AllowForeign: true, Peppers: []apikey.Secret{pepper("2"), pepper("1")}},
		"with a pepper and without": {AllowForeign: true, AllowUnpeppered: true,
			Peppers: []apikey.Secret{pepper("1")}},
	}
	for name, o := range formats {
		t.Run(name, func(t *testing.T) {
			s := newService(t, apikey.Options{Format: newFormat(t, "ak", o)})
			key, err := s.issuer.Import(t.Context(), apikey.NewSecret(emby), apikey.Key{Name: "Old hub"})
			require.NoError(t, err)
			assert.Equal(t, "…cdef", key.Hint)
			short, err := s.issuer.Import(t.Context(), apikey.NewSecret(emby[:31]), apikey.Key{Name: "Older hub"})
			require.NoError(t, err)
			assert.Empty(t, short.Hint, "a short key has no characters to give away")
			assert.NotZero(t, key.CreatedAt)
			w := get(s.handler, "/", "X-Emby-Token: "+emby)
			assert.Equal(t, key.ID, w.Body.String(), "by value")
			assert.EqualValues(t, 1, s.store.lookups.Load(), "one lookup")

			key, err = s.issuer.ImportSHA256(t.Context(), sha256.Sum256([]byte("123456789987654321")), apikey.Key{Name: "The page's"})
			require.NoError(t, err)
			assert.Empty(t, key.Hint)
			w = get(s.handler, "/emby/System/Info?api_key=123456789987654321")
			assert.Equal(t, key.ID, w.Body.String(), "by digest")

			_, err = s.issuer.Import(t.Context(), apikey.NewSecret(emby), apikey.Key{Name: "Again"})
			assert.ErrorIs(t, err, apikey.ErrExists)
			_, err = s.issuer.ImportSHA256(t.Context(), sha256.Sum256([]byte(emby)), apikey.Key{Name: "Again"})
			assert.ErrorIs(t, err, apikey.ErrExists, "one key, whichever way it came")
			_, err = s.issuer.ImportSHA256(t.Context(), [32]byte{}, apikey.Key{Name: "Nothing"})
			assert.ErrorIs(t, err, apikey.ErrInvalid)

			_, err = s.issuer.Import(t.Context(), apikey.NewSecret(s.unknown), apikey.Key{Name: "Moved"})
			require.NoError(t, err, "a key of our own from another store")
			assert.Equal(t, 200, get(s.handler, "/", "X-API-Key: "+s.unknown).Code)
		})
	}
	t.Run("refuses", func(t *testing.T) {
		allow := newService(t, apikey.Options{Format: newFormat(t, "ak", apikey.FormatOptions{AllowForeign: true})})
		strict := newService(t, apikey.Options{})
		for name, test := range map[string]struct {
			s   *service
			key string
		}{
			"foreign keys where the Format does not allow them": {strict, emby},
			"a short key":                  {allow, "0123456789abcde"},
			"a key with a blank":           {allow, "0123456789 abcdef"},
			"a forged key with our prefix": {allow, strict.good[:33] + "000000"},
			"a key of 257 characters":      {allow, strings.Repeat("x", 257)},
			"nothing":                      {allow, ""},
		} {
			_, err := test.s.issuer.Import(t.Context(), apikey.NewSecret(test.key), apikey.Key{Name: "x"})
			assert.ErrorIs(t, err, apikey.ErrMalformed, name)
			if test.key != "" {
				assert.NotContains(t, err.Error(), test.key, name)
			}
		}
		_, err := strict.issuer.ImportSHA256(t.Context(), [32]byte{1}, apikey.Key{Name: "x"})
		assert.ErrorIs(t, err, apikey.ErrInvalid)
	})
}
