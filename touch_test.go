package apikey_test

import (
	"context"
	"errors"
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestTouch(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	lastUse := func(s *service) time.Time {
		key, err := s.store.Get(t.Context(), s.key.ID)
		require.NoError(t, err)
		return key.LastUsedAt
	}
	t.Run("a refused key is not used", func(t *testing.T) {
		forbid, err := apikey.New(s.store, apikey.Options{Authorize: func(*http.Request, *apikey.Key) error { return errors.New("no") }})
		require.NoError(t, err)
		get(forbid.Handler(http.NotFoundHandler()), "/", "X-API-Key: "+s.good)
		get(s.handler, "/", "X-API-Key: "+s.good, "X-API-Key: "+s.other)
		assert.Zero(t, lastUse(s))
	})
	t.Run("an accepted key is", func(t *testing.T) {
		get(s.handler, "/", "X-API-Key: "+s.good)
		assert.WithinDuration(t, time.Now(), lastUse(s), time.Minute)
	})
	t.Run("a wrapper does not hide it", func(t *testing.T) {
		s := newService(t, apikey.Options{})
		auth, err := apikey.New(wrapper{wrapper{s.store}}, apikey.Options{})
		require.NoError(t, err)
		get(auth.Handler(http.NotFoundHandler()), "/", "X-API-Key: "+s.good)
		assert.NotZero(t, lastUse(s))
	})
}

// A wrapper is a store around another, as a cache or a metric is.
type wrapper struct{ inner apikey.KeyStore }

func (w wrapper) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return w.inner.Lookup(ctx, d)
}
func (w wrapper) Unwrap() apikey.KeyStore { return w.inner }

func TestStoreAs(t *testing.T) {
	t.Parallel()
	inner := memstore.New()
	found, ok := apikey.StoreAs[apikey.KeyManager](wrapper{wrapper{inner}})
	assert.True(t, ok)
	assert.Same(t, inner, found)
	_, ok = apikey.StoreAs[apikey.Auditor](wrapper{inner})
	assert.False(t, ok, "an interface that nobody has")
	_, ok = apikey.StoreAs[apikey.Toucher](wrapper{nil})
	assert.False(t, ok, "a wrapper around nothing")
	_, ok = apikey.StoreAs[apikey.Toucher](nil)
	assert.False(t, ok, "nothing")
}
