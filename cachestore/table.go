package cachestore

import (
	"sync/atomic"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/digesttable"
)

// A boundedTable holds at most max entries. It evicts by second chance (CLOCK): a hand moves around a
// ring of all entries and evicts the first one that was not used since the hand last passed. Only
// get is safe for concurrent use; the caller holds Store.mu for the other methods.
type boundedTable[V any] struct {
	max     int
	table   digesttable.Table[entry[V]]
	ring    []*slot[V]
	hand    int
	evicted uint64
}

// An entry is immutable, except that readers set used and the holder of Store.mu sets place.
type entry[V any] struct {
	value V
	end   instant // the entry is not used from then on, by either clock
	used  atomic.Bool
	place int32 // index in the ring
}

type slot[V any] = digesttable.Entry[entry[V]]

// maxChances bounds the steps of the hand, and so the time that an insertion holds the lock.
const maxChances = 256

// markUsed records that the entry was used. It writes only if the flag is not set yet, because cores
// that write the same cache line wait for each other.
func (e *entry[V]) markUsed() {
	if !e.used.Load() {
		e.used.Store(true)
	}
}

// get returns the entry of a digest, or nil. It takes no lock.
func (b *boundedTable[V]) get(d *apikey.Digest) *entry[V] {
	return b.table.Get((*[32]byte)(d))
}

// put inserts an entry. It replaces the entry of the same digest, or evicts one if the table is full.
func (b *boundedTable[V]) put(d apikey.Digest, v V, end instant) {
	n := &slot[V]{Digest: d}
	n.Value.value, n.Value.end = v, end
	if e := b.get(&d); e != nil {
		n.Value.used.Store(e.used.Load())
		b.replace(e.place, n)
		return
	}
	if len(b.ring) < b.max {
		n.Value.place = int32(len(b.ring))
		b.ring = append(b.ring, n)
		b.table.Add(n)
		return
	}
	for range maxChances {
		if !b.ring[b.hand].Value.used.Swap(false) {
			break
		}
		b.advance()
	}
	b.replace(int32(b.hand), n)
	b.advance()
	b.evicted++
}

func (b *boundedTable[V]) replace(place int32, n *slot[V]) {
	b.table.Delete(&b.ring[place].Digest)
	n.Value.place = place
	b.ring[place] = n
	b.table.Add(n)
}

func (b *boundedTable[V]) advance() {
	if b.hand++; b.hand >= len(b.ring) {
		b.hand = 0
	}
}

// remove removes the entry of a digest, if there is one.
func (b *boundedTable[V]) remove(d *apikey.Digest) {
	e := b.get(d)
	if e == nil {
		return
	}
	b.table.Delete((*[32]byte)(d))
	last := len(b.ring) - 1
	b.ring[e.place] = b.ring[last]
	b.ring[e.place].Value.place = e.place
	b.ring[last] = nil
	b.ring = b.ring[:last]
	if b.hand >= last {
		b.hand = 0
	}
}

// clear removes every entry.
func (b *boundedTable[V]) clear() {
	b.table.Clear()
	b.ring, b.hand = nil, 0
}
