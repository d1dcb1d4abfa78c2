package cachestore_test

import (
	"fmt"
	"math"
	"runtime"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/memstore"
)

// filledCache returns a cache of n keys, their digests and the memory of an entry in bytes.
func filledCache(b *testing.B, n int) (*cachestore.Store, []apikey.Digest, float64) {
	store := memstore.New()
	digests := make([]apikey.Digest, n)
	for i := range digests {
		digests[i] = digestOf(i)
		require.NoError(b, store.Create(b.Context(), digests[i], keyOf(i)))
	}
	// No poll runs and the lease does not end during the benchmark.
	cache, err := cachestore.New(store, cachestore.Options{
		MaxKeys: n, Poll: time.Hour, Lease: 3 * time.Hour, MaxAge: 3 * time.Hour})
	require.NoError(b, err)
	b.Cleanup(cache.Close)
	for cache.Stats().LeaseRemaining == 0 {
		runtime.Gosched()
	}
	before := heap()
	for _, d := range digests {
		_, err := cache.Lookup(b.Context(), d)
		require.NoError(b, err)
	}
	size := float64(heap()-before) / float64(n)
	require.Equal(b, n, cache.Stats().Keys, "cached keys")
	return cache, digests, size
}

func heap() int64 {
	runtime.GC()
	runtime.GC()
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func BenchmarkHit(b *testing.B) {
	for _, n := range []int{1_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprintf("keys=%d", n), func(b *testing.B) {
			cache, digests, size := filledCache(b, n)
			ctx := b.Context()
			b.ReportAllocs()
			i := 0
			for b.Loop() {
				if _, err := cache.Lookup(ctx, digests[i]); err != nil {
					b.Fatal(err)
				}
				if i++; i == n {
					i = 0
				}
			}
			b.ReportMetric(size, "B/entry")
		})
	}
}

// BenchmarkHitParallel shows whether cores that use the same key wait for each other.
func BenchmarkHitParallel(b *testing.B) {
	for _, keys := range []int{1, 1000} {
		b.Run(fmt.Sprintf("keys=%d", keys), func(b *testing.B) {
			cache, digests, _ := filledCache(b, keys)
			ctx := b.Context()
			var start atomic.Int64
			b.ReportAllocs()
			b.RunParallel(func(pb *testing.PB) {
				i := int(start.Add(math.MaxInt32/3)) % keys
				for pb.Next() {
					if _, err := cache.Lookup(ctx, digests[i]); err != nil {
						b.Error(err)
						return
					}
					if i++; i == keys {
						i = 0
					}
				}
			})
		})
	}
}

func BenchmarkMiss(b *testing.B) {
	store := memstore.New()
	cache, err := cachestore.New(store, cachestore.Options{})
	require.NoError(b, err)
	b.Cleanup(cache.Close)
	ctx := b.Context()
	b.ReportAllocs()
	i := 0
	for b.Loop() {
		cache.Lookup(ctx, digestOf(i))
		i++
	}
}

// BenchmarkTimeNow and BenchmarkTimeSince measure the clock reads that a hit contains.
func BenchmarkTimeNow(b *testing.B) {
	var sum int64
	for b.Loop() {
		sum += time.Now().UnixNano()
	}
	_ = sum
}

func BenchmarkTimeSince(b *testing.B) {
	var sum time.Duration
	start := time.Now()
	for b.Loop() {
		sum += time.Since(start)
	}
	_ = sum
}
