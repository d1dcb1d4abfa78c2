package cachestore_test

import (
	"context"
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

// A replica answers from the past.
type replica struct {
	*database
	lag func(apikey.Cursor) apikey.Cursor
}

func (r replica) LookupAt(ctx context.Context, d apikey.Digest) (*apikey.Key, apikey.Cursor, error) {
	key, at, err := r.database.LookupAt(ctx, d)
	return key, r.lag(at), err
}

func TestAnswersFromAnOlderStateAreRefusedAndNotKept(t *testing.T) {
	t.Parallel()
	for name, lag := range map[string]func(apikey.Cursor) apikey.Cursor{
		"an older revision": func(at apikey.Cursor) apikey.Cursor { at.Revision--; return at },
		"another epoch":     func(at apikey.Cursor) apikey.Cursor { at.Epoch++; at.Revision += 10; return at },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
				d := w.db.create(t, 1)
				lagging := true
				store := replica{w.db, func(at apikey.Cursor) apikey.Cursor {
					if lagging {
						return lag(at)
					}
					return at
				}}
				cache := open(t, store, &feed{ChangeFeed: w.db.Store, deaf: true}, cachestore.Options{})
				for range 3 {
					// Not ErrNotFound either: what is old says nothing about now.
					wants(t, cache, d, apikey.ErrUnavailable)
					wants(t, cache, digestOf(2), apikey.ErrUnavailable)
				}
				if st := cache.Stats(); st.Keys != 0 || st.UnknownDigests != 0 {
					t.Errorf("%+v", st)
				}
				lagging = false
				wants(t, cache, d, nil)
				wants(t, cache, digestOf(2), apikey.ErrNotFound)
			})
		})
	}
}

func TestAWrapperIsNotPassedBy(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		cache := open(t, blocklist{w.db}, w.local, cachestore.Options{})
		wants(t, cache, d, apikey.ErrNotFound)
		if _, ok := apikey.StoreAs[apikey.Toucher](cache); !ok {
			t.Error("the Toucher behind the wrapper is not found")
		}
	})
}

// A blocklist refuses what the store behind it, which has stamps, would accept.
type blocklist struct{ inner *database }

func (blocklist) Lookup(context.Context, apikey.Digest) (*apikey.Key, error) {
	return nil, apikey.ErrNotFound
}
func (b blocklist) Unwrap() apikey.KeyStore { return b.inner }
