package rehash

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// A lookupFunc is a store.
type lookupFunc func() (*apikey.Key, error)

func (f lookupFunc) Lookup(context.Context, apikey.Digest) (*apikey.Key, error) { return f() }

func TestAPanicOfTheStoreIsAnOutage(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	node, err := New(lookupFunc(func() (*apikey.Key, error) { panic(giteaToken) }), s.issuer, Options{Schemes: []Scheme{Gitea()}})
	require.NoError(t, err)
	for range 2 {
		_, err = node.Adopt(t.Context(), apikey.NewSecret(giteaToken))
		require.ErrorIs(t, err, apikey.ErrUnavailable)
		assert.NotContains(t, err.Error(), giteaToken)
	}
}

func TestCancelledRequestsLeaveABoundedNumberOfGoroutines(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		s := newService(t, Options{Schemes: []Scheme{Gitea()}})
		release := make(chan struct{})
		node, err := New(lookupFunc(func() (*apikey.Key, error) {
			<-release
			return nil, apikey.ErrNotFound
		}), s.issuer, Options{Schemes: []Scheme{Gitea()}})
		require.NoError(t, err)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		forged := func(n int) apikey.Secret { return apikey.NewSecret(fmt.Sprintf("%040x", n)) }
		for n := range maxCalls {
			_, err := node.Adopt(gone, forged(n))
			require.ErrorIs(t, err, context.Canceled)
		}
		_, err = node.Adopt(gone, forged(maxCalls))
		require.ErrorIs(t, err, apikey.ErrUnavailable)
		close(release)
		synctest.Wait()
		_, err = node.Adopt(t.Context(), forged(maxCalls))
		assert.ErrorIs(t, err, apikey.ErrNotFound, "when the store answers again")
	})
}
