//go:build long

package drivertest

import (
	"context"
	"errors"
	"net/url"
	"os"
	"sync/atomic"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// With Listen, a revocation reaches the cache much sooner than by the regular poll. Whenever the
// notification is lost, it arrives by that poll.
func TestListenWakesCache(t *testing.T) {
	t.Parallel()
	e := engineNamed("PostgreSQL")
	e.requireServer(t)
	o := cachestore.Options{Poll: 2 * time.Second, QueryTimeout: time.Second, Lease: 5 * time.Second}
	// Notifications reach the whole database, so this test needs one of its own.
	name := randomName()
	administer(t, "pgx", os.Getenv(e.env), "CREATE DATABASE "+name, "DROP DATABASE "+name+" WITH (FORCE)")
	u, err := url.Parse(os.Getenv(e.env))
	require.NoError(t, err)
	u.Path = "/" + name
	dsn := u.String()
	e.openStore(t, dsn, sqlstore.Options{})
	here, there := e.openNode(t, dsn, sqlstore.Options{}, o), e.openNode(t, dsn, sqlstore.Options{}, o)
	there.awaitLease(t)

	var woken atomic.Int64
	wake := func() {
		woken.Add(1)
		there.cache.Wake()
	}
	p, proxied := throughProxy(t, e, dsn)
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	there.labelled(func() {
		go func() {
			ended <- sqlstore.Listen(ctx, pgx.Connect, withParameter(t, e, proxied, "application_name", name), wake)
		}()
	})
	awaitListening := func() {
		t.Helper()
		eventually(t, 30*time.Second, "Listen listens", func() bool {
			return queryInt(t, here.db, "SELECT COUNT(*) FROM pg_stat_activity WHERE state = 'idle' AND query = 'LISTEN \"apikey\"' AND application_name = '"+name+"'") == 1
		})
	}
	n := 0
	// refusedWithin revokes a key that the other node has cached and requires that it refuses the key
	// within bound.
	refusedWithin := func(bound time.Duration) {
		t.Helper()
		n++
		key := here.issue(t, n)
		eventually(t, 30*time.Second, "the key is cached", func() bool {
			hits := there.cache.Stats().Hits
			return errorOf(there.verify(importedSecret(n))) == nil && there.cache.Stats().Hits > hits
		})
		require.NoError(t, errorOf(here.store.Revoke(t.Context(), key.ID)))
		begin := time.Now()
		eventually(t, bound, "the key is refused", func() bool {
			err := errorOf(there.verify(importedSecret(n)))
			return errors.Is(err, apikey.ErrRevoked)
		})
		t.Logf("refused %v after its revocation", time.Since(begin))
	}
	awaitListening()
	for range 5 {
		refusedWithin(time.Second)
	}
	require.Positive(t, woken.Load())

	// Listen connects again after the server has ended its connection.
	require.EqualValues(t, 1, queryInt(t, here.db, "SELECT COUNT(pg_terminate_backend(pid)) FROM pg_stat_activity WHERE application_name = '"+name+"'"))
	refusedWithin(o.Lease)
	awaitListening()
	refusedWithin(time.Second)

	p.freeze()
	refusedWithin(o.Lease)
	p.heal()

	cancel()
	require.ErrorIs(t, <-ended, context.Canceled)
	require.NoError(t, there.close())
	there.requireNoLeak(t)
}
