package rehash

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

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

func TestTooManyHashesAreRefusedAndOtherKeysAreNot(t *testing.T) {
	t.Parallel()
	var hashes atomic.Int64
	hold := make(chan struct{})
	s := newService(t, Options{Schemes: []Scheme{counting(Gitea(), &hashes, hold)}, Concurrent: 1})
	s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
	secret, native, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Native"})
	require.NoError(t, err)
	var wg sync.WaitGroup
	wg.Go(func() {
		status, _ := s.request(giteaToken)
		assert.Equal(t, 200, status)
	})
	require.Eventually(t, func() bool { return hashes.Load() == 1 }, 10*time.Second, time.Millisecond)
	forged := "ffffffffffffffffffffffffffffffff01234567"
	status, _ := s.request(forged)
	assert.Equal(t, 503, status, "a key with a known finder would need a hash")
	s.refused("ffffffffffffffffffffffffffffffff76543210", "a key without a known finder needs no hash")
	s.refused("another-shape-needs-no-hash", "another shape")
	status, id := s.request(secret.Reveal())
	assert.Equal(t, 200, status)
	assert.Equal(t, native.ID, id)
	assert.EqualValues(t, 1, hashes.Load())
	close(hold)
	wg.Wait()
	s.refused(forged, "when a slot is free again")
}

func TestConcurrentRequestsShareOneHash(t *testing.T) {
	t.Parallel()
	var hashes atomic.Int64
	hold := make(chan struct{})
	s := newService(t, Options{Schemes: []Scheme{counting(Gitea(), &hashes, hold)}, Concurrent: 1})
	s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
	ids := make(chan string, 20)
	for range cap(ids) {
		go func() {
			_, id := s.request(giteaToken)
			ids <- id
		}()
	}
	require.Eventually(t, func() bool { return hashes.Load() == 1 }, 10*time.Second, time.Millisecond)
	close(hold)
	first := <-ids
	assert.NotEmpty(t, first)
	for range cap(ids) - 1 {
		assert.Equal(t, first, <-ids)
	}
	assert.EqualValues(t, 1, hashes.Load())
}

func TestAnAdoptionContinuesIfItsRequestIsCancelled(t *testing.T) {
	t.Parallel()
	var hashes atomic.Int64
	hold := make(chan struct{})
	s := newService(t, Options{Schemes: []Scheme{counting(Gitea(), &hashes, hold)}})
	s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
	ctx, cancel := context.WithCancel(t.Context())
	done := make(chan error)
	go func() {
		_, err := s.adopter.Adopt(ctx, apikey.NewSecret(giteaToken))
		done <- err
	}()
	require.Eventually(t, func() bool { return hashes.Load() == 1 }, 10*time.Second, time.Millisecond)
	cancel()
	assert.ErrorIs(t, <-done, context.Canceled)
	close(hold)
	_, err := s.adopter.Adopt(t.Context(), apikey.NewSecret(giteaToken))
	assert.NoError(t, err)
	assert.EqualValues(t, 1, hashes.Load())
}
