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

func TestRotate(t *testing.T) {
	t.Parallel()
	rotate := func(name string, test func(t *testing.T, s *service)) {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) { test(t, newService(t, apikey.Options{})) })
		})
	}
	status := func(s *service, key string) int { return get(s.handler, "/", "X-API-Key: "+key).Code }

	rotate("both keys are valid during grace, then only the new one", func(t *testing.T, s *service) {
		secret, key, err := s.issuer.Rotate(t.Context(), s.key.ID, time.Hour)
		require.NoError(t, err)
		assert.Equal(t, s.key.ID, key.Replaces)
		assert.Equal(t, s.key.Name, key.Name)
		assert.Equal(t, s.key.Scopes, key.Scopes)
		assert.NotEqual(t, s.key.ID, key.ID)
		assert.Equal(t, "ak_…"+secret.Reveal()[35:], key.Hint)
		assert.Equal(t, [2]int{200, 200}, [2]int{status(s, s.valid), status(s, secret.Reveal())})
		time.Sleep(time.Hour)
		assert.Equal(t, [2]int{401, 200}, [2]int{status(s, s.valid), status(s, secret.Reveal())})
	})
	rotate("without grace only the new key is valid", func(t *testing.T, s *service) {
		secret, _, err := s.issuer.Rotate(t.Context(), s.key.ID, 0)
		require.NoError(t, err)
		assert.Equal(t, [2]int{401, 200}, [2]int{status(s, s.valid), status(s, secret.Reveal())})
	})
	rotate("the old key never outlives its own expiry", func(t *testing.T, s *service) {
		secret, key := s.issue(t, apikey.NewKey{Name: "x", ExpiresAt: time.Now().Add(time.Hour)})
		_, _, err := s.issuer.Rotate(t.Context(), key.ID, day)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		assert.Equal(t, 401, status(s, secret))
	})
	rotate("the new key has the lifetime of the old one, starting now", func(t *testing.T, s *service) {
		_, key := s.issue(t, apikey.NewKey{Name: "x", ExpiresAt: time.Now().Add(90 * day)})
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
	rotate("a successor may be rotated", func(t *testing.T, s *service) {
		_, second, err := s.issuer.Rotate(t.Context(), s.key.ID, time.Hour)
		require.NoError(t, err)
		_, third, err := s.issuer.Rotate(t.Context(), second.ID, time.Hour)
		require.NoError(t, err)
		assert.Equal(t, second.ID, third.Replaces)
	})
	rotate("the second rotation names the successor, which can be revoked", func(t *testing.T, s *service) {
		_, old := s.issue(t, apikey.NewKey{Name: "x", ExpiresAt: time.Now().Add(90 * day)})
		_, lost, err := s.issuer.Rotate(t.Context(), old.ID, day)
		require.NoError(t, err)
		secret, _, err := s.issuer.Rotate(t.Context(), old.ID, day)
		require.ErrorIs(t, err, apikey.ErrReplaced)
		var replaced *apikey.ReplacedError
		require.ErrorAs(t, err, &replaced)
		assert.Equal(t, lost.ID, replaced.Successor)
		assert.ErrorContains(t, err, lost.ID)
		assert.Empty(t, secret.Reveal())
		page, err := s.store.List(t.Context(), apikey.ListOptions{})
		require.NoError(t, err)
		assert.Len(t, page.Keys, 6, "the four keys of the service, the old key and its successor")

		_, err = s.store.Revoke(t.Context(), lost.ID)
		require.NoError(t, err)
		time.Sleep(time.Hour)
		_, again, err := s.issuer.Rotate(t.Context(), old.ID, day)
		require.NoError(t, err)
		assert.Equal(t, time.Now().Add(90*day).UTC(), again.ExpiresAt, "the lifetime of the first key")
	})
	rotate("without grace the old key is revoked", func(t *testing.T, s *service) {
		_, _, err := s.issuer.Rotate(t.Context(), s.key.ID, 0)
		require.NoError(t, err)
		old, err := s.store.Get(t.Context(), s.key.ID)
		require.NoError(t, err)
		assert.Equal(t, time.Now().UTC(), old.RevokedAt)
		assert.Zero(t, old.ExpiresAt)
		_, _, err = s.issuer.Rotate(t.Context(), s.key.ID, 0)
		assert.ErrorIs(t, err, apikey.ErrReplaced)
		assert.ErrorIs(t, err, apikey.ErrRevoked)
	})
	rotate("a negative grace is refused", func(t *testing.T, s *service) {
		_, _, err := s.issuer.Rotate(t.Context(), s.key.ID, -1)
		assert.ErrorIs(t, err, apikey.ErrInvalid)
		assert.Equal(t, 200, status(s, s.valid))
	})
	rotate("unknown, revoked and expired keys are not rotated", func(t *testing.T, s *service) {
		_, _, err := s.issuer.Rotate(t.Context(), "unknown", 0)
		assert.ErrorIs(t, err, apikey.ErrNotFound)
		_, err = s.store.Revoke(t.Context(), s.key.ID)
		require.NoError(t, err)
		_, _, err = s.issuer.Rotate(t.Context(), s.key.ID, time.Hour)
		assert.ErrorIs(t, err, apikey.ErrRevoked)
		_, key := s.issue(t, apikey.NewKey{Name: "x", ExpiresAt: time.Now().Add(time.Hour)})
		time.Sleep(time.Hour)
		_, _, err = s.issuer.Rotate(t.Context(), key.ID, time.Hour)
		assert.ErrorIs(t, err, apikey.ErrExpired)
	})
}

func TestRotateObeysMaxLifetime(t *testing.T) {
	t.Parallel()
	for name, lifetime := range map[string]time.Duration{"a key that never expires": 0, "a key with a longer lifetime": 365 * day} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				store := memstore.New()
				unlimited, err := apikey.NewIssuer(store, apikey.IssuerOptions{DefaultLifetime: lifetime})
				require.NoError(t, err)
				_, old, err := unlimited.Issue(t.Context(), apikey.NewKey{Name: "x"})
				require.NoError(t, err)
				limited, err := apikey.NewIssuer(store, apikey.IssuerOptions{MaxLifetime: 90 * day})
				require.NoError(t, err)
				_, successor, err := limited.Rotate(t.Context(), old.ID, time.Hour)
				require.NoError(t, err)
				assert.Equal(t, time.Now().Add(90*day).UTC(), successor.ExpiresAt)
			})
		})
	}
}
