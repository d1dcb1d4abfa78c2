//go:build long

package drivertest

import (
	"net/http"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A revocable key is valid until another node revokes it.
type revocable struct {
	secret apikey.Secret
	id     string

	mu             sync.Mutex
	begun, revoked time.Time // when Revoke was called and when it returned; zero before
}

func (k *revocable) revokeAt(t testing.TB, other *cacheNode) {
	t.Helper()
	k.mu.Lock()
	k.begun = time.Now()
	k.mu.Unlock()
	_, err := other.store.Revoke(t.Context(), k.id)
	require.NoError(t, err)
	k.mu.Lock()
	k.revoked = time.Now()
	k.mu.Unlock()
}

// An outage is a time in which the database does not answer.
type outage struct {
	mu    sync.Mutex
	since time.Time // zero if there is no outage
}

func (o *outage) begin() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since = time.Now()
}

func (o *outage) end() {
	o.mu.Lock()
	defer o.mu.Unlock()
	o.since = time.Time{}
}

func (o *outage) started() time.Time {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.since
}

// request makes one request and checks its status against the guarantees of the lease.
func (k *revocable) request(t testing.TB, n *cacheNode, o *outage, lease time.Duration) int {
	since, begin := o.started(), time.Now()
	status := n.status(t, k.secret)
	over := o.started()
	k.mu.Lock()
	defer k.mu.Unlock()
	switch status {
	case http.StatusOK:
		if !k.revoked.IsZero() && begin.After(k.revoked.Add(lease)) {
			t.Errorf("key %s was accepted %v after its revocation", k.id, begin.Sub(k.revoked))
		}
	case http.StatusUnauthorized:
		if k.begun.IsZero() {
			t.Errorf("key %s is valid but got 401", k.id)
		}
	case http.StatusServiceUnavailable:
	default:
		t.Errorf("key %s: status %d", k.id, status)
	}
	if !since.IsZero() && since.Equal(over) && begin.After(since.Add(lease)) && status != http.StatusServiceUnavailable {
		t.Errorf("key %s: status %d, %v after the last answer of the database", k.id, status, begin.Sub(since))
	}
	return status
}

// One node loses its connection to the database in several ways while another node revokes keys.
// The node accepts no revoked key after the Lease, refuses no valid key with 401, and recovers.
func TestPartitionedNodeObeysTheLease(t *testing.T) { // not parallel; see quick
	inParallelOnServers(t, func(t *testing.T, e engine) {
		const lasting, revokedEach = 5, 2
		dsn := e.openTables(t)
		p, proxied := throughProxy(t, e, dsn)
		d := newLockedRand(t)
		other := e.openNode(t, dsn, sqlstore.Options{}, quick)
		node := e.openNode(t, proxied, sqlstore.Options{}, quick)
		faults := []struct {
			name   string
			inject func()
			outage bool // lasts until heal
		}{
			{"cut", p.cut, false}, {"frozen", p.freeze, true}, {"refused", p.refuse, true},
			{"frozen and then refused", func() { p.freeze(); <-time.After(d.delay(100 * time.Millisecond)); p.refuse() }, true},
		}
		var keys []*revocable
		for i := range lasting + revokedEach*2*len(faults) {
			keys = append(keys, &revocable{secret: importedSecret(i), id: other.issue(t, i).ID})
		}
		unknown := importedSecret(1_000_000)
		var down outage
		stop := make(chan struct{})
		var load sync.WaitGroup
		node.labelled(func() {
			for range 3 {
				load.Go(func() {
					for {
						select {
						case <-stop:
							return
						case <-time.After(d.delay(2 * time.Millisecond)):
						}
						keys[d.intn(len(keys))].request(t, node, &down, quick.Lease)
					}
				})
			}
		})
		healthy := func() {
			t.Helper()
			eventually(t, 2*time.Second, "all keys are answered", func() bool {
				for _, k := range keys {
					want := http.StatusOK
					if !k.revoked.IsZero() {
						want = http.StatusUnauthorized
					}
					if k.request(t, node, &down, quick.Lease) != want {
						return false
					}
				}
				return node.status(t, unknown) == http.StatusUnauthorized
			})
		}
		eventually(t, 30*time.Second, "the first poll succeeds", func() bool { return node.cache.Stats().LeaseRemaining > 0 })
		healthy()
		order := append(d.perm(len(faults)), d.perm(len(faults))...)
		next := lasting // the next key to revoke
		for _, i := range order {
			fault := faults[i]
			fault.inject()
			if fault.outage {
				// The proxy may have accepted a connection at the same moment.
				for range 10 {
					<-time.After(5 * time.Millisecond)
					if fault.name != "frozen" {
						p.cut()
					}
				}
				down.begin()
			}
			<-time.After(d.delay(300 * time.Millisecond))
			for range revokedEach {
				keys[next].revokeAt(t, other)
				next++
			}
			<-time.After(quick.Lease + d.delay(300*time.Millisecond))
			for _, k := range keys {
				k.request(t, node, &down, quick.Lease)
			}
			if fault.outage {
				assert.Equal(t, http.StatusServiceUnavailable, node.status(t, unknown), "an unknown key")
			}
			down.end()
			p.heal()
			healthy()
		}
		close(stop)
		load.Wait()
		st := node.cache.Stats()
		t.Logf("%d hits, %d loads, %d refused, %d of %d polls failed", st.Hits, st.Loads, st.Refused, st.PollFailures, st.Polls)
		assert.Positive(t, st.Refused, "requests refused during outages")

		p.freeze()
		begin := time.Now()
		node.cache.Close()
		assert.Less(t, time.Since(begin), patience*2*time.Second, "Close of the cache on a frozen network")
		p.heal()
		require.NoError(t, node.close())
		node.requireNoLeak(t)
	})
}
