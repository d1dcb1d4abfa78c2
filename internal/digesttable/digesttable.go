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
	graves  int // slots of deleted entries that are not used again yet
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
	grave *Entry[V] // stands where an entry was deleted, so that those behind it are found
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
		if e.Digest == *digest && e != s.grave {
			return &e.Value
		}
	}
}

// Add puts an entry into the table, which has none with its digest yet. A Get that
// begins after Add has returned finds it.
func (t *Table[V]) Add(e *Entry[V]) {
	s := t.slots.Load()
	if s == nil || 4*(t.entries+t.graves+1) > 3*len(s.array) {
		s = t.rebuild(s)
	}
	if s.add(e) {
		t.graves--
	}
	t.entries++
}

// Delete takes the entry with this digest out of the table and reports whether there was
// one. A Get that begins after Delete has returned does not find it; one that found it
// before may still use its Value.
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
		if e.Digest == *digest && e != s.grave {
			break
		}
	}
	t.entries--
	if s.array[(i+1)&s.mask].Load() != nil {
		// Nothing may be moved up, since a Get that is on its way would miss it.
		s.array[i&s.mask].Store(s.grave)
		t.graves++
		return true
	}
	// No search goes on beyond here, so neither this slot nor the graves before it
	// are in anyone's way.
	s.array[i&s.mask].Store(nil)
	for i--; s.array[i&s.mask].Load() == s.grave; i-- {
		s.array[i&s.mask].Store(nil)
		t.graves--
	}
	return true
}

// Clear takes every entry out of the table.
func (t *Table[V]) Clear() {
	t.slots.Store(nil)
	t.entries, t.graves = 0, 0
}

// Len returns the number of entries. It is for writers.
func (t *Table[V]) Len() int { return t.entries }

// rebuild makes a table without graves, fills it, and only then shows it to readers. It
// is of twice the size unless a quarter of the slots in use were graves: with fewer, the
// next rebuild would come too soon.
func (t *Table[V]) rebuild(old *slots[V]) *slots[V] {
	size := minSlots
	if old != nil {
		size = len(old.array)
		if 16*t.entries > 9*size {
			size *= 2
		}
	}
	s := &slots[V]{
		seed:  [2]uint64{rand.Uint64(), rand.Uint64()},
		mask:  uint64(size - 1),
		grave: new(Entry[V]),
		array: make([]atomic.Pointer[Entry[V]], size),
	}
	if old != nil {
		for i := range old.array {
			if e := old.array[i].Load(); e != nil && e != old.grave {
				s.add(e)
			}
		}
	}
	t.slots.Store(s)
	t.graves = 0
	return s
}

// add reports whether it used a grave.
func (s *slots[V]) add(e *Entry[V]) bool {
	for i := s.home(&e.Digest); ; i++ {
		slot := &s.array[i&s.mask]
		if was := slot.Load(); was == nil || was == s.grave {
			slot.Store(e)
			return was != nil
		}
	}
}

// home is where a digest is looked for first: a product of two halves of 64 bits, each
// hidden by a seed, so that without it nobody can tell which digests meet.
func (s *slots[V]) home(digest *[32]byte) uint64 {
	high, low := bits.Mul64(
		binary.LittleEndian.Uint64(digest[0:])^s.seed[0],
		binary.LittleEndian.Uint64(digest[8:])^s.seed[1])
	return high ^ low
}
