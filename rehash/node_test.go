package rehash

import (
	"context"
	"errors"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// A frozenStore always returns the same keys, as the cache of another node may until its next poll.
type frozenStore struct{ keys map[apikey.Digest]*apikey.Key }

func (s frozenStore) Lookup(_ context.Context, d apikey.Digest) (*apikey.Key, error) {
	if key := s.keys[d]; key != nil {
		return key, nil
	}
	return nil, apikey.ErrNotFound
}

func TestANodeWhoseCacheLagsFindsTheAdoptedKeyWithoutAHash(t *testing.T) {
	t.Parallel()
	for name, test := range map[string]struct {
		scheme Scheme
		row    Row
		key    string
	}{
		"Gitea":   {Gitea(), row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)), giteaToken},
		"Grafana": {Grafana(), row(t)(GrafanaRow(grafanaHash)), grafanaToken},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, Options{Schemes: []Scheme{test.scheme}})
			pending := s.pend(test.row)
			d, err := s.issuer.Format().DigestSHA256(finderSum(test.row.scheme, test.row.finder))
			require.NoError(t, err)
			_, id := s.request(test.key)
			require.NotEmpty(t, id)

			var hashes atomic.Int64
			scheme := test.scheme
			if scheme.slowFind {
				find := scheme.find
				scheme.find = func(text string) (string, bool) { hashes.Add(1); return find(text) }
			} else {
				scheme = counting(scheme, &hashes, nil)
			}
			other, err := New(frozenStore{map[apikey.Digest]*apikey.Key{d: &pending}}, s.issuer, Options{Schemes: []Scheme{scheme}})
			require.NoError(t, err)
			for range 3 {
				key, err := other.Adopt(t.Context(), apikey.NewSecret(test.key))
				require.NoError(t, err)
				assert.Equal(t, id, key.ID)
			}
			assert.Zero(t, hashes.Load())
		})
	}
}

func TestANodeWhoseCacheLagsObeysAChangeOfThePendingKey(t *testing.T) {
	t.Parallel()
	yes, past, later := true, time.Now().Add(-time.Minute), time.Now().Add(2000*time.Hour).UTC().Truncate(time.Second)
	for name, test := range map[string]struct {
		change apikey.Patch
		want   time.Time // or the zero time if the key is refused
	}{
		"suspended": {change: apikey.Patch{Suspended: &yes}},
		"expired":   {change: apikey.Patch{ExpiresAt: &past}},
		"prolonged": {change: apikey.Patch{ExpiresAt: &later}, want: later},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, Options{Schemes: []Scheme{Gitea()}})
			pending := s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
			_, err := s.store.Update(t.Context(), pending.ID, test.change)
			require.NoError(t, err)
			node, err := New(lookupFunc(func() (*apikey.Key, error) { return &pending, nil }), s.issuer, Options{Schemes: []Scheme{Gitea()}})
			require.NoError(t, err)
			key, err := node.Adopt(t.Context(), apikey.NewSecret(giteaToken))
			if test.want.IsZero() {
				require.ErrorIs(t, err, apikey.ErrNotFound)
				return
			}
			require.NoError(t, err)
			assert.Equal(t, test.want, key.ExpiresAt)
		})
	}
}

func TestNodesAdoptOneKeyAtTheSameTime(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	s.pend(row(t)(GiteaRow(giteaToken[32:], giteaSalt, giteaHash)))
	var both sync.WaitGroup
	both.Add(2)
	meet := Gitea()
	verify := meet.verify
	meet.verify = func(text, hash string) bool {
		both.Done()
		both.Wait() // both nodes have found the pending key
		return verify(text, hash)
	}
	ids := make(chan string, 2)
	for range 2 {
		node, err := New(s.store, s.issuer, Options{Schemes: []Scheme{meet}})
		require.NoError(t, err)
		go func() {
			key, err := node.Adopt(t.Context(), apikey.NewSecret(giteaToken))
			if assert.NoError(t, err) {
				ids <- key.ID
			} else {
				ids <- ""
			}
		}()
	}
	assert.Equal(t, <-ids, <-ids)
	page, err := s.store.List(t.Context(), apikey.ListOptions{Status: apikey.StatusActive})
	require.NoError(t, err)
	assert.Len(t, page.Keys, 1)
}

func TestAnOutageIsNotARefusal(t *testing.T) {
	t.Parallel()
	s := newService(t, Options{Schemes: []Scheme{Gitea()}})
	node, err := New(brokenStore{}, s.issuer, Options{Schemes: []Scheme{Gitea()}})
	require.NoError(t, err)
	_, err = node.Adopt(t.Context(), apikey.NewSecret(giteaToken))
	require.Error(t, err)
	assert.NotErrorIs(t, err, apikey.ErrNotFound)
}

type brokenStore struct{}

func (brokenStore) Lookup(context.Context, apikey.Digest) (*apikey.Key, error) {
	return nil, errors.New("no connection")
}
