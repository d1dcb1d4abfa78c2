package digesttable

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"
)

// digestOf is the digest of some key.
func digestOf(i int) [32]byte {
	return sha256.Sum256(binary.LittleEndian.AppendUint64([]byte("key"), uint64(i)))
}

// filled is a table of the digests up to n, each with its number as the value.
func filled(n int) *Table[int] {
	t := new(Table[int])
	for i := range n {
		t.Add(&Entry[int]{digestOf(i), i})
	}
	return t
}

func wantValues(t *testing.T, table *Table[int], n int) {
	t.Helper()
	for i := range n {
		digest := digestOf(i)
		if v := table.Get(&digest); v == nil || *v != i {
			t.Fatalf("of %d entries, the value of number %d is %v", table.Len(), i, v)
		}
	}
}

func wantNone(t *testing.T, table *Table[int], digest [32]byte) {
	t.Helper()
	if v := table.Get(&digest); v != nil {
		t.Errorf("of %d entries, %x was never added and has the value %d", table.Len(), digest[:4], *v)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	t.Run("the zero table is empty", func(t *testing.T) {
		t.Parallel()
		var table Table[int]
		wantNone(t, &table, digestOf(0))
		wantNone(t, &table, [32]byte{})
		if table.Len() != 0 {
			t.Errorf("Len is %d", table.Len())
		}
	})
	t.Run("what was added is found, and nothing else", func(t *testing.T) {
		t.Parallel()
		table := new(Table[int])
		for i := range 100 {
			wantNone(t, table, digestOf(i))
			table.Add(&Entry[int]{digestOf(i), i})
			wantValues(t, table, i+1)
			if table.Len() != i+1 {
				t.Errorf("after %d entries, Len is %d", i+1, table.Len())
			}
		}
	})
	t.Run("the zero digest is one as any other", func(t *testing.T) {
		t.Parallel()
		table := filled(6)
		wantNone(t, table, [32]byte{})
		table.Add(&Entry[int]{Value: 7})
		if v := table.Get(new([32]byte)); v == nil || *v != 7 {
			t.Errorf("got %v", v)
		}
		wantValues(t, table, 6)
	})
	t.Run("a digest that differs in one bit is another", func(t *testing.T) {
		t.Parallel()
		// As full as a table becomes, so that a search meets other entries.
		table := filled(minSlots * 3 / 4)
		for i := range table.Len() {
			for bit := range 256 {
				digest := digestOf(i)
				digest[bit/8] ^= 1 << (bit % 8)
				if v := table.Get(&digest); v != nil {
					t.Errorf("number %d with bit %d turned has the value %d", i, bit, *v)
				}
			}
		}
	})
	t.Run("growing loses nothing", func(t *testing.T) {
		t.Parallel()
		const n = 100_000
		table := filled(n)
		wantValues(t, table, n)
		for i := n; i < n+10_000; i++ {
			wantNone(t, table, digestOf(i))
		}
	})
	t.Run("a value stays where it is while the table grows", func(t *testing.T) {
		t.Parallel()
		table := filled(10)
		var before [10]*int
		for i := range before {
			digest := digestOf(i)
			before[i] = table.Get(&digest)
		}
		size := len(table.slots.Load().array)
		for i := 10; i < 10_000; i++ {
			table.Add(&Entry[int]{digestOf(i), i})
		}
		if len(table.slots.Load().array) == size {
			t.Fatal("the table did not grow")
		}
		for i, was := range before {
			digest := digestOf(i)
			if is := table.Get(&digest); is != was {
				t.Errorf("the value of number %d was at %p and is at %p", i, was, is)
			}
			*was = -i
			if v := table.Get(&digest); *v != -i {
				t.Errorf("number %d was written in place as %d and is %d", i, -i, *v)
			}
		}
	})
	t.Run("the entry that was added is the one that is kept", func(t *testing.T) {
		t.Parallel()
		table, e := new(Table[int]), &Entry[int]{digestOf(1), 1}
		table.Add(e)
		if table.Get(&e.Digest) != &e.Value {
			t.Error("Get returns the address of a copy")
		}
	})
}

// Who grinds digests can make prefixes meet. All of these begin their search in the same
// place, and the table must be right all the same.
func TestDigestsWithOnePrefixAreToldApart(t *testing.T) {
	t.Parallel()
	const n = 1000
	meeting := func(i int) [32]byte {
		digest := digestOf(i)
		copy(digest[:16], "sixteen bytes...")
		return digest
	}
	table := filled(50)
	for i := range n {
		table.Add(&Entry[int]{meeting(i), -i})
	}
	s := table.slots.Load()
	a, b := meeting(0), meeting(1)
	if s.home(&a) != s.home(&b) {
		t.Fatal("they do not meet, so this test shows nothing")
	}
	for i := range n {
		digest := meeting(i)
		if v := table.Get(&digest); v == nil || *v != -i {
			t.Fatalf("the value of number %d is %v", i, v)
		}
		wantNone(t, table, meeting(n+i))
		wantNone(t, table, digestOf(n+i))
	}
	wantValues(t, table, 50)
}

// farthest is how far from its home the worst entry is.
func (s *slots[V]) farthest() (farthest uint64) {
	for i := range s.array {
		if e := s.array[i].Load(); e != nil {
			farthest = max(farthest, (uint64(i)-s.home(&e.Digest))&s.mask)
		}
	}
	return farthest
}

// The longest run of a good hash in 16,384 slots, of which 10,000 are taken, is some 60
// slots; a hash that sees one half alone makes one run of them all.
func TestDigestsThatShareHalfOfThePrefixAreSpread(t *testing.T) {
	t.Parallel()
	const n = 10_000
	for name, shared := range map[string][2]int{"the first": {0, 8}, "the second": {8, 16}, "none": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := new(Table[int])
			for i := range n {
				digest := digestOf(i)
				clear(digest[shared[0]:shared[1]])
				table.Add(&Entry[int]{digest, i})
			}
			if got := table.slots.Load().farthest(); got > 1000 {
				t.Errorf("an entry is %d slots from its home", got)
			}
		})
	}
}

// A seed that could be guessed, or that stayed the same, could be ground against.
func TestEveryArrayHasItsOwnSeed(t *testing.T) {
	t.Parallel()
	digest := digestOf(0)
	homes := make(map[*slots[int]]uint64)
	seen := make(map[uint64]bool)
	for range 10 {
		table := new(Table[int])
		for i := range 100 {
			table.Add(&Entry[int]{digestOf(i), i})
			s := table.slots.Load()
			homes[s] = s.home(&digest)
			seen[homes[s]] = true
			if s.seed[0] == 0 || s.seed[1] == 0 || s.seed[0] == s.seed[1] {
				t.Errorf("the seed is %x", s.seed)
			}
		}
	}
	if len(homes) < 20 || len(seen) != len(homes) {
		t.Errorf("a digest had %d homes in %d arrays", len(seen), len(homes))
	}
}

// A full table would have Get search for ever; an empty one would waste memory. A slot is
// 8 bytes.
func TestTheTableIsNeverFullAndNeverWasteful(t *testing.T) {
	t.Parallel()
	table := new(Table[int])
	n, most := 1_000_000, 0.0
	if raceDetector {
		n = 50_000
	}
	for i := range n {
		e := &Entry[int]{Value: i}
		// Random enough, and cheaper than a digest.
		binary.LittleEndian.PutUint64(e.Digest[:], uint64(i)*0x9E3779B97F4A7C15)
		table.Add(e)
		slots := len(table.slots.Load().array)
		if slots&(slots-1) != 0 {
			t.Fatalf("%d slots are no power of two", slots)
		}
		if 4*table.Len() > 3*slots {
			t.Fatalf("%d of %d slots are taken", table.Len(), slots)
		}
		if i >= minSlots/2 {
			most = max(most, 8*float64(slots)/float64(table.Len()))
		}
	}
	if most > 24 {
		t.Errorf("the table took %.1f bytes an entry at its worst; want 24 at most", most)
	}
}

func TestGetAllocatesNothing(t *testing.T) {
	table := filled(1000)
	known, unknown := digestOf(7), digestOf(-1)
	for name, digest := range map[string]*[32]byte{"a known digest": &known, "an unknown digest": &unknown} {
		if n := testing.AllocsPerRun(1000, func() { sink = table.Get(digest) }); n != 0 {
			t.Errorf("%s: %v allocations", name, n)
		}
	}
}

var sink *int

func BenchmarkGet(b *testing.B) {
	for _, n := range []int{1000, 100_000, 1_000_000} {
		table := filled(n)
		digests := make([][32]byte, n)
		for i, j := range rand.New(rand.NewPCG(1, 2)).Perm(n) {
			digests[i] = digestOf(j)
		}
		unknown := digestOf(-1)
		b.Run(fmt.Sprintf("%d/random", n), func(b *testing.B) {
			for i := 0; b.Loop(); i++ {
				if i == n {
					i = 0
				}
				table.Get(&digests[i])
			}
		})
		b.Run(fmt.Sprintf("%d/hot", n), func(b *testing.B) {
			for b.Loop() {
				table.Get(&digests[0])
			}
		})
		b.Run(fmt.Sprintf("%d/unknown", n), func(b *testing.B) {
			for b.Loop() {
				table.Get(&unknown)
			}
		})
		// With -cpu 1,2: readers that do not contend take half the time on two cores.
		b.Run(fmt.Sprintf("%d/parallel hot", n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					table.Get(&digests[0])
				}
			})
		})
		b.Run(fmt.Sprintf("%d/parallel random", n), func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					if i == n {
						i = 0
					}
					table.Get(&digests[i])
				}
			})
		})
	}
}
