package digesttable

import (
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"testing"
)

func TestDelete(t *testing.T) {
	t.Parallel()
	remove := func(t *testing.T, table *Table[int], i int, want bool) {
		t.Helper()
		digest := digestOf(i)
		if got := table.Delete(&digest); got != want {
			t.Errorf("Delete of number %d reports %v", i, got)
		}
	}
	t.Run("what was deleted is not found, and everything else is", func(t *testing.T) {
		t.Parallel()
		table := filled(100)
		for i := 99; i >= 0; i-- {
			remove(t, table, i, true)
			remove(t, table, i, false)
			wantNone(t, table, digestOf(i))
			wantValues(t, table, i)
			if table.Len() != i {
				t.Errorf("Len is %d, not %d", table.Len(), i)
			}
		}
	})
	t.Run("nothing is deleted from an empty table", func(t *testing.T) {
		t.Parallel()
		var table Table[int]
		remove(t, &table, 1, false)
		table.Clear()
		remove(t, &table, 1, false)
	})
	t.Run("the zero digest is not found in a grave", func(t *testing.T) {
		t.Parallel()
		for range 100 { // the seeds differ, and so do those that meet
			table := filled(6)
			table.Add(&Entry[int]{Value: 7})
			for i := range 6 {
				remove(t, table, i, true)
			}
			if v := table.Get(new([32]byte)); v == nil || *v != 7 {
				t.Fatalf("got %v", v)
			}
			if !table.Delete(new([32]byte)) || table.Delete(new([32]byte)) {
				t.Fatal("the zero digest was not deleted once")
			}
			wantNone(t, table, [32]byte{})
			table.Add(&Entry[int]{digestOf(1), 1})
			wantNone(t, table, [32]byte{})
		}
	})
	t.Run("a deleted digest can be added again", func(t *testing.T) {
		t.Parallel()
		table := filled(50)
		for i := range 50 {
			remove(t, table, i, true)
			table.Add(&Entry[int]{digestOf(i), i})
		}
		wantValues(t, table, 50)
	})
	t.Run("Clear takes everything out, and the table can be filled again", func(t *testing.T) {
		t.Parallel()
		table := filled(50)
		table.Clear()
		if table.Len() != 0 {
			t.Errorf("Len is %d", table.Len())
		}
		for i := range 50 {
			wantNone(t, table, digestOf(i))
		}
		table.Add(&Entry[int]{digestOf(0), 0})
		wantValues(t, table, 1)
	})
	t.Run("it is what a map is, after any history", func(t *testing.T) {
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
					t.Fatalf("seed %d: step %d: Delete reports %v", seed, step, deleted)
				} else if !deleted {
					table.Add(&Entry[int]{digest, i})
				}
				want[i] = !want[i]
				i = random.IntN(most)
				digest = digestOf(i)
				if v := table.Get(&digest); (v != nil) != want[i] || v != nil && *v != i {
					t.Fatalf("seed %d: step %d: number %d is %v", seed, step, i, v)
				}
			}
			n := 0
			for _, in := range want {
				if in {
					n++
				}
			}
			if table.Len() != n {
				t.Errorf("seed %d: Len is %d, not %d", seed, table.Len(), n)
			}
		}
	})
}

// A full cache adds and deletes one entry with each miss, for as long as it runs.
func TestATableOfOneSizeDoesNotGrow(t *testing.T) {
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
		if slots := len(last.array); slots > 4*n && slots > minSlots {
			t.Errorf("%d entries have %d slots", n, slots)
		}
		// Each costs as much as filling the table.
		if rebuilds > rounds+1 {
			t.Errorf("%d entries were rebuilt %d times while each was replaced %d times", n, rebuilds, rounds)
		}
		for i := rounds * n; i < (rounds+1)*n; i++ {
			if digest := digestOf(i); table.Get(&digest) == nil {
				t.Fatalf("of %d entries, number %d is missing", n, i)
			}
		}
	}
}

func TestReadersSeeWhatStaysWhileOthersAreDeleted(t *testing.T) {
	t.Parallel()
	const stay, come = 300, 400
	table := filled(stay)
	var done atomic.Bool
	var wg sync.WaitGroup
	for range 2 {
		wg.Go(func() {
			for i := 0; !done.Load(); i++ {
				digest := digestOf(i % stay)
				if v := table.Get(&digest); v == nil || *v != i%stay {
					t.Errorf("number %d, which nobody deletes, is %v", i%stay, v)
					return
				}
				digest = digestOf(stay + i%come)
				if v := table.Get(&digest); v != nil && *v != stay+i%come {
					t.Errorf("number %d has the value %d", stay+i%come, *v)
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
