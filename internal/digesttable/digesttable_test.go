package digesttable

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/rand/v2"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

// digestOf returns the digest with this number.
func digestOf(i int) [32]byte {
	return sha256.Sum256(binary.LittleEndian.AppendUint64([]byte("key"), uint64(i)))
}

// filled returns a table of digests 0 to n-1, each with its number as the value.
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
			t.Fatalf("table of %d entries: Get(digest %d) = %v; want %[2]d", table.Len(), i, v)
		}
	}
}

func wantNone(t *testing.T, table *Table[int], digest [32]byte) {
	t.Helper()
	if v := table.Get(&digest); v != nil {
		t.Errorf("table of %d entries: Get(%x…) = %d; want nil", table.Len(), digest[:4], *v)
	}
}

func TestTable(t *testing.T) {
	t.Parallel()
	t.Run("the zero table is empty", func(t *testing.T) {
		t.Parallel()
		var table Table[int]
		wantNone(t, &table, digestOf(0))
		wantNone(t, &table, [32]byte{})
		assert.Zero(t, table.Len(), "Len()")
	})
	t.Run("Get finds exactly the entries that were added", func(t *testing.T) {
		t.Parallel()
		table := new(Table[int])
		for i := range 100 {
			wantNone(t, table, digestOf(i))
			table.Add(&Entry[int]{digestOf(i), i})
			wantValues(t, table, i+1)
			assert.Equal(t, i+1, table.Len(), "Len()")
		}
	})
	t.Run("the zero digest is a digest like any other", func(t *testing.T) {
		t.Parallel()
		table := filled(6)
		wantNone(t, table, [32]byte{})
		table.Add(&Entry[int]{Value: 7})
		if v := table.Get(new([32]byte)); v == nil || *v != 7 {
			t.Errorf("Get(zero digest) = %v; want 7", v)
		}
		wantValues(t, table, 6)
	})
	t.Run("a digest that differs in one bit is not found", func(t *testing.T) {
		t.Parallel()
		// The table is as full as it can be, so that a search meets other entries.
		table := filled(minSlots * 3 / 4)
		for i := range table.Len() {
			for bit := range 256 {
				digest := digestOf(i)
				digest[bit/8] ^= 1 << (bit % 8)
				if v := table.Get(&digest); v != nil {
					t.Errorf("Get(digest %d with bit %d flipped) = %d; want nil", i, bit, *v)
				}
			}
		}
	})
	t.Run("growth loses no entry", func(t *testing.T) {
		t.Parallel()
		const n = 100_000
		table := filled(n)
		wantValues(t, table, n)
		for i := n; i < n+10_000; i++ {
			wantNone(t, table, digestOf(i))
		}
	})
	t.Run("a value keeps its address while the table grows", func(t *testing.T) {
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
		require.NotEqual(t, size, len(table.slots.Load().array), "the table did not grow")
		for i, was := range before {
			digest := digestOf(i)
			if is := table.Get(&digest); is != was {
				t.Errorf("value of digest %d moved from %p to %p", i, was, is)
			}
			*was = -i
			if v := table.Get(&digest); *v != -i {
				t.Errorf("Get(digest %d) = %d; want %d, which was written in place", i, *v, -i)
			}
		}
	})
	t.Run("Add does not copy the entry", func(t *testing.T) {
		t.Parallel()
		table, e := new(Table[int]), &Entry[int]{digestOf(1), 1}
		table.Add(e)
		assert.Same(t, &e.Value, table.Get(&e.Digest), "Get returned the address of a copy")
	})
}

// An attacker can search for keys whose digests share a prefix. The digests here share the whole
// part that is hashed, so every search begins in the same slot.
func TestDigestsWithTheSamePrefixAreDistinct(t *testing.T) {
	t.Parallel()
	const n = 1000
	colliding := func(i int) [32]byte {
		digest := digestOf(i)
		copy(digest[:16], "sixteen bytes...")
		return digest
	}
	table := filled(50)
	for i := range n {
		table.Add(&Entry[int]{colliding(i), -i})
	}
	s := table.slots.Load()
	a, b := colliding(0), colliding(1)
	require.Equal(t, s.home(&b), s.home(&a), "the digests do not collide, so this test proves nothing")
	for i := range n {
		digest := colliding(i)
		if v := table.Get(&digest); v == nil || *v != -i {
			t.Fatalf("Get(colliding digest %d) = %v; want %d", i, v, -i)
		}
		wantNone(t, table, colliding(n+i))
		wantNone(t, table, digestOf(n+i))
	}
	wantValues(t, table, 50)
}

// longestProbe returns the largest distance of an entry from its home slot.
func (s *slots[V]) longestProbe() (longest uint64) {
	for i := range s.array {
		if e := s.array[i].Load(); e != nil {
			longest = max(longest, (uint64(i)-s.home(&e.Digest))&s.mask)
		}
	}
	return longest
}

// With 10,000 entries in 16,384 slots, a good hash has a longest probe of about 60 slots. A hash of
// one half alone puts all entries into one run.
func TestDigestsThatShareHalfThePrefixAreSpread(t *testing.T) {
	t.Parallel()
	const n = 10_000
	for name, shared := range map[string][2]int{"the first half": {0, 8}, "the second half": {8, 16}, "no half": {0, 0}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			table := new(Table[int])
			for i := range n {
				digest := digestOf(i)
				clear(digest[shared[0]:shared[1]])
				table.Add(&Entry[int]{digest, i})
			}
			assert.LessOrEqual(t, table.slots.Load().longestProbe(), uint64(1000), "slots between an entry and its home")
		})
	}
}

// An attacker could search for digests that collide under a known seed.
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
			assert.True(t, s.seed[0] != 0 && s.seed[1] != 0 && s.seed[0] != s.seed[1], "seed = %x; want two different numbers, neither of them 0", s.seed)
		}
	}
	assert.True(t, len(homes) >= 20 && len(seen) == len(homes), "a digest had %d homes in %d arrays; want a different one in each", len(seen), len(homes))
}

// Get would never end in a full table, and a sparse one wastes memory: a slot takes 8 bytes.
func TestLoadFactorStaysInRange(t *testing.T) {
	t.Parallel()
	table := new(Table[int])
	n, most := 1_000_000, 0.0
	if raceDetector {
		n = 50_000
	}
	for i := range n {
		e := &Entry[int]{Value: i}
		// This is random enough and cheaper than SHA-256.
		binary.LittleEndian.PutUint64(e.Digest[:], uint64(i)*0x9E3779B97F4A7C15)
		table.Add(e)
		slots := len(table.slots.Load().array)
		if slots&(slots-1) != 0 {
			t.Fatalf("%d slots; want a power of two", slots)
		}
		if 4*table.Len() > 3*slots {
			t.Fatalf("%d of %d slots are taken; want at most three quarters", table.Len(), slots)
		}
		if i >= minSlots/2 {
			most = max(most, 8*float64(slots)/float64(table.Len()))
		}
	}
	assert.LessOrEqual(t, most, 24.0, "bytes an entry")
}

func TestGetAllocatesNothing(t *testing.T) {
	table := filled(1000)
	known, unknown := digestOf(7), digestOf(-1)
	for name, digest := range map[string]*[32]byte{"a known digest": &known, "an unknown digest": &unknown} {
		assert.Zero(t, testing.AllocsPerRun(1000, func() { sink = table.Get(digest) }), "allocations of Get of %s", name)
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
		// Run it with -cpu 1,2: without contention, two cores halve the time.
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
