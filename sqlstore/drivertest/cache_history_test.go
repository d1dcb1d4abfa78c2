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

// A tracked key is one whose every write is remembered. One goroutine writes to it, so its
// states are in order: 0 is that it does not exist, and i+1 comes of writes[i].
type tracked struct {
	secret apikey.Secret
	node   int // whose process writes it

	mu     sync.Mutex
	id     string
	writes []trackedWrite
}

type trackedWrite struct {
	name       string // that the key has then
	ends       bool   // it is revoked or expired then
	begin, end time.Time
}

// write remembers a write while carrying it out.
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

// last returns the last write, of which there is none before the creation.
func (k *tracked) last() (w trackedWrite, ok bool) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if len(k.writes) == 0 {
		return w, false
	}
	return k.writes[len(k.writes)-1], true
}

// judge compares an answer with what it may have been. lag tells by how much the answer was
// behind, and is 0 if it was not.
func (k *tracked) judge(key *apikey.Key, err error, begin, end time.Time, slack time.Duration) (lag time.Duration, problem string) {
	k.mu.Lock()
	defer k.mu.Unlock()
	first, last := 0, 0 // the states that were seen
	switch {
	case err == nil:
		for i, w := range k.writes {
			if !w.ends && w.name == key.Name {
				first, last = i+1, i+1
			}
		}
		if first == 0 {
			return 0, "accepted with a name that it never had: " + key.Name
		}
	case errors.Is(err, apikey.ErrRevoked), errors.Is(err, apikey.ErrExpired):
		first, last = len(k.writes), len(k.writes)
		if last == 0 || !k.writes[last-1].ends {
			return 0, "refused, and was neither revoked nor expired: " + err.Error()
		}
	case errors.Is(err, apikey.ErrNotFound):
	default:
		return 0, ""
	}
	if first > 0 && k.writes[first-1].begin.After(end) {
		return 0, "a state from after the answer"
	}
	for i, w := range k.writes {
		if i+1 <= last || w.end.IsZero() || !w.end.Before(begin) {
			continue
		}
		lag = max(lag, begin.Sub(w.end))
		if w.end.Add(slack).Before(begin) {
			problem = fmt.Sprintf("key %s: the answer is of state %d (%v), %v after write %d had returned; %v are permitted",
				k.id, last, err, begin.Sub(w.end), i+1, slack)
		}
	}
	return lag, problem
}

// Two processes write and look up at the same time. Nowhere is an answer older than the Lease
// when the request begins, and in the process that has written none is older at all; so no
// revoked key is accepted, and no key that was created is unknown.
func TestTwoCachesOnOneDatabase(t *testing.T) {
	t.Parallel()
	const atLeast, atMost = 2 * time.Second, time.Minute
	atOnce(t, func(t *testing.T, e engine) {
		dsn := e.openTables(t)
		d := newDice(t)
		nodes := [2]*cacheNode{}
		for i := range nodes {
			if i == 1 && e.name != "SQLite" {
				// Answers arrive in another order than they were given in.
				_, dsn = overLine(t, e, dsn, 0, 40*time.Millisecond)
			}
			nodes[i] = e.openNode(t, dsn, sqlstore.Options{}, quick)
			nodes[i].awaitLease(t)
		}
		const writers, each = 4, 50
		keys := make([]*tracked, writers*each)
		for i := range keys {
			keys[i] = &tracked{secret: foreignSecret(i), node: i % writers % len(nodes)}
		}
		var names atomic.Int64
		var recent atomic.Pointer[tracked] // whose writer was last heard of
		var mu sync.Mutex
		count := map[string]int{}
		var behind time.Duration
		begin := time.Now()
		// Until each kind of write was made some times, however slow the machine is.
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
						lag, problem := k.judge(key, err, begin, time.Now(), slack)
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
		count["from memory"] = int(nodes[0].cache.Stats().Hits + nodes[1].cache.Stats().Hits)
		t.Logf("%v, by %v at most", count, behind)
		for _, what := range []string{"accepted", "unknown", "revoked or expired", "behind", "from memory", "create", "update", "revoke", "expire", "replace"} {
			assert.Positive(t, count[what], "%s: the history tests little", what)
		}
		requireSoundRevisions(t, nodes[0].db)
	})
}

// writeSomething makes one write to one of the keys.
func writeSomething(t *testing.T, d *dice, node *cacheNode, own []*tracked, names *atomic.Int64, recent *atomic.Pointer[tracked]) (what string, err error) {
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
			key, err := node.issuer.Import(ctx, k.secret, apikey.Key{Name: name})
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
	switch dice := d.intn(10); {
	case dice < 4:
		return "update", k.write(name, false, func() error { return errorOf(node.store.Update(ctx, k.id, apikey.Patch{Name: &name})) })
	case dice < 6:
		return "revoke", k.write("", true, func() error { return errorOf(node.store.Revoke(ctx, k.id)) })
	case dice < 8:
		return "expire", k.write("", true, func() error { return errorOf(node.store.Update(ctx, k.id, apikey.Patch{ExpiresAt: &past})) })
	}
	successor := fresh[d.intn(len(fresh))]
	digest, err := foreign.Digest(successor.secret)
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

// A key that is created is valid elsewhere with the next poll, although it is remembered there
// that nobody had it.
func TestAKeyThatWasUnknownElsewhereIsValidWithinAPoll(t *testing.T) {
	t.Parallel()
	atOnce(t, func(t *testing.T, e engine) {
		o := quick
		o.Poll, o.QueryTimeout, o.Lease = 300*time.Millisecond, time.Second, 3*time.Second
		dsn := e.openTables(t)
		here, there := e.openNode(t, dsn, sqlstore.Options{}, o), e.openNode(t, dsn, sqlstore.Options{}, o)
		here.awaitLease(t)
		there.awaitLease(t)
		for i := range 5 {
			hits := there.cache.Stats().UnknownHits
			eventually(t, 10*time.Second, "it is remembered that nobody has the key", func() bool {
				require.ErrorIs(t, errorOf(here.verify(foreignSecret(i))), apikey.ErrNotFound)
				require.ErrorIs(t, errorOf(there.verify(foreignSecret(i))), apikey.ErrNotFound)
				return there.cache.Stats().UnknownHits > hits
			})
			here.issue(t, i)
			require.NoError(t, errorOf(here.verify(foreignSecret(i))), "at once where it was created")
			eventually(t, o.Poll+o.QueryTimeout, "the key is valid elsewhere", func() bool {
				return errorOf(there.verify(foreignSecret(i))) == nil
			})
		}
	})
}
