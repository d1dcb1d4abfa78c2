package digesttable

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestDelete(t *testing.T) {
	t.Parallel()
	remove := func(t *testing.T, table *Table[int], i int, want bool) {
		t.Helper()
		digest := digestOf(i)
		assert.Equal(t, want, table.Delete(&digest), "Delete(digest %d)", i)
	}
	t.Run("Get finds every entry except the deleted ones", func(t *testing.T) {
		t.Parallel()
		table := filled(100)
		for i := 99; i >= 0; i-- {
			remove(t, table, i, true)
			remove(t, table, i, false)
			wantNone(t, table, digestOf(i))
			wantValues(t, table, i)
			assert.Equal(t, i, table.Len(), "Len()")
		}
	})
	t.Run("Delete from an empty table reports false", func(t *testing.T) {
		t.Parallel()
		var table Table[int]
		remove(t, &table, 1, false)
		table.Clear()
		remove(t, &table, 1, false)
	})
	t.Run("Get of the zero digest does not return a tombstone", func(t *testing.T) {
		t.Parallel()
		for range 100 { // different seeds, so different collisions
			table := filled(6)
			table.Add(&Entry[int]{Value: 7})
			for i := range 6 {
				remove(t, table, i, true)
			}
			if v := table.Get(new([32]byte)); v == nil || *v != 7 {
				t.Fatalf("Get(zero digest) = %v; want 7", v)
			}
			require.True(t, table.Delete(new([32]byte)) && !table.Delete(new([32]byte)), "Delete(zero digest) twice: want true, then false")
			wantNone(t, table, [32]byte{})
			table.Add(&Entry[int]{digestOf(1), 1})
			wantNone(t, table, [32]byte{})
		}
	})
	t.Run("Add accepts a deleted digest", func(t *testing.T) {
		t.Parallel()
		table := filled(50)
		for i := range 50 {
			remove(t, table, i, true)
			table.Add(&Entry[int]{digestOf(i), i})
		}
		wantValues(t, table, 50)
	})
	t.Run("Clear removes every entry and Add works afterwards", func(t *testing.T) {
		t.Parallel()
		table := filled(50)
		table.Clear()
		assert.Zero(t, table.Len(), "Len() after Clear")
		for i := range 50 {
			wantNone(t, table, digestOf(i))
		}
		table.Add(&Entry[int]{digestOf(0), 0})
		wantValues(t, table, 1)
	})
	t.Run("a random history agrees with a map", func(t *testing.T) {
		t.Parallel()
		seed := rand.Uint64()
		random := rand.New(rand.NewPCG(seed, 0))
		for _, most := range []int{1, 5, 6, 7, 40, 95, 200} {
			var table Table[int]
			want := make(map[int]bool)
			for step := range 20_000 {
				i := random.IntN(most)
				digest := digestOf(i)
				if deleted := table.Delete(&digest); deleted != want[i] {
					t.Fatalf("seed %d: step %d: Delete(digest %d) = %v; want %v", seed, step, i, deleted, want[i])
				} else if !deleted {
					table.Add(&Entry[int]{digest, i})
				}
				want[i] = !want[i]
				i = random.IntN(most)
				digest = digestOf(i)
				if v := table.Get(&digest); (v != nil) != want[i] || v != nil && *v != i {
					t.Fatalf("seed %d: step %d: Get(digest %d) = %v; want an entry: %v", seed, step, i, v, want[i])
				}
			}
			n := 0
			for _, in := range want {
				if in {
					n++
				}
			}
			assert.Equal(t, n, table.Len(), "seed %d: Len()", seed)
		}
	})
}

// A full cache deletes and adds one entry with each miss, as long as it runs.
func TestTableWithConstantLenDoesNotGrow(t *testing.T) {
	t.Parallel()
	for _, n := range []int{6, 95, 96, 97, 383, 384} {
		table := filled(n)
		rebuilds, last := 0, table.slots.Load()
		const rounds = 20
		for i := range rounds * n {
			digest := digestOf(i)
			table.Delete(&digest)
			table.Add(&Entry[int]{digestOf(i + n), i + n})
			if s := table.slots.Load(); s != last {
				rebuilds, last = rebuilds+1, s
			}
		}
		assert.LessOrEqual(t, len(last.array), max(4*n, minSlots), "slots of %d entries", n)
		// A rebuild costs as much as filling the table.
		assert.LessOrEqual(t, rebuilds, rounds+1, "rebuilds of a table of %d entries while each entry was replaced %d times", n, rounds)
		for i := rounds * n; i < (rounds+1)*n; i++ {
			if digest := digestOf(i); table.Get(&digest) == nil {
				t.Fatalf("table of %d entries: Get(digest %d) = nil; want an entry", n, i)
			}
		}
	}
}

func TestGetFindsOtherEntriesDuringDelete(t *testing.T) {
	t.Parallel()
	const stay, come = 300, 400 // entries that stay in the table, and entries that come and go
	table := filled(stay)
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := 0; !done.Load(); i++ {
				digest := digestOf(i % stay)
				if v := table.Get(&digest); v == nil || *v != i%stay {
					t.Errorf("Get(digest %d) = %v while other entries are deleted; want %d", i%stay, v, i%stay)
					return
				}
				digest = digestOf(stay + i%come)
				if v := table.Get(&digest); v != nil && *v != stay+i%come {
					t.Errorf("Get(digest %d) = %d; want %[1]d or nil", stay+i%come, *v)
					return
				}
			}
		})
	}
	for range 30_000 {
		i := stay + rand.IntN(come)
		digest := digestOf(i)
		if !table.Delete(&digest) {
			table.Add(&Entry[int]{digest, i})
		}
	}
	done.Store(true)
	wg.Wait()
}
