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
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// raise sets v to n if v is smaller.
func raise(v *atomic.Int64, n int64) {
	for {
		old := v.Load()
		if n <= old || v.CompareAndSwap(old, n) {
			return
		}
	}
}

// An answer contains every change up to its Version. Readers note the latest Version with which a
// key was still unknown and still active. Each must be older than the write that ended that state.
func TestLookupAtContainsEveryChangeUpToItsVersion(t *testing.T) {
	t.Parallel()
	const keys, readers = 5000, 3
	var (
		s       = New()
		ids     [keys]string
		digests [keys]apikey.Digest
		created [keys]int64 // the revision of its creation
		revoked [keys]int64
		unknown [keys]atomic.Int64 // the latest revision with which it was unknown
		active  [keys]atomic.Int64
		current atomic.Int64 // the key that is being written
		seen    atomic.Int64 // reads between a creation and its revocation
		wg      sync.WaitGroup
	)
	for i := range keys {
		ids[i] = fmt.Sprintf("k%d", i)
		digests[i] = digestOf(ids[i])
		unknown[i].Store(-1)
		active[i].Store(-1)
	}
	for range readers {
		wg.Go(func() {
			for {
				i := current.Load()
				if i == keys {
					return
				}
				key, at, err := s.LookupAt(context.Background(), digests[i])
				switch {
				case errors.Is(err, apikey.ErrNotFound):
					raise(&unknown[i], int64(at.Revision))
				case err != nil:
					t.Error(err)
					return
				case key.RevokedAt.IsZero():
					raise(&active[i], int64(at.Revision))
					seen.Add(1)
				}
			}
		})
	}
	for i := range keys {
		current.Store(int64(i))
		assert.NoError(t, s.Create(context.Background(), digests[i], apikey.Key{ID: ids[i], Name: "n"}))
		created[i] = int64(s.head().Revision)
		_, err := s.Revoke(context.Background(), ids[i])
		assert.NoError(t, err)
		revoked[i] = int64(s.head().Revision)
	}
	current.Store(keys)
	wg.Wait()
	t.Logf("%d reads returned a key that was about to be revoked", seen.Load())
	for i := range keys {
		if revision := unknown[i].Load(); revision >= created[i] {
			t.Errorf("%s was created at revision %d, but LookupAt = ErrNotFound at revision %d", ids[i], created[i], revision)
		}
		if revision := active[i].Load(); revision >= revoked[i] {
			t.Errorf("%s was revoked at revision %d, but LookupAt = active at revision %d", ids[i], revoked[i], revision)
		}
	}
}

// LastUsedAt never goes back while several goroutines touch the same key.
func TestConcurrentTouchKeepsTheLatest(t *testing.T) {
	t.Parallel()
	const touches, writers = 50_000, 4
	s := New()
	add(t, s, apikey.Key{ID: "a"})
	d := digestOf("a")
	used := &s.table.Get((*[32]byte)(&d)).used
	var clock atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range touches {
				now := clock.Add(1)
				s.Touch(d, apikey.Use{At: time.Unix(now, 0)})
				// The second read gives a goroutine with an earlier time the chance to write it.
				if first, second := used.Load(), used.Load(); first < now || second < first {
					t.Errorf("after Touch at %d the last use is %d and then %d", now, first, second)
					return
				}
			}
		})
	}
	wg.Wait()
	key, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	assert.EqualValues(t, touches*writers, key.LastUsedAt.Unix())
}

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
