//go:build long

package drivertest

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A tracked key records its writes. One goroutine writes it, so its states are in order: in state 0
// the key does not exist, and writes[i] leads to state i+1.
type tracked struct {
	secret apikey.Secret
	node   int // the node that writes it

	mu     sync.Mutex
	id     string
	writes []trackedWrite
}

type trackedWrite struct {
	name       string // the name of the key afterwards
	ends       bool   // whether the key is revoked or expired afterwards
	begin, end time.Time
}

// write executes and records a write.
func (k *tracked) write(name string, ends bool, do func() error) error {
	k.mu.Lock()
	k.writes = append(k.writes, trackedWrite{name: name, ends: ends, begin: time.Now()})
	w := &k.writes[len(k.writes)-1]
	k.mu.Unlock()
	err := do()
	k.mu.Lock()
	w.end = time.Now()
	k.mu.Unlock()
	return err
}

// last returns the last write, if there is any.
func (k *tracked) last() (w trackedWrite, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.writes) == 0 {
		return w, false
	}
	return k.writes[len(k.writes)-1], true
}

// check compares an answer with the states that it may come from. lag is how far the answer was
// behind, or 0.
func (k *tracked) check(key *apikey.Key, err error, begin, end time.Time, slack time.Duration) (lag time.Duration, problem string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	first, last := 0, 0 // the states that the answer may come from
	switch {
	case err == nil:
		for i, w := range k.writes {
			if !w.ends && w.name == key.Name {
				first, last = i+1, i+1
			}
		}
		if first == 0 {
			return 0, "accepted with a name that the key never had: " + key.Name
		}
	case errors.Is(err, apikey.ErrRevoked), errors.Is(err, apikey.ErrExpired):
		first, last = len(k.writes), len(k.writes)
		if last == 0 || !k.writes[last-1].ends {
			return 0, "refused although neither revoked nor expired: " + err.Error()
		}
	case errors.Is(err, apikey.ErrNotFound):
	default:
		return 0, ""
	}
	if first > 0 && k.writes[first-1].begin.After(end) {
		return 0, "a state later than the answer"
	}
	for i, w := range k.writes {
		if i+1 <= last || w.end.IsZero() || !w.end.Before(begin) {
			continue
		}
		lag = max(lag, begin.Sub(w.end))
		if w.end.Add(slack).Before(begin) {
			problem = fmt.Sprintf("key %s: the answer is from state %d (%v), %v after write %d returned; want at most %v",
				k.id, last, err, begin.Sub(w.end), i+1, slack)
		}
	}
	return lag, problem
}

// Two processes write and look up keys concurrently. In the process that wrote a key no answer is
// outdated. In the other process an answer is outdated by at most the Lease.
func TestTwoCachesOnOneDatabase(t *testing.T) { // not parallel; see quick
	const atLeast, atMost = 2 * time.Second, time.Minute
	inParallel(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		d := newLockedRand(t)
		nodes := [2]*cacheNode{}
		for i := range nodes {
			if i == 1 && e.name != "SQLite" {
				// The network reorders the answers of different connections.
				_, dsn = throughNetwork(t, e, dsn, 0, 40*time.Millisecond)
			}
			nodes[i] = e.openNode(t, dsn, sqlstore.Options{}, quick)
			nodes[i].awaitLease(t)
		}
		const writers, each = 4, 50
		keys := make([]*tracked, writers*each)
		for i := range keys {
			keys[i] = &tracked{secret: importedSecret(i), node: i % writers % len(nodes)}
		}
		var names atomic.Int64
		var recent atomic.Pointer[tracked] // the key that was written last
		var mu sync.Mutex
		count := map[string]int{}
		var behind time.Duration
		begin := time.Now()
		// The history ends after several writes of each kind, regardless of the machine's speed.
		over := func() bool {
			mu.Lock()
			defer mu.Unlock()
			took := time.Since(begin)
			return t.Failed() || took > atMost || took > atLeast &&
				min(count["update"], count["revoke"], count["expire"], count["replace"], count["behind"]/3) > 2
		}
		var all sync.WaitGroup
		for w := range writers {
			own := make([]*tracked, 0, each)
			for i := w; i < len(keys); i += writers {
				own = append(own, keys[i])
			}
			all.Go(func() {
				for !over() {
					what, err := writeSomething(t, d, nodes[own[0].node], own, &names, &recent)
					if !assert.NoError(t, err, what) {
						return
					}
					mu.Lock()
					count[what]++
					mu.Unlock()
					<-time.After(d.delay(6 * time.Millisecond))
				}
			})
		}
		for n, node := range nodes {
			for range 3 {
				all.Go(func() {
					for !over() {
						k := keys[d.intn(len(keys))]
						if r := recent.Load(); r != nil && d.intn(2) == 0 {
							k = r
						}
						slack := quick.Lease
						if n == k.node {
							slack = 0
						}
						begin := time.Now()
						key, err := node.verify(k.secret)
						lag, problem := k.check(key, err, begin, time.Now(), slack)
						assert.Empty(t, problem, "at node %d", n)
						mu.Lock()
						switch {
						case err == nil:
							count["accepted"]++
						case errors.Is(err, apikey.ErrNotFound):
							count["unknown"]++
						case errors.Is(err, apikey.ErrUnavailable):
							count["unavailable"]++
						default:
							count["revoked or expired"]++
						}
						if lag > 0 {
							count["behind"]++
							behind = max(behind, lag)
						}
						mu.Unlock()
						<-time.After(d.delay(time.Millisecond))
					}
				})
			}
		}
		all.Wait()
		count["hits"] = int(nodes[0].cache.Stats().Hits + nodes[1].cache.Stats().Hits)
		t.Logf("%v, at most %v behind", count, behind)
		for _, what := range []string{"accepted", "unknown", "revoked or expired", "behind", "hits", "create", "update", "revoke", "expire", "replace"} {
			assert.Positive(t, count[what], "%s in the history", what)
		}
		requireConsistentRevisions(t, nodes[0].db)
	})
}

// writeSomething makes one random write to one of the keys.
func writeSomething(t *testing.T, d *lockedRand, node *cacheNode, own []*tracked, names *atomic.Int64, recent *atomic.Pointer[tracked]) (what string, err error) {
	ctx := t.Context()
	var alive, fresh []*tracked
	for _, k := range own {
		if last, exists := k.last(); !exists {
			fresh = append(fresh, k)
		} else if !last.ends {
			alive = append(alive, k)
		}
	}
	if len(fresh) == 0 {
		return "nothing", nil
	}
	name := fmt.Sprintf("name %d", names.Add(1))
	if len(alive) < 2 || d.intn(4) == 0 {
		k := fresh[d.intn(len(fresh))]
		return "create", k.write(name, false, func() error {
			key, err := node.issuer.Import(ctx, apikey.ImportedKey{Secret: k.secret, Name: name})
			k.mu.Lock()
			k.id = key.ID
			k.mu.Unlock()
			return err
		})
	}
	k := alive[d.intn(len(alive))]
	if slices.Contains(alive, recent.Load()) && d.intn(2) == 0 {
		k = recent.Load()
	}
	last, _ := k.last()
	recent.Store(k)
	past := time.Now().Add(-time.Hour)
	switch n := d.intn(10); {
	case n < 4:
		return "update", k.write(name, false, func() error { return errorOf(node.store.Update(ctx, k.id, apikey.Patch{Name: &name})) })
	case n < 6:
		return "revoke", k.write("", true, func() error { return errorOf(node.store.Revoke(ctx, k.id)) })
	case n < 8:
		return "expire", k.write("", true, func() error { return errorOf(node.store.Update(ctx, k.id, apikey.Patch{ExpiresAt: &past})) })
	}
	successor := fresh[d.intn(len(fresh))]
	digest, err := imported.Digest(successor.secret)
	if err != nil {
		return "digest", err
	}
	id := fmt.Sprintf("successor-%d", names.Load())
	successor.mu.Lock()
	successor.id = id
	successor.mu.Unlock()
	return "replace", successor.write(last.name, false, func() error {
		return k.write("", true, func() error {
			return errorOf(node.store.Replace(ctx, k.id, past, digest, apikey.Key{ID: id, CreatedAt: time.Now()}))
		})
	})
}

// A new key is valid on another node after its next poll, even if this node has cached that the key
// is unknown.
func TestNewKeyIsValidEverywhereWithinAPoll(t *testing.T) {
	t.Parallel()
	inParallel(t, func(t *testing.T, e engine) {
		o := quick
		o.Poll, o.QueryTimeout, o.Lease = 300*time.Millisecond, time.Second, 3*time.Second
		dsn := e.openTables(t)
		here, there := e.openNode(t, dsn, sqlstore.Options{}, o), e.openNode(t, dsn, sqlstore.Options{}, o)
		here.awaitLease(t)
		there.awaitLease(t)
		for i := range 5 {
			hits := there.cache.Stats().UnknownHits
			eventually(t, 10*time.Second, "the cache remembers that the key is unknown", func() bool {
				require.ErrorIs(t, errorOf(here.verify(importedSecret(i))), apikey.ErrNotFound)
				require.ErrorIs(t, errorOf(there.verify(importedSecret(i))), apikey.ErrNotFound)
				return there.cache.Stats().UnknownHits > hits
			})
			here.issue(t, i)
			require.NoError(t, errorOf(here.verify(importedSecret(i))), "on the node that created the key")
			eventually(t, o.Poll+o.QueryTimeout, "the key is valid on the other node", func() bool {
				return errorOf(there.verify(importedSecret(i))) == nil
			})
		}
	})
}
