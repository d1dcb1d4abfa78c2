package apikey_test

import (
	"context"
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestIssuerWithTerms(t *testing.T) {
	t.Parallel()
	refused := errors.New("refused")
	synctest.Test(t, func(t *testing.T) {
		now := time.Now()
		day := 24 * time.Hour
		for _, test := range []struct {
			name                       string
			o                          apikey.IssuerOptions
			terms                      apikey.Terms
			wanted                     time.Time // NewKey.ExpiresAt
			err                        error     // of Issue
			expiresAt, successorExpiry time.Time
			rotateErr                  error
		}{
			{name: "the zero Terms change nothing"},
			{name: "NotAfter is the default expiry", terms: apikey.Terms{NotAfter: now.Add(day)}, expiresAt: now.Add(day), successorExpiry: now.Add(day)},
			{name: "NotAfter shortens the default lifetime", o: apikey.IssuerOptions{DefaultLifetime: 2 * day}, terms: apikey.Terms{NotAfter: now.Add(day)},
				expiresAt: now.Add(day), successorExpiry: now.Add(day)},
			{name: "NotAfter does not prolong the default lifetime", o: apikey.IssuerOptions{DefaultLifetime: day}, terms: apikey.Terms{NotAfter: now.Add(2 * day)},
				expiresAt: now.Add(day), successorExpiry: now.Add(2 * day)},
			{name: "MaxLifetime holds too", o: apikey.IssuerOptions{MaxLifetime: day}, terms: apikey.Terms{NotAfter: now.Add(2 * day)},
				expiresAt: now.Add(day), successorExpiry: now.Add(day)},
			{name: "an expiry at NotAfter is permitted", terms: apikey.Terms{NotAfter: now.Add(day)}, wanted: now.Add(day), expiresAt: now.Add(day), successorExpiry: now.Add(day)},
			{name: "an expiry after NotAfter is refused", terms: apikey.Terms{NotAfter: now.Add(day)}, wanted: now.Add(day + 1), err: apikey.ErrInvalid, successorExpiry: now.Add(day)},
			{name: "MaxKeys limits the owner", terms: apikey.Terms{Condition: apikey.Condition{MaxKeys: 1}}, err: apikey.ErrTooManyKeys, rotateErr: apikey.ErrTooManyKeys},
			{name: "Check decides about the old key of a rotation", terms: apikey.Terms{Condition: apikey.Condition{Check: func(key apikey.Key) error {
				if key.Name == "Old" {
					return refused
				}
				return nil
			}}}, rotateErr: refused},
		} {
			issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
			require.NoError(t, err)
			_, old, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Old", Owner: "ann"})
			require.NoError(t, err)
			limited, err := apikey.NewIssuer(issuer.Manager(), test.o)
			require.NoError(t, err)
			limited, err = limited.With(test.terms)
			require.NoError(t, err)
			_, key, err := limited.Issue(t.Context(), apikey.NewKey{Name: "New", Owner: "ann", ExpiresAt: test.wanted})
			require.ErrorIs(t, err, test.err, test.name)
			if err == nil {
				assert.Equal(t, test.expiresAt.UTC(), key.ExpiresAt, test.name)
			}
			_, successor, err := limited.Rotate(t.Context(), old.ID, day)
			require.ErrorIs(t, err, test.rotateErr, test.name)
			if err == nil {
				assert.Equal(t, test.successorExpiry.UTC(), successor.ExpiresAt, test.name+", Rotate")
			}
		}
	})
}

func TestIssuerRefusesTerms(t *testing.T) {
	t.Parallel()
	type unconditional struct{ apikey.KeyManager }
	issuer, err := apikey.NewIssuer(unconditional{memstore.New()}, apikey.IssuerOptions{})
	require.NoError(t, err)
	for _, test := range []struct {
		field string
		terms apikey.Terms
	}{
		{"ID", apikey.Terms{ID: "two words"}},
		{"NotAfter", apikey.Terms{NotAfter: time.Now()}},
		{"NotAfter", apikey.Terms{NotAfter: time.Date(10_000, 1, 1, 0, 0, 0, 0, time.UTC)}},
		{"Condition", apikey.Terms{Condition: apikey.Condition{MaxKeys: 1}}},
		{"Condition.MaxKeys", apikey.Terms{Condition: apikey.Condition{MaxKeys: -1}}},
	} {
		_, err := issuer.With(test.terms)
		var invalid *apikey.InvalidError
		require.ErrorAs(t, err, &invalid)
		assert.Equal(t, test.field, invalid.Field)
	}
	_, err = issuer.With(apikey.Terms{ID: "x", NotAfter: time.Now().Add(time.Hour)})
	require.NoError(t, err, "a store without If needs no Condition")
}

func TestIssuerWithAnIDMakesOneKey(t *testing.T) {
	t.Parallel()
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	require.NoError(t, err)
	given, err := issuer.With(apikey.Terms{ID: "given"})
	require.NoError(t, err)
	_, key, err := given.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	assert.Equal(t, "given", key.ID)
	_, _, err = given.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.ErrorIs(t, err, apikey.ErrExists)
	_, _, err = given.Rotate(t.Context(), "given", time.Hour)
	require.ErrorIs(t, err, apikey.ErrExists)
	_, _, err = issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err, "the Issuer itself has no ID")
}

// Two requests have the same ID. The store loses the answer to the second one, which did not happen.
func TestIssuerDoesNotSettleOnTheKeyOfAnotherRequest(t *testing.T) {
	t.Parallel()
	for name, write := range map[string]func(context.Context, *apikey.Issuer) (apikey.Secret, apikey.Key, error){
		"Issue": func(ctx context.Context, i *apikey.Issuer) (apikey.Secret, apikey.Key, error) {
			return i.Issue(ctx, apikey.NewKey{Name: "Backup job"})
		},
		"Rotate": func(ctx context.Context, i *apikey.Issuer) (apikey.Secret, apikey.Key, error) {
			return i.Rotate(ctx, "old", time.Hour)
		},
	} {
		for _, late := range []bool{false, true} {
			synctest.Test(t, func(t *testing.T) {
				store := &lossyStore{Store: memstore.New()}
				require.NoError(t, store.Store.Create(t.Context(), apikey.Digest{1}, apikey.Key{ID: "old", Name: "Old"}))
				first, err := apikey.NewIssuer(store.Store, apikey.IssuerOptions{})
				require.NoError(t, err)
				make := func() {
					first, err := first.With(apikey.Terms{ID: "given"})
					require.NoError(t, err)
					_, _, err = write(t.Context(), first)
					require.NoError(t, err)
				}
				if late {
					store.pending = make
				} else {
					make()
				}
				second, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
				require.NoError(t, err)
				second, err = second.With(apikey.Terms{ID: "given"})
				require.NoError(t, err)
				secret, _, err := write(t.Context(), second)
				require.ErrorIs(t, err, apikey.ErrExists, name)
				assert.Empty(t, secret.Reveal(), "the secret of no key")
			})
		}
	}
}
