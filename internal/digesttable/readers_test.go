package digesttable

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// Readers run while the table grows from empty. Each finds every entry whose Add had returned before
// the Get began, and never an entry that was not added.
func TestGetFindsEveryEntryDuringAdd(t *testing.T) {
	t.Parallel()
	const entries, readers = 30_000, 4
	digests := make([][32]byte, entries)
	unknown := make([][32]byte, entries)
	for i := range entries {
		digests[i] = digestOf(i)
		unknown[i] = digests[i]
		unknown[i][31] ^= 1 // the hash ignores this byte, so both searches take the same way
	}
	var (
		table Table[int]
		added atomic.Int64
		wg    sync.WaitGroup
	)
	for r := range readers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(r)))
			for n := 0; n < entries; {
				n = int(added.Load())
				if n == 0 {
					continue
				}
				// A growing table would lose the latest entry, so half of the reads ask for it.
				for _, i := range [...]int{n - 1, random.IntN(n)} {
					if v := table.Get(&digests[i]); v == nil || *v != i {
						t.Errorf("Get(digest %d) = %v after %d entries were added; want %[1]d", i, v, n)
						return
					}
				}
				i := random.IntN(entries)
				if table.Get(&unknown[i]) != nil {
					t.Errorf("Get(unknown digest %d) found an entry", i)
					return
				}
				if v := table.Get(&digests[i]); v != nil && *v != i {
					t.Errorf("Get(digest %d) = %d", i, *v)
					return
				}
			}
		})
	}
	for i := range entries {
		table.Add(&Entry[int]{digests[i], i})
		added.Store(int64(i + 1))
	}
	wg.Wait()
}
