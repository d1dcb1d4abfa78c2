package drivertest

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// Nodes have different clocks and write at different times. The latest use wins.
func TestLastUseNeverGoesBack(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		a, b := e.openStore(t, dsn, sqlstore.Options{}), e.openStore(t, dsn, sqlstore.Options{})
		addKeys(t, a, 0, 1)
		start := time.Now().Truncate(time.Second)
		addr := func(seconds time.Duration) netip.Addr { return netip.AddrFrom4([4]byte{192, 0, 2, byte(seconds)}) }
		for _, step := range []struct {
			node       *sqlstore.Store
			used, want time.Duration
		}{{a, 5, 5}, {b, 3, 5}, {b, 8, 8}, {a, 8, 8}, {a, 7, 8}, {b, 9, 9}} {
			step.node.Touch(digestOf(0), apikey.Use{At: start.Add(step.used * time.Second), Addr: addr(step.used)})
			require.NoError(t, step.node.Flush(t.Context()))
			assert.True(t, start.Add(step.want*time.Second).Equal(lastUse(t, a, 0)), "after a use at %d", step.used)
			key, err := b.Get(t.Context(), keyOf(0).ID)
			require.NoError(t, err)
			assert.Equal(t, addr(step.want), key.LastUsedAddr, "after a use at %d", step.used)
		}
	})
}

// Two nodes that wrote the same keys in different orders would deadlock.
func TestConcurrentFlushes(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		for _, test := range []struct{ name, parameter, value, only string }{
			{name: "default settings"},
			{"serializable transactions", "default_transaction_isolation", "serializable", "PostgreSQL"},
		} {
			if test.only != "" && test.only != e.name {
				continue
			}
			t.Run(test.name, func(t *testing.T) {
				const rounds = 3
				keys := 5000
				if raceDetector {
					keys = 1000
				}
				dsn := withParameter(t, e, e.create(t), test.parameter, test.value)
				options := sqlstore.Options{TouchInterval: time.Hour, WriteTimeout: time.Minute}
				nodes := []*sqlstore.Store{e.openStore(t, dsn, options), e.openStore(t, dsn, options)}
				db := e.openDB(t, dsn)
				e.fill(t, db, keys, "0")
				start := time.Now()
				for round := range rounds {
					var all sync.WaitGroup
					for _, node := range nodes {
						for i := range keys {
							node.Touch(filledDigest(i+1), apikey.Use{At: start.Add(time.Duration(round) * time.Second)})
						}
						all.Go(func() { assert.NoError(t, node.Flush(t.Context())) })
					}
					all.Wait()
				}
				last := start.Add((rounds - 1) * time.Second).Truncate(time.Second).UnixMicro()
				assert.EqualValues(t, keys, queryInt(t, db, "SELECT COUNT(*) FROM apikey_used"))
				assert.Equal(t, last, queryInt(t, db, "SELECT MIN(at) FROM apikey_used"))
			})
		}
	})
}

// Concurrent writes of uses and of keys both succeed, and no revocation is undone.
func TestFlushRacesRevoke(t *testing.T) {
	t.Parallel()
	forEachEngine(t, func(t *testing.T, e engine) {
		const keys = 40
		dsn := e.create(t)
		options := sqlstore.Options{TouchInterval: time.Hour, WriteTimeout: time.Minute}
		writer, toucher := e.openStore(t, dsn, options), e.openStore(t, dsn, options)
		addKeys(t, writer, 0, keys)
		written := make(chan struct{})
		var all sync.WaitGroup
		all.Go(func() {
			defer close(written)
			for n := range keys {
				if n%3 == 0 {
					_, err := writer.Replace(t.Context(), keyOf(n).ID, time.Now().Add(time.Hour), digestOf(1000+n), keyOf(1000+n))
					assert.NoError(t, err)
				}
				_, err := writer.Revoke(t.Context(), keyOf(n).ID)
				assert.NoError(t, err)
			}
		})
		all.Go(func() {
			for second := int64(1); ; second++ {
				select {
				case <-written:
					return
				default:
				}
				for n := range keys {
					toucher.Touch(digestOf(n), apikey.Use{At: time.Unix(second, 0)})
				}
				if !assert.NoError(t, toucher.Flush(t.Context())) {
					return
				}
			}
		})
		all.Wait()
		for n := range keys {
			key, err := toucher.Lookup(t.Context(), digestOf(n))
			require.NoError(t, err)
			require.ErrorIs(t, key.Check(time.Now()), apikey.ErrRevoked)
		}
		requireConsistentRevisions(t, e.openDB(t, dsn))
	})
}
