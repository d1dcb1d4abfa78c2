package cachestore_test

import (
	"context"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
)

func TestAllowStaleAfterLease(t *testing.T) {
	t.Parallel()
	o := cachestore.Options{AllowStaleAfterLease: 10 * time.Minute} // longer than MaxAge, which is 5 minutes
	withCluster(t, o, func(t *testing.T, cl *cluster) {
		d, other := cl.db.create(t, 1), cl.db.create(t, 2)
		wantLookup(t, cl.remote, d, nil)
		wantLookup(t, cl.remote, other, nil)
		sent := time.Now() // the last successful poll was sent now
		cl.remoteFeed.fail()
		cl.db.before.Store(new(func(context.Context) error { return errDown }))
		cl.db.revoke(t, 1)
		last := lastAccepted(t, cl.remote, d, sent, 12*time.Minute)
		bound := 10*time.Minute + 3*time.Second
		assert.True(t, last < bound && last >= bound-20*time.Millisecond, "key last accepted after %v; want %v", last, bound)
		wantLookup(t, cl.remote, other, apikey.ErrUnavailable)
		wantLookup(t, cl.remote, digestOf(3), apikey.ErrUnavailable)
		assert.NotZero(t, cl.remote.Stats().StaleHits, "StaleHits")
		cl.remoteFeed.heal()
		cl.db.before.Store(nil)
		time.Sleep(300 * time.Millisecond)
		wantLookup(t, cl.remote, d, apikey.ErrRevoked)
		wantLookup(t, cl.remote, other, nil)
	})
}

func TestAllowStaleAfterLeaseRefusesLocallyRevokedKeys(t *testing.T) {
	t.Parallel()
	withCluster(t, cachestore.Options{AllowStaleAfterLease: time.Hour}, func(t *testing.T, cl *cluster) {
		d := cl.db.create(t, 1)
		wantLookup(t, cl.local, d, nil)
		cl.localFeed.fail()
		cl.db.before.Store(new(func(context.Context) error { return errDown }))
		time.Sleep(time.Minute)
		wantLookup(t, cl.local, d, nil)
		cl.db.revoke(t, 1)
		wantLookup(t, cl.local, d, apikey.ErrUnavailable)
	})
}
