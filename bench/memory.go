package main

import (
	"runtime"
	"runtime/debug"
	"time"

	"github.com/latchkey-dev/apikey/internal/digesttable"
	"github.com/latchkey-dev/apikey/memstore"
)

// A footprint is what a memstore with many keys costs beside requests.
type footprint struct {
	keys       int
	perKey     float64 // bytes, with the key's own strings and scopes
	perSlot    float64 // bytes of that in the table that lookups read
	gc, before time.Duration
}

// measureMemory fills a store and looks at the heap.
func measureMemory(n int) (footprint, error) {
	debug.FreeOSMemory()
	p := footprint{keys: n, before: collection()}
	store := memstore.New()
	start := heap()
	// The secrets are garbage at once, as they are in a service.
	if _, err := issue(store, template{n: n}); err != nil {
		return footprint{}, err
	}
	p.perKey = float64(heap()-start) / float64(n)
	p.gc = collection()
	runtime.KeepAlive(store)
	p.perSlot = slotBytes(n)
	return p, nil
}

// slotBytes measures the table alone, with entries that were there before.
func slotBytes(n int) float64 {
	entries := make([]digesttable.Entry[struct{}], n)
	for i := range entries {
		// Any digests will do: the table mixes them with a seed.
		entries[i].Digest = [32]byte{byte(i), byte(i >> 8), byte(i >> 16), byte(i >> 24)}
	}
	var table digesttable.Table[struct{}]
	start := heap()
	for i := range entries {
		table.Add(&entries[i])
	}
	grown := heap() - start
	runtime.KeepAlive(&table)
	runtime.KeepAlive(entries)
	return float64(grown) / float64(n)
}

// heap returns the bytes that are in use.
func heap() uint64 {
	runtime.GC()
	runtime.GC() // finishes the sweep of the first
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return m.HeapAlloc
}

// collection returns how long a whole garbage collection takes, from the call to its end;
// requests go on meanwhile.
func collection() time.Duration {
	var took []float64
	for range 5 {
		begin := time.Now()
		runtime.GC()
		took = append(took, float64(time.Since(begin)))
	}
	return time.Duration(median(took))
}
