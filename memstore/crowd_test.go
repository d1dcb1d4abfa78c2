package memstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
)

// A crowd is a Store that many goroutines use at once, with the facts they know about its keys.
type crowd struct {
	*testing.T
	*Store
	ids     []string
	digests []apikey.Digest
	next    atomic.Int64 // index of the next unused ID
	known   []facts
}

// The facts about a key stay true once they are set.
type facts struct {
	exists  atomic.Bool
	changed atomic.Bool  // Changes must list its digest
	revoked atomic.Int64 // Unix microseconds
}

func newCrowd(t *testing.T, keys int) *crowd {
	c := &crowd{T: t, Store: New(), known: make([]facts, keys)}
	for i := range keys {
		c.ids = append(c.ids, fmt.Sprintf("k%05d", i))
		c.digests = append(c.digests, digestOf(c.ids[i]))
	}
	return c
}

// check compares a key that was read to the facts known before the read.
func (c *crowd) check(i int, key apikey.Key, revokedBefore int64) {
	if key.ID != c.ids[i] || key.Owner != "operations" {
		c.Errorf("the key has ID %s and Owner %s; want %s and operations", key.ID, key.Owner, c.ids[i])
	}
	at := int64(0)
	if !key.RevokedAt.IsZero() {
		at = key.RevokedAt.UnixMicro()
	}
	if revokedBefore != 0 && at != revokedBefore {
		c.Errorf("%s: RevokedAt = %d; it was %d before", key.ID, at, revokedBefore)
	}
	if at != 0 && !c.known[i].revoked.CompareAndSwap(0, at) && c.known[i].revoked.Load() != at {
		c.Errorf("%s: RevokedAt = %d and = %d", key.ID, c.known[i].revoked.Load(), at)
	}
	// Every writer sets the name, the scope and the metadata to the same text.
	if len(key.Scopes) != 1 || key.Scopes[0] != key.Name || key.Metadata["name"] != key.Name {
		c.Errorf("%s: Name %s, Scopes %s, Metadata %v; want all from one write", key.ID, key.Name, key.Scopes, key.Metadata)
	}
}

func (c *crowd) write(random *rand.Rand) {
	ctx := context.Background()
	used := int(c.next.Load())
	choice := random.IntN(10)
	if used == 0 || choice < 3 {
		i := int(c.next.Add(1)) - 1
		err := c.Create(ctx, c.digests[i], apikey.Key{
			ID: c.ids[i], Owner: "operations", Name: "first", Scopes: []string{"first"}, Metadata: map[string]string{"name": "first"},
		})
		if err != nil {
			c.Error(err)
		}
		c.known[i].exists.Store(true)
		return
	}
	i := random.IntN(used)
	existed, revoked := c.known[i].exists.Load(), c.known[i].revoked.Load()
	var key apikey.Key
	var err error
	switch {
	case choice < 6:
		name := fmt.Sprintf("n%d", random.IntN(1000))
		scopes, metadata := []string{name}, map[string]string{"name": name}
		key, err = c.Update(ctx, c.ids[i], apikey.Patch{Name: &name, Scopes: &scopes, Metadata: &metadata})
		scopes[0], metadata["name"] = "mine", "mine" // the Store must have copies
	case choice < 8:
		key, err = c.Revoke(ctx, c.ids[i])
		if err == nil && key.RevokedAt.IsZero() {
			c.Errorf("Revoke(%s) returned a key that is not revoked", key.ID)
		}
	default:
		j := int(c.next.Add(1)) - 1
		key, err = c.Replace(ctx, c.ids[i], time.Now().Add(time.Hour), c.digests[j], apikey.Key{ID: c.ids[j]})
		if err == nil {
			if key.Replaces != c.ids[i] || revoked != 0 {
				c.Errorf("Replace(%s), revoked at %d, = %s, which replaces %q", c.ids[i], revoked, key.ID, key.Replaces)
			}
			c.known[j].exists.Store(true)
			c.known[i].changed.Store(true)
			c.check(j, key, 0)
			return
		}
		if errors.Is(err, apikey.ErrRevoked) || errors.Is(err, apikey.ErrReplaced) {
			return
		}
	}
	switch {
	case err == nil:
		c.known[i].changed.Store(true)
		c.check(i, key, revoked)
	case !errors.Is(err, apikey.ErrNotFound) || existed:
		c.Errorf("write to %s, which exists: %v: error %v", c.ids[i], existed, err)
	}
}

func (c *crowd) read(random *rand.Rand) {
	ctx := context.Background()
	i := random.IntN(len(c.ids))
	if used := int(c.next.Load()); used > 0 && random.IntN(10) > 0 {
		i = random.IntN(used)
	}
	existed, revoked := c.known[i].exists.Load(), c.known[i].revoked.Load()
	var err error
	if random.IntN(2) == 0 {
		var key apikey.Key
		if key, err = c.Get(ctx, c.ids[i]); err == nil {
			c.check(i, key, revoked)
			key.Scopes[0], key.Metadata["name"] = "mine", "mine" // the Store must have a copy
		}
	} else {
		var key *apikey.Key
		if key, err = c.Lookup(ctx, c.digests[i]); err == nil {
			c.check(i, *key, revoked)
			c.Touch(c.digests[i], apikey.Use{At: time.Now()})
		}
	}
	if err != nil && (existed || !errors.Is(err, apikey.ErrNotFound)) {
		c.Errorf("read of %s, which exists: %v: error %v", c.ids[i], existed, err)
	}
}

// list walks all pages and checks that each key that existed before is listed once.
func (c *crowd) list(o apikey.ListOptions) {
	var before []int
	for i := range int(c.next.Load()) {
		if c.known[i].exists.Load() {
			before = append(before, i)
		}
	}
	seen := make(map[string]int)
	for {
		page, err := c.List(context.Background(), o)
		if err != nil {
			c.Error(err)
			return
		}
		for _, key := range page.Keys {
			seen[key.ID]++
		}
		if o.Cursor = page.Next; o.Cursor == "" {
			break
		}
	}
	for _, i := range before {
		if seen[c.ids[i]] != 1 {
			c.Errorf("sort %s: %s was listed %d times; want once", o.Sort, c.ids[i], seen[c.ids[i]])
		}
	}
}

func TestConcurrentReadersAndWriters(t *testing.T) {
	t.Parallel()
	const writes, writers, reads, readers, lists = 1200, 4, 6000, 3, 10
	c := newCrowd(t, writes*writers)
	var working, others sync.WaitGroup
	for w := range writers {
		working.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(w)))
			for range writes {
				c.write(random)
			}
		})
	}
	for r := range readers {
		others.Go(func() {
			random := rand.New(rand.NewPCG(2, uint64(r)))
			for range reads {
				c.read(random)
			}
		})
	}
	others.Go(func() {
		for range lists {
			// A list by name may miss a key that is renamed while it is walked.
			c.list(apikey.ListOptions{Sort: apikey.SortNewest, Limit: 100})
		}
	})
	// A cache follows the feed and is never so far behind that it gets a Reset.
	listed := make(map[apikey.Digest]bool)
	var done atomic.Bool
	since := c.head()
	others.Go(func() {
		for last := false; !last; {
			last = done.Load() // one more poll follows the last write
			changes, err := c.Changes(context.Background(), since)
			if err != nil || changes.Reset || changes.Head.Revision < since.Revision {
				t.Errorf("Changes(%+v) = Reset %v, Head %+v, %v; want the digests and a newer Head", since, changes.Reset, changes.Head, err)
				return
			}
			for _, d := range changes.Digests {
				listed[d] = true
			}
			since = changes.Head
		}
	})
	working.Wait()
	done.Store(true)
	others.Wait()

	assert.Equal(t, c.head(), since)
	var changed, exist, revoked int
	for i := range c.known {
		if c.known[i].changed.Load() {
			changed++
			assert.True(t, listed[c.digests[i]], "Changes did not list %s, which changed", c.ids[i])
		}
		if c.known[i].exists.Load() {
			exist++
		}
		if c.known[i].revoked.Load() != 0 {
			revoked++
		}
	}
	assert.Len(t, listed, changed, "Changes listed digests that did not change")
	page := walk(t, c.Store, apikey.ListOptions{Status: apikey.StatusRevoked, Sort: apikey.SortName, Limit: 500})
	assert.Len(t, page, revoked)
	all := walk(t, c.Store, apikey.ListOptions{Sort: apikey.SortExpires, Limit: 500})
	slices.Sort(all)
	assert.Len(t, slices.Compact(all), exist)
	t.Logf("%d keys, %d changed and %d revoked", exist, changed, revoked)
}
