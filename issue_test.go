package apikey_test

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

const day = 24 * time.Hour

func newIssuer(t *testing.T, o apikey.IssuerOptions) *apikey.Issuer {
	t.Helper()
	issuer, err := apikey.NewIssuer(memstore.New(), o)
	require.NoError(t, err)
	return issuer
}

// invalidField returns the field that an InvalidError names.
func invalidField(t *testing.T, err error) string {
	t.Helper()
	var invalid *apikey.InvalidError
	require.ErrorAs(t, err, &invalid)
	assert.ErrorIs(t, err, apikey.ErrInvalid)
	return invalid.Field
}

func TestNewIssuerRefusesNil(t *testing.T) {
	t.Parallel()
	for _, m := range []apikey.KeyManager{nil, (*memstore.Store)(nil)} {
		issuer, err := apikey.NewIssuer(m, apikey.IssuerOptions{})
		assert.Nil(t, issuer)
		assert.ErrorIs(t, err, apikey.ErrInvalid)
	}
}

func TestNewIssuerNamesInvalidField(t *testing.T) {
	t.Parallel()
	for field, o := range map[string]apikey.IssuerOptions{
		"DefaultLifetime": {DefaultLifetime: 2 * day, MaxLifetime: day},
		"MaxLifetime":     {MaxLifetime: -1},
		"Scopes[0]":       {Scopes: []apikey.Scope{{Name: "two words"}}},
		"Scopes[1]":       {Scopes: []apikey.Scope{{Name: "read"}, {Name: "read"}}},
		"Scopes[2]":       {Scopes: []apikey.Scope{{Name: "a"}, {Name: "b"}, {Name: "c", Description: "line\nbreak"}}},
	} {
		t.Run(field, func(t *testing.T) {
			issuer, err := apikey.NewIssuer(memstore.New(), o)
			assert.Nil(t, issuer)
			assert.Equal(t, field, invalidField(t, err))
		})
	}
	_, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{DefaultLifetime: -1})
	assert.Equal(t, "DefaultLifetime", invalidField(t, err))
	_, err = apikey.NewIssuer(nil, apikey.IssuerOptions{})
	assert.Equal(t, "KeyManager", invalidField(t, err))
}

func TestIssue(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := memstore.New()
		issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
		require.NoError(t, err)
		requested := apikey.NewKey{
			Name: "Backup job", Owner: "ops", Scopes: []string{"library:read"}, Metadata: map[string]string{"host": "nas"},
			ExpiresAt: time.Now().Add(time.Hour),
		}
		secret, key, err := issuer.Issue(t.Context(), requested)
		require.NoError(t, err)

		got, err := store.Get(t.Context(), key.ID)
		require.NoError(t, err)
		assert.Equal(t, got, key, "the returned key is the stored one")
		assert.Regexp(t, `^[0-9A-Za-z]{16}$`, key.ID)
		assert.Equal(t, "ak_…"+secret.Reveal()[35:], key.Hint)
		assert.Equal(t, time.Now().UTC(), key.CreatedAt)
		want := apikey.Key{
			ID: key.ID, Hint: key.Hint, CreatedAt: key.CreatedAt,
			Name: requested.Name, Owner: requested.Owner, Scopes: requested.Scopes, Metadata: requested.Metadata, ExpiresAt: requested.ExpiresAt,
		}
		assert.Equal(t, want.Clone(), key, "the other fields are the requested ones")

		d, err := issuer.Format().Digest(secret)
		require.NoError(t, err)
		_, err = store.Lookup(t.Context(), d)
		assert.NoError(t, err, "the key is stored under the digest of the secret")
		assert.Same(t, store, issuer.Manager())

		second, other, err := issuer.Issue(t.Context(), requested)
		require.NoError(t, err)
		assert.NotEqual(t, secret.Reveal(), second.Reveal(), "two keys may have one name")
		assert.NotEqual(t, got.ID, other.ID)
	})
}

func TestIssueRefusesInvalidFields(t *testing.T) {
	t.Parallel()
	now := time.Now()
	for name, key := range map[string]apikey.NewKey{
		"no name":                   {},
		"a name with a line break":  {Name: "a\r\nb"},
		"an expiry in the past":     {Name: "x", ExpiresAt: now.Add(-time.Second)},
		"an expiry in 10,000 years": {Name: "x", ExpiresAt: now.AddDate(10_000, 0, 0)},
	} {
		t.Run(name, func(t *testing.T) {
			store := memstore.New()
			issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{Format: newFormat(t, "ak", apikey.FormatOptions{AllowImported: true})})
			require.NoError(t, err)
			secret, got, err := issuer.Issue(t.Context(), key)
			assert.ErrorIs(t, err, apikey.ErrInvalid)
			assert.Empty(t, secret.Reveal())
			assert.Zero(t, got)
			page, err := store.List(t.Context(), apikey.ListOptions{})
			require.NoError(t, err)
			assert.Empty(t, page.Keys, "nothing was written")
		})
	}
}

func TestIssuerLimitsLifetimes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name            string
		o               apikey.IssuerOptions
		requested, want time.Duration // from now; 0 means never
		refused         bool
	}{
		{"without options a key never expires", apikey.IssuerOptions{}, 0, 0, false},
		{"the default applies if ExpiresAt is zero", apikey.IssuerOptions{DefaultLifetime: 30 * day}, 0, 30 * day, false},
		{"the default does not limit ExpiresAt", apikey.IssuerOptions{DefaultLifetime: 30 * day}, 90 * day, 90 * day, false},
		{"the limit is also the default", apikey.IssuerOptions{MaxLifetime: 90 * day}, 0, 90 * day, false},
		{"ExpiresAt within the limit", apikey.IssuerOptions{MaxLifetime: 90 * day}, 90 * day, 90 * day, false},
		{"ExpiresAt beyond the limit", apikey.IssuerOptions{MaxLifetime: 90 * day}, 90*day + time.Microsecond, 0, true},
		{"ExpiresAt in the past", apikey.IssuerOptions{}, -1, 0, true},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				issuer := newIssuer(t, test.o)
				end := func(lifetime time.Duration) time.Time {
					if lifetime == 0 {
						return time.Time{}
					}
					return time.Now().Add(lifetime).UTC().Truncate(time.Microsecond)
				}
				_, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "x", ExpiresAt: end(test.requested)})
				if test.refused {
					assert.Equal(t, "ExpiresAt", invalidField(t, err))
					return
				}
				require.NoError(t, err)
				assert.Equal(t, end(test.want), key.ExpiresAt)
			})
		})
	}
}

func TestIssuerLimitsScopes(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	unlimited, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	limited, err := apikey.NewIssuer(store, apikey.IssuerOptions{Scopes: []apikey.Scope{{Name: "read", Description: "Read everything"}}})
	require.NoError(t, err)
	assert.Nil(t, unlimited.Scopes())
	assert.Equal(t, []apikey.Scope{{Name: "read", Description: "Read everything"}}, limited.Scopes())

	_, old, err := unlimited.Issue(t.Context(), apikey.NewKey{Name: "x", Scopes: []string{"read", "write"}})
	require.NoError(t, err, "without a catalogue every scope is permitted")
	_, _, err = limited.Issue(t.Context(), apikey.NewKey{Name: "x", Scopes: []string{"read"}})
	require.NoError(t, err)
	_, _, err = limited.Issue(t.Context(), apikey.NewKey{Name: "x", Scopes: []string{"read", "write"}})
	assert.Equal(t, "Scopes", invalidField(t, err))
	_, err = limited.Import(t.Context(), apikey.ImportedKey{Name: "x", Scopes: []string{"write"}})
	assert.Equal(t, "Scopes", invalidField(t, err))
	_, successor, err := limited.Rotate(t.Context(), old.ID, 0)
	require.NoError(t, err)
	assert.Equal(t, old.Scopes, successor.Scopes, "a rotated key keeps the scopes that it has")
	empty := newIssuer(t, apikey.IssuerOptions{Scopes: []apikey.Scope{}})
	_, _, err = empty.Issue(t.Context(), apikey.NewKey{Name: "x", Scopes: []string{"read"}})
	assert.Equal(t, "Scopes", invalidField(t, err), "an empty catalogue permits no scope")
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	d, err := s.issuer.Format().Digest(apikey.NewSecret(s.valid))
	require.NoError(t, err)
	s.store.Touch(d, apikey.Use{At: time.Unix(1_700_000_000, 0)})
	identify := func(secret string) (apikey.Key, error) {
		return s.issuer.Identify(t.Context(), apikey.NewSecret(secret))
	}
	key, err := identify(s.valid)
	require.NoError(t, err)
	assert.Equal(t, s.key.ID, key.ID)
	assert.Equal(t, time.Unix(1_700_000_000, 0).UTC(), key.LastUsedAt, "Identify records no use")

	_, err = s.store.Revoke(t.Context(), s.key.ID)
	require.NoError(t, err)
	key, err = identify(s.valid)
	require.NoError(t, err, "a revoked key")
	assert.NotZero(t, key.RevokedAt)

	_, err = identify(s.unknown)
	assert.ErrorIs(t, err, apikey.ErrNotFound)
	_, err = identify("ak_")
	assert.ErrorIs(t, err, apikey.ErrMalformed)
}

func TestIssuerReportsItsLifetimes(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ usual, limit, wantUsual time.Duration }{{0, 0, 0}, {time.Hour, 0, time.Hour}, {0, time.Hour, time.Hour}, {time.Hour, 2 * time.Hour, time.Hour}} {
		issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{DefaultLifetime: test.usual, MaxLifetime: test.limit})
		require.NoError(t, err)
		assert.Equal(t, test.wantUsual, issuer.DefaultLifetime())
		assert.Equal(t, test.limit, issuer.MaxLifetime())
	}
}
