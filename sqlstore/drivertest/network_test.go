//go:build long

package drivertest

import (
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// onNetwork runs a test against every engine that is reached by one, with a store behind a
// proxy and another one that reaches the same database without it.
func onNetwork(t *testing.T, o sqlstore.Options, test func(t *testing.T, e engine, p *proxy, node, other *sqlstore.Store)) {
	onEach(t, func(t *testing.T, e engine) {
		if e.name == "SQLite" {
			return
		}
		dsn := e.create(t)
		p, proxied := throughProxy(t, e, dsn)
		o.Logger = silent
		node := e.newStore(t, e.openDB(t, proxied), o)
		other := e.openStore(t, dsn, sqlstore.Options{ReadTimeout: patience * 2 * time.Second, WriteTimeout: patience * 5 * time.Second})
		addKeys(t, other, 0, 1)
		test(t, e, p, node, other)
		p.heal() // for Close
	})
}

// The network freezes amid a write. That one returns in its time, and says nothing untrue;
// another node's write is not kept waiting by what is left of it for more than 5 s.
func TestFrozenAtEveryStepOfAWrite(t *testing.T) {
	t.Parallel()
	const timeout = time.Second // of a write on a busy machine
	var all sync.WaitGroup
	places := make(chan struct{}, 8) // they only wait, so many may do it at once
	for _, passing := range []bool{false, true} {
		for step := 1; step <= 15; step++ {
			all.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				t.Run(fmt.Sprintf("request %d, which the server gets: %v", step, passing), func(t *testing.T) {
					onNetwork(t, sqlstore.Options{WriteTimeout: timeout}, func(t *testing.T, e engine, p *proxy, node, other *sqlstore.Store) {
						addKeys(t, other, 1, 3)
						// So that the connection knows the statements, and only this write's
						// own requests are counted. A busy machine may want more than one try.
						eventually(t, 20*time.Second, "a write while nothing is wrong", func() bool {
							return errorOf(node.Revoke(t.Context(), keyOf(0).ID)) == nil
						})
						p.freezeAt(step, passing)
						begin := time.Now()
						_, err := node.Revoke(t.Context(), keyOf(1).ID)
						assert.Less(t, time.Since(begin), timeout+patience*2*time.Second) // 1 s of it for the rollback
						if !p.isFrozen() {
							require.Greater(t, step, 5, "the requests of a write")
							require.NoError(t, err)
							return
						}
						before := time.Now()
						again, otherErr := other.Revoke(t.Context(), keyOf(1).ID)
						require.NoError(t, otherErr)
						assert.Less(t, time.Since(before), patience*5*time.Second)
						if err == nil {
							require.True(t, again.RevokedAt.Before(before), "Revoke has returned nil, but the key was not revoked")
						}
					})
				})
			})
		}
	}
	all.Wait()
}

// No answer is an error, and in time; it never reads as "no such key".
func TestReadsThroughABrokenNetworkAreErrors(t *testing.T) {
	t.Parallel()
	const timeout = 300 * time.Millisecond
	onNetwork(t, sqlstore.Options{ReadTimeout: timeout}, func(t *testing.T, e engine, p *proxy, node, other *sqlstore.Store) {
		for _, test := range []struct {
			name   string
			damage func()
		}{
			{"frozen", p.freeze},
			{"refused", p.refuse},
		} {
			t.Run(test.name, func(t *testing.T) {
				eventually(t, 20*time.Second, "a read while nothing is wrong", func() bool {
					return errorOf(node.Lookup(t.Context(), digestOf(0))) == nil
				})
				test.damage()
				for name, read := range map[string]func() error{
					"Lookup":   func() error { return errorOf(node.Lookup(t.Context(), digestOf(0))) },
					"LookupAt": func() error { return errorOf3(node.LookupAt(t.Context(), digestOf(0))) },
					"Get":      func() error { return errorOf(node.Get(t.Context(), keyOf(0).ID)) },
					"List":     func() error { return errorOf(node.List(t.Context(), apikey.ListOptions{})) },
					"Audit":    func() error { return errorOf3(node.Audit(t.Context(), "", "", 0)) },
					"Changes":  func() error { return errorOf(node.Changes(t.Context(), apikey.Cursor{})) },
				} {
					begin := time.Now()
					err := read()
					assert.Error(t, err, name)
					assert.NotErrorIs(t, err, apikey.ErrNotFound, name)
					assert.Less(t, time.Since(begin), timeout+patience*2*time.Second, name)
				}
				p.heal()
				eventually(t, 2*time.Second, "reads go on", func() bool {
					return errorOf(node.Lookup(t.Context(), digestOf(0))) == nil
				})
			})
		}
	})
}

// A firewall, or a server that was restarted, closes what is idle.
func TestDeadIdleConnections(t *testing.T) {
	t.Parallel()
	onNetwork(t, sqlstore.Options{}, func(t *testing.T, e engine, p *proxy, node, other *sqlstore.Store) {
		for round := range 3 {
			var all sync.WaitGroup
			for range 8 { // as many connections as there can be
				all.Go(func() { node.Lookup(t.Context(), digestOf(0)) })
			}
			all.Wait()
			n := round + 1
			addKeys(t, other, n, n+1)
			p.cut()
			eventually(t, 2*time.Second, "a read succeeds", func() bool {
				return errorOf(node.Lookup(t.Context(), digestOf(0))) == nil
			})
			p.cut()
			eventually(t, 2*time.Second, "a revocation succeeds", func() bool {
				return errorOf(node.Revoke(t.Context(), keyOf(n).ID)) == nil
			})
		}
	})
}

// While the server is away, writes fail; when it is back, the next one succeeds.
func TestWritesWhileTheServerIsAway(t *testing.T) {
	t.Parallel()
	onNetwork(t, sqlstore.Options{WriteTimeout: 300 * time.Millisecond}, func(t *testing.T, e engine, p *proxy, node, other *sqlstore.Store) {
		eventually(t, 20*time.Second, "a write while nothing is wrong", func() bool {
			return errorOf(node.Update(t.Context(), keyOf(0).ID, apikey.Patch{})) == nil
		})
		p.refuse()
		for range 3 {
			require.Error(t, errorOf(node.Revoke(t.Context(), keyOf(0).ID)))
		}
		key, err := other.Get(t.Context(), keyOf(0).ID)
		require.NoError(t, err)
		require.Zero(t, key.RevokedAt)
		p.heal()
		eventually(t, 2*time.Second, "a revocation succeeds", func() bool {
			return errorOf(node.Revoke(t.Context(), keyOf(0).ID)) == nil
		})
	})
}
