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

// A lossyStore loses the answer to each Create and Replace.
type lossyStore struct {
	*memstore.Store
	happens bool  // the change happens before the answer is lost
	late    bool  // the change happens before the next write, which waits for it
	failure error // the error of Get and Update

	pending func() // the late change
}

var errLost = errors.Join(apikey.ErrUncertain, errors.New("connection reset"))

// lose makes a change, or not, and returns the error of a lost answer.
func (s *lossyStore) lose(change func() error) error {
	switch {
	case s.happens:
		if err := change(); err != nil {
			return err
		}
	case s.late:
		s.pending = func() { change() }
	}
	return errLost
}

func (s *lossyStore) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	return s.lose(func() error { return s.Store.Create(context.WithoutCancel(ctx), d, key) })
}

func (s *lossyStore) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (key apikey.Key, err error) {
	return apikey.Key{}, s.lose(func() error {
		_, err := s.Store.Replace(context.WithoutCancel(ctx), id, expiresAt, d, successor)
		return err
	})
}

func (s *lossyStore) Get(ctx context.Context, id string) (apikey.Key, error) {
	if s.failure != nil {
		return apikey.Key{}, s.failure
	}
	return s.Store.Get(ctx, id)
}

func (s *lossyStore) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	if s.failure != nil {
		return apikey.Key{}, s.failure
	}
	if s.pending != nil {
		s.pending()
	}
	return s.Store.Update(ctx, id, p)
}

func TestIssuerSettlesLostAnswers(t *testing.T) {
	t.Parallel()
	format := newFormat(t, "ak", apikey.FormatOptions{AllowImported: true})
	for name, write := range map[string]func(context.Context, *apikey.Issuer) (apikey.Secret, apikey.Key, error){
		"Issue": func(ctx context.Context, i *apikey.Issuer) (apikey.Secret, apikey.Key, error) {
			return i.Issue(ctx, apikey.NewKey{Name: "Backup job"})
		},
		"Rotate": func(ctx context.Context, i *apikey.Issuer) (apikey.Secret, apikey.Key, error) {
			return i.Rotate(ctx, "old", time.Hour)
		},
		"Import": func(ctx context.Context, i *apikey.Issuer) (apikey.Secret, apikey.Key, error) {
			secret := apikey.NewSecret("0123456789abcdef")
			key, err := i.Import(ctx, apikey.ImportedKey{Secret: secret, Name: "Backup job"})
			if err != nil {
				secret = apikey.Secret{}
			}
			return secret, key, err
		},
	} {
		for _, test := range []struct {
			name   string
			store  lossyStore
			exists bool
			err    error
		}{
			{"the change happened", lossyStore{happens: true}, true, nil},
			{"the change did not happen", lossyStore{}, false, apikey.ErrUnavailable},
			{"the change happens later", lossyStore{late: true}, true, nil},
			{"the change happened, and the store fails", lossyStore{happens: true, failure: apikey.ErrUnavailable}, true, apikey.ErrUncertain},
		} {
			t.Run(name+", "+test.name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					store := test.store
					store.Store = memstore.New()
					require.NoError(t, store.Store.Create(t.Context(), apikey.Digest{1}, apikey.Key{ID: "old", Name: "Backup job"}))
					issuer, err := apikey.NewIssuer(&store, apikey.IssuerOptions{Format: format})
					require.NoError(t, err)
					ctx, cancel := context.WithCancel(t.Context())
					cancel() // the caller gave up
					begin := time.Now()
					secret, key, err := write(ctx, issuer)
					assert.LessOrEqual(t, time.Since(begin), 5*time.Second)
					page, listErr := store.Store.List(t.Context(), apikey.ListOptions{})
					require.NoError(t, listErr)
					require.Equal(t, test.exists, len(page.Keys) == 2)
					if test.err == nil {
						require.NoError(t, err)
						assert.Equal(t, page.Keys[0].ID, key.ID)
						known, err := issuer.Identify(t.Context(), secret)
						require.NoError(t, err)
						assert.Equal(t, key.ID, known.ID, "the secret belongs to the key")
						return
					}
					require.ErrorIs(t, err, test.err)
					assert.Empty(t, secret.Reveal())
					if test.exists {
						assert.ErrorContains(t, err, page.Keys[0].ID, "the error names the key")
					} else {
						assert.NotErrorIs(t, err, apikey.ErrUncertain)
					}
				})
			})
		}
	}
}
