package cachestore_test

import (
	"context"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

func TestStaleKeysAreUsedForAsLongAsIsAllowed(t *testing.T) {
	t.Parallel()
	o := cachestore.Options{AllowStaleAfterLease: 10 * time.Minute} // MaxAge is 5
	inWorld(t, o, func(t *testing.T, w *world) {
		d, other := w.db.create(t, 1), w.db.create(t, 2)
		wants(t, w.there, d, nil)
		wants(t, w.there, other, nil)
		sent := time.Now() // a poll at this time was the last
		w.remote.fail()
		w.db.before.Store(new(func(context.Context) error { return errDown }))
		w.db.revoke(t, 1)
		last := lastAccepted(t, w.there, d, sent, 12*time.Minute)
		if bound := 10*time.Minute + 3*time.Second; last >= bound || last < bound-20*time.Millisecond {
			t.Errorf("it was accepted last after %v", last)
		}
		wants(t, w.there, other, apikey.ErrUnavailable)
		wants(t, w.there, digestOf(3), apikey.ErrUnavailable)
		if w.there.Stats().StaleHits == 0 {
			t.Error("StaleHits is 0")
		}
		w.remote.heal()
		w.db.before.Store(nil)
		time.Sleep(300 * time.Millisecond)
		wants(t, w.there, d, apikey.ErrRevoked)
		wants(t, w.there, other, nil)
	})
}

func TestStaleKeysAreNotThoseThatWereRevokedHere(t *testing.T) {
	t.Parallel()
	inWorld(t, cachestore.Options{AllowStaleAfterLease: time.Hour}, func(t *testing.T, w *world) {
		d := w.db.create(t, 1)
		wants(t, w.here, d, nil)
		w.local.fail()
		w.db.before.Store(new(func(context.Context) error { return errDown }))
		time.Sleep(time.Minute)
		wants(t, w.here, d, nil)
		w.db.revoke(t, 1)
		wants(t, w.here, d, apikey.ErrUnavailable)
	})
}
