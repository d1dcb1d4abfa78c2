// Package digesttable is a hash table of digests that is read without locks.
package digesttable

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// A Table maps digests to values. Get may be called while another goroutine writes;
// writers are serialised by whoever owns the Table. The zero Table is empty and ready
// for use.
//
// It is a table of pointers with linear probing. A digest is random already, so a part
// of it serves as its hash; it is mixed with a seed because strangers may choose what is
// put into a table, and prefixes of SHA-256 can be ground until they meet.
type Table[V any] struct {
	slots   atomic.Pointer[slots[V]]
	entries int
}

// An Entry is a digest and its value. It stays where it is for as long as it is in the
// table, so a Value of atomics can be written in place.
type Entry[V any] struct {
	Digest [32]byte
	Value  V
}

type slots[V any] struct {
	seed  [2]uint64
	mask  uint64
	array []atomic.Pointer[Entry[V]]
}

const minSlots = 8

// Get returns the value of a digest, or nil. It never blocks.
func (t *Table[V]) Get(digest *[32]byte) *V {
	s := t.slots.Load()
	if s == nil {
		return nil
	}
	for i := s.home(digest); ; i++ {
		e := s.array[i&s.mask].Load()
		if e == nil {
			return nil
		}
		// Not in constant time: who sees how much of a digest agrees learns
		// nothing that helps to find a key with that digest.
		if e.Digest == *digest {
			return &e.Value
		}
	}
}

// Add puts an entry into the table, which has none with its digest yet. A Get that
// begins after Add has returned finds it.
func (t *Table[V]) Add(e *Entry[V]) {
	s := t.slots.Load()
	if s == nil || 4*(t.entries+1) > 3*len(s.array) {
		s = t.grow(s)
	}
	s.add(e)
	t.entries++
}

// Len returns the number of entries. It is for writers.
func (t *Table[V]) Len() int { return t.entries }

// grow makes a table of twice the size, fills it, and only then shows it to readers.
func (t *Table[V]) grow(old *slots[V]) *slots[V] {
	size := minSlots
	if old != nil {
		size = 2 * len(old.array)
	}
	s := &slots[V]{
		seed:  [2]uint64{rand.Uint64(), rand.Uint64()},
		mask:  uint64(size - 1),
		array: make([]atomic.Pointer[Entry[V]], size),
	}
	if old != nil {
		for i := range old.array {
			if e := old.array[i].Load(); e != nil {
				s.add(e)
			}
		}
	}
	t.slots.Store(s)
	return s
}

func (s *slots[V]) add(e *Entry[V]) {
	i := s.home(&e.Digest)
	for s.array[i&s.mask].Load() != nil {
		i++
	}
	s.array[i&s.mask].Store(e)
}

// home is where a digest is looked for first: a product of two halves of 64 bits, each
// hidden by a seed, so that without it nobody can tell which digests meet.
func (s *slots[V]) home(digest *[32]byte) uint64 {
	high, low := bits.Mul64(
		binary.LittleEndian.Uint64(digest[0:])^s.seed[0],
		binary.LittleEndian.Uint64(digest[8:])^s.seed[1])
	return high ^ low
}
