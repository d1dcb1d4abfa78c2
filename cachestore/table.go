package cachestore

import (
	"sync/atomic"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/digesttable"
)

// A bounded table holds max entries at most. It makes room by second chance (CLOCK): a hand
// goes round, and takes the first entry that was not used since it last came by. All but
// get are called under a lock.
type bounded[V any] struct {
	max     int
	table   digesttable.Table[entry[V]]
	ring    []*slot[V]
	hand    int
	evicted uint64
}

// An entry is never written to but for used, since it is read without a lock. place is
// written under the lock, and read only there.
type entry[V any] struct {
	value V
	until instant // it ends, by either clock
	used  atomic.Bool
	place int32 // in the ring
}

type slot[V any] = digesttable.Entry[entry[V]]

// maxChances bounds how long others wait while the hand goes round.
const maxChances = 256

// use remembers that the entry was used. It is written only once in a round of the hand, or
// cores that use the same entry would wait for each other.
func (e *entry[V]) use() {
	if !e.used.Load() {
		e.used.Store(true)
	}
}

// get returns what is known of a digest, or nil. It takes no lock.
func (b *bounded[V]) get(d *apikey.Digest) *entry[V] {
	return b.table.Get((*[32]byte)(d))
}

// put puts an entry in the place of the one that there was, or of one that was not used.
func (b *bounded[V]) put(d apikey.Digest, v V, until instant) {
	n := &slot[V]{Digest: d}
	n.Value.value, n.Value.until = v, until
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

func (b *bounded[V]) replace(place int32, n *slot[V]) {
	b.table.Delete(&b.ring[place].Digest)
	n.Value.place = place
	b.ring[place] = n
	b.table.Add(n)
}

func (b *bounded[V]) advance() {
	if b.hand++; b.hand >= len(b.ring) {
		b.hand = 0
	}
}

// remove removes an entry if there is one.
func (b *bounded[V]) remove(d *apikey.Digest) {
	e := b.get(d)
	if e == nil {
		return
	}
	b.table.Delete((*[32]byte)(d))
	// The last of the ring takes the place.
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
func (b *bounded[V]) clear() {
	b.table.Clear()
	b.ring, b.hand = nil, 0
}
