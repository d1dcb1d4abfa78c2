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

// onNetwork runs a test against every server. node reaches the database through a proxy and other
// reaches it directly.
func onNetwork(t *testing.T, o sqlstore.Options, test func(t *testing.T, e engine, p *proxy, node, other *sqlstore.Store)) {
	o.Logger = silent
	inParallelOnServers(t, func(t *testing.T, e engine) {
		dsn := e.create(t)
		p, proxied := throughProxy(t, e, dsn)
		node := e.newStore(t, e.openDB(t, proxied), o)
		other := e.openStore(t, dsn, sqlstore.Options{ReadTimeout: patience * 2 * time.Second, WriteTimeout: patience * 5 * time.Second})
		addKeys(t, other, 0, 1)
		test(t, e, p, node, other)
		p.heal() // for Close
	})
}

// If the network freezes during a write, the write returns by its timeout. It does not return nil
// for a write that did not happen. The abandoned transaction delays another node's write by at most
// 5 s.
func TestFreezeAtEveryStepOfAWrite(t *testing.T) {
	t.Parallel()
	const timeout = time.Second // enough for a write on a busy machine
	var all sync.WaitGroup
	places := make(chan struct{}, 8) // the subtests mostly wait, so several run at the same time
	for _, passing := range []bool{false, true} {
		for step := 1; step <= 15; step++ {
			all.Go(func() {
				places <- struct{}{}
				defer func() { <-places }()
				t.Run(fmt.Sprintf("request %d, delivered=%v", step, passing), func(t *testing.T) {
					onNetwork(t, sqlstore.Options{WriteTimeout: timeout}, func(t *testing.T, e engine, p *proxy, node, other *sqlstore.Store) {
						addKeys(t, other, 1, 3)
						// The first write opens the connection, so that the proxy counts the requests
						// of the second one only. A busy machine may need more than one attempt.
						eventually(t, 20*time.Second, "a write succeeds before the freeze", func() bool {
							return errorOf(node.Revoke(t.Context(), keyOf(0).ID)) == nil
						})
						p.freezeAt(step, passing)
						begin := time.Now()
						_, err := node.Revoke(t.Context(), keyOf(1).ID)
						assert.Less(t, time.Since(begin), timeout+patience*2*time.Second) // includes the rollback
						if !p.isFrozen() {
							require.Greater(t, step, 5, "requests of a write")
							require.NoError(t, err)
							return
						}
						before := time.Now()
						again, otherErr := other.Revoke(t.Context(), keyOf(1).ID)
						require.NoError(t, otherErr)
						assert.Less(t, time.Since(before), patience*5*time.Second)
						if err == nil {
							require.True(t, again.RevokedAt.Before(before), "Revoke returned nil, but the key was not revoked")
						}
					})
				})
			})
		}
	}
	all.Wait()
}

// Without an answer, a read returns an error by its timeout, and not ErrNotFound.
func TestReadsFailDuringOutage(t *testing.T) {
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
				eventually(t, 20*time.Second, "a read succeeds before the outage", func() bool {
					return errorOf(node.Lookup(t.Context(), digestOf(0))) == nil
				})
				test.damage()
				for name, read := range map[string]func() error{
					"Lookup":   func() error { return errorOf(node.Lookup(t.Context(), digestOf(0))) },
					"LookupAt": func() error { return errorOf3(node.LookupAt(t.Context(), digestOf(0))) },
					"Get":      func() error { return errorOf(node.Get(t.Context(), keyOf(0).ID)) },
					"List":     func() error { return errorOf(node.List(t.Context(), apikey.ListOptions{})) },
					"Audit":    func() error { return errorOf(node.Audit(t.Context(), apikey.AuditOptions{})) },
					"Changes":  func() error { return errorOf(node.Changes(t.Context(), apikey.Version{})) },
				} {
					begin := time.Now()
					err := read()
					assert.Error(t, err, name)
					assert.NotErrorIs(t, err, apikey.ErrNotFound, name)
					assert.Less(t, time.Since(begin), timeout+patience*2*time.Second, name)
				}
				p.heal()
				eventually(t, 2*time.Second, "a read succeeds after the outage", func() bool {
					return errorOf(node.Lookup(t.Context(), digestOf(0))) == nil
				})
			})
		}
	})
}

// A firewall or a restarted server closes idle connections.
func TestDeadIdleConnections(t *testing.T) {
	t.Parallel()
	onNetwork(t, sqlstore.Options{}, func(t *testing.T, e engine, p *proxy, node, other *sqlstore.Store) {
		for round := range 3 {
			var all sync.WaitGroup
			for range 8 { // the size of the pool
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

// Writes fail while the server is unreachable and succeed afterwards.
func TestWritesFailDuringOutage(t *testing.T) {
	t.Parallel()
	onNetwork(t, sqlstore.Options{WriteTimeout: 300 * time.Millisecond}, func(t *testing.T, e engine, p *proxy, node, other *sqlstore.Store) {
		eventually(t, 20*time.Second, "a write succeeds before the outage", func() bool {
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
