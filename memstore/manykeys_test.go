package memstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"runtime"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// fill returns a Store of n typical keys, their digests in random order, and the bytes that each key
// takes. The bytes include its strings and index entries.
func fill(t testing.TB, n int) (*Store, []apikey.Digest, float64) {
	t.Helper()
	digests := make([]apikey.Digest, n)
	for i := range digests {
		digests[i] = digestOf(fmt.Sprintf("%016d", i))
	}
	now := time.Now()
	before := heap()
	s := New()
	for i, d := range digests {
		err := s.Create(context.Background(), d, apikey.Key{
			ID: fmt.Sprintf("%016d", i), Name: fmt.Sprintf("backup job %d", i), Hint: fmt.Sprintf("ak_\u2026%04d", i%10_000),
			Owner: "operations", Scopes: []string{"library:read"}, CreatedAt: now, ExpiresAt: now.Add(time.Hour),
		})
		require.NoError(t, err)
	}
	size := float64(heap()-before) / float64(n)
	runtime.KeepAlive(s)
	random := rand.New(rand.NewPCG(1, 2))
	random.Shuffle(n, func(i, j int) { digests[i], digests[j] = digests[j], digests[i] })
	return s, digests, size
}

func heap() int64 {
	var m runtime.MemStats
	runtime.GC()
	runtime.GC() // a sync.Pool keeps its items for one cycle
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

// maxBytes is 1.1 times the measured size.
const maxBytes = 660

// This test does not run in parallel, because it would measure the memory of other tests too.
func TestManyKeys(t *testing.T) {
	const n = 100_000 // far more than there are audit entries, so that their memory hardly counts
	s, digests, size := fill(t, n)
	t.Run("a key takes little memory", func(t *testing.T) {
		t.Logf("%.0f bytes a key", size)
		assert.LessOrEqual(t, size, float64(maxBytes), "bytes a key")
		assert.GreaterOrEqual(t, size, 200.0, "a key takes less than its fields: the measurement is wrong")
	})
	t.Run("pages list every key once", func(t *testing.T) {
		got := walk(t, s, apikey.ListOptions{Limit: 500})
		require.Len(t, got, n)
		for i, id := range got {
			if want := fmt.Sprintf("%016d", n-1-i); id != want {
				t.Fatalf("key %d of the newest = %s; want %s", i, id, want)
			}
		}
	})
	t.Run("Lookup and Get find every key", func(t *testing.T) {
		for _, d := range digests {
			key, err := s.Lookup(t.Context(), d)
			if err != nil || digestOf(key.ID) != d {
				t.Fatalf("Lookup = %v, %v; want the key of the digest", key, err)
			}
			if same, err := s.Get(t.Context(), key.ID); err != nil || same.Name != key.Name {
				t.Fatalf("Get(%s) = %v, %v; want the key that Lookup returned", key.ID, same, err)
			}
		}
	})
}

// BenchmarkMemory reports the memory of a key and the time of a lookup in a store of a million keys.
func BenchmarkMemory(b *testing.B) {
	const n = 1_000_000
	s, digests, size := fill(b, n)
	ctx := b.Context()
	for i := 0; b.Loop(); i++ {
		s.Lookup(ctx, digests[i%n])
	}
	b.ReportMetric(size, "B/key")
}

func BenchmarkLookup(b *testing.B) {
	for _, n := range []int{1000, 100_000} {
		s, digests, _ := fill(b, n)
		ctx := b.Context()
		b.Run(fmt.Sprintf("%d/random", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				s.Lookup(ctx, digests[i%n])
			}
		})
		b.Run(fmt.Sprintf("%d/hot", n), func(b *testing.B) {
			for b.Loop() {
				s.Lookup(ctx, digests[0])
			}
		})
		// Run it with -cpu 1,2: without contention, two cores halve the time.
		b.Run(fmt.Sprintf("%d/parallel hot", n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					s.Lookup(ctx, digests[0])
				}
			})
		})
	}
}

// BenchmarkTouch measures the repeated use of one key within a second.
func BenchmarkTouch(b *testing.B) {
	s, digests, _ := fill(b, 1)
	now := time.Now()
	b.RunParallel(func(pb *testing.PB) {
		for pb.Next() {
			s.Touch(digests[0], apikey.Use{At: now})
		}
	})
}

func BenchmarkList(b *testing.B) {
	s, _, _ := fill(b, 100_000)
	for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		b.Run(string(sort), func(b *testing.B) {
			for b.Loop() {
				if _, err := s.List(b.Context(), apikey.ListOptions{Sort: sort}); err != nil {
					b.Fatal(err)
				}
			}
		})
	}
	b.Run("search without a hit", func(b *testing.B) {
		for b.Loop() {
			if _, err := s.List(b.Context(), apikey.ListOptions{Search: "nowhere"}); err != nil {
				b.Fatal(err)
			}
		}
	})
}
