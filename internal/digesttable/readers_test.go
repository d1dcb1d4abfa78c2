package digesttable

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

// Readers run while the table grows from nothing. Each finds every entry that was told of
// before it looked, and never one that was not added.
func TestReadersRunWhileAWriterAdds(t *testing.T) {
	t.Parallel()
	const entries, readers = 30_000, 4
	digests := make([][32]byte, entries)
	unknown := make([][32]byte, entries)
	for i := range entries {
		digests[i] = digestOf(i)
		unknown[i] = digests[i]
		unknown[i][31] ^= 1 // its search goes the same way
	}
	var (
		table Table[int]
		told  atomic.Int64
		wg    sync.WaitGroup
	)
	for r := range readers {
		wg.Go(func() {
			random := rand.New(rand.NewPCG(1, uint64(r)))
			for n := 0; n < entries; {
				n = int(told.Load())
				if n == 0 {
					continue
				}
				// Mostly the latest: it is where a table that grows could lose one.
				for _, i := range [...]int{n - 1, random.IntN(n)} {
					if v := table.Get(&digests[i]); v == nil || *v != i {
						t.Errorf("number %d of %d was told of and not found: %v", i, n, v)
						return
					}
				}
				i := random.IntN(entries)
				if table.Get(&unknown[i]) != nil {
					t.Errorf("number %d was found, but another was added", i)
					return
				}
				if v := table.Get(&digests[i]); v != nil && *v != i {
					t.Errorf("number %d has the value of %d", i, *v)
					return
				}
			}
		})
	}
	for i := range entries {
		table.Add(&Entry[int]{digests[i], i})
		told.Store(int64(i + 1))
	}
	wg.Wait()
}
