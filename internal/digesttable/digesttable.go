// Package digesttable provides a hash table of digests that is read without locks.
package digesttable

import (
	"encoding/binary"
	"math/bits"
	"math/rand/v2"
	"sync/atomic"
)

// A Table maps digests to values. The zero Table is empty and ready for use. Get is safe for
// concurrent use, even while another goroutine changes the Table. The owner of the Table serializes
// the calls of the other methods: Add, Delete, Clear and Len.
//
// It is an open-addressing table of pointers with linear probing. A part of the digest serves as its
// hash, mixed with a random seed. Without the seed an attacker could fill a table with keys whose
// SHA-256 digests begin alike and so make every search long.
type Table[V any] struct {
	slots      atomic.Pointer[slots[V]]
	entries    int
	tombstones int
}

// An Entry is a digest and its value. A Table never copies an Entry, so Value may hold atomics that
// are written in place.
type Entry[V any] struct {
	Digest [32]byte
	Value  V
}

// slots is the array of a Table. A rebuild replaces it, with another seed.
type slots[V any] struct {
	seed      [2]uint64
	mask      uint64
	tombstone *Entry[V] // fills the slot of a deleted entry, so that searches continue past it
	array     []atomic.Pointer[Entry[V]]
}

// minSlots is the number of slots of the smallest array. Every size is a power of two.
const minSlots = 8

// Get returns the value of a digest, or nil if the Table has no such entry. It never blocks.
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
		// The comparison need not take constant time. Its duration tells an attacker how many
		// bytes of a digest agree, which does not help to find a key with this digest.
		if e.Digest == *digest && e != s.tombstone {
			return &e.Value
		}
	}
}

// Add puts an entry into the table. The table must not have one with the same digest. A Get that
// begins after Add has returned finds the entry.
func (t *Table[V]) Add(e *Entry[V]) {
	s := t.slots.Load()
	if s == nil || 4*(t.entries+t.tombstones+1) > 3*len(s.array) {
		s = t.rebuild(s)
	}
	if s.add(e) {
		t.tombstones--
	}
	t.entries++
}

// Delete removes the entry with this digest and reports whether there was one. A Get that begins
// after Delete has returned does not find it. A caller that found it before may still use its Value.
func (t *Table[V]) Delete(digest *[32]byte) bool {
	s := t.slots.Load()
	if s == nil {
		return false
	}
	i := s.home(digest)
	for ; ; i++ {
		e := s.array[i&s.mask].Load()
		if e == nil {
			return false
		}
		if e.Digest == *digest && e != s.tombstone {
			break
		}
	}
	t.entries--
	if s.array[(i+1)&s.mask].Load() != nil {
		// The entries behind must not move up, because a concurrent Get would miss them.
		s.array[i&s.mask].Store(s.tombstone)
		t.tombstones++
		return true
	}
	// The next slot is empty, so a search needs neither this slot nor the tombstones before it.
	s.array[i&s.mask].Store(nil)
	for i--; s.array[i&s.mask].Load() == s.tombstone; i-- {
		s.array[i&s.mask].Store(nil)
		t.tombstones--
	}
	return true
}

// Clear removes every entry.
func (t *Table[V]) Clear() {
	t.slots.Store(nil)
	t.entries, t.tombstones = 0, 0
}

// Len returns the number of entries.
func (t *Table[V]) Len() int { return t.entries }

// rebuild copies the entries into a new array without tombstones and then publishes it to readers.
// It doubles the size if the entries fill more than 9/16 of the old array; otherwise the next
// rebuild would follow too soon.
func (t *Table[V]) rebuild(old *slots[V]) *slots[V] {
	size := minSlots
	if old != nil {
		size = len(old.array)
		if 16*t.entries > 9*size {
			size *= 2
		}
	}
	s := &slots[V]{
		seed:      [2]uint64{rand.Uint64(), rand.Uint64()},
		mask:      uint64(size - 1),
		tombstone: new(Entry[V]),
		array:     make([]atomic.Pointer[Entry[V]], size),
	}
	if old != nil {
		for i := range old.array {
			if e := old.array[i].Load(); e != nil && e != old.tombstone {
				s.add(e)
			}
		}
	}
	t.slots.Store(s)
	t.tombstones = 0
	return s
}

// add stores an entry in the first free slot and reports whether a tombstone was there.
func (s *slots[V]) add(e *Entry[V]) (reused bool) {
	for i := s.home(&e.Digest); ; i++ {
		slot := &s.array[i&s.mask]
		if was := slot.Load(); was == nil || was == s.tombstone {
			slot.Store(e)
			return was != nil
		}
	}
}

// home returns the slot where the search for a digest begins. It multiplies two 64-bit halves, each
// hidden by a seed, so that an attacker cannot predict which digests collide.
func (s *slots[V]) home(digest *[32]byte) uint64 {
	high, low := bits.Mul64(
		binary.LittleEndian.Uint64(digest[0:])^s.seed[0],
		binary.LittleEndian.Uint64(digest[8:])^s.seed[1])
	return high ^ low
}
