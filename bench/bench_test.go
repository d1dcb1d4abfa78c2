package main

import (
	"io"
	"regexp"
	"testing"
	"time"
)

func BenchmarkFloor(b *testing.B) {
	g := apikeyGroup()
	g.subjects = g.subjects[:2]
	benchmark(b, g)
}

func BenchmarkAPIKey(b *testing.B) {
	g := apikeyGroup()
	g.subjects = g.subjects[2:]
	benchmark(b, g)
	for _, g := range groups() {
		if g.keys > 0 {
			b.Run(g.name, func(b *testing.B) { benchmark(b, g) })
		}
	}
}

func BenchmarkRefusals(b *testing.B) { benchmark(b, refusalGroup()) }

func BenchmarkPeers(b *testing.B) { benchmark(b, peerGroup()) }

// BenchmarkStores is of SQLite alone, which needs no server. The last of it runs whatever
// the command does with databases.
func BenchmarkStores(b *testing.B) {
	benchmark(b, storeGroup(engines[:1]))
	b.Run("uncached lookup", benchmarkLookup)
	b.Run("everything, tiny", func(b *testing.B) {
		o := options{pace: calm(1, time.Millisecond), stores: tinyScale(), match: regexp.MustCompile("")}
		for b.Loop() {
			if err := all(io.Discard, o); err != nil {
				b.Fatal(err)
			}
		}
	})
}

func benchmarkLookup(b *testing.B) {
	err := engines[0].with(func(d *database) error {
		f := newFilling(few)
		p, err := d.filled(f, 0)
		if err != nil {
			return err
		}
		b.ReportAllocs()
		for i := 0; b.Loop(); i++ {
			if _, err := p.store.Lookup(b.Context(), f[i%few]); err != nil {
				return err
			}
		}
		return nil
	})
	if err != nil {
		b.Fatal(err)
	}
}

// benchmark is for profiles and for benchstat. It does not interleave, so compare its
// figures with those of another run, not with each other: for that is the command.
func benchmark(b *testing.B, g group) {
	f := newFixture(0)
	b.Cleanup(func() {
		if err := f.close(); err != nil {
			b.Error(err)
		}
	})
	for _, s := range g.subjects {
		b.Run(s.name, func(b *testing.B) {
			t, err := s.ready(f)
			if err != nil {
				b.Fatal(err)
			}
			b.ReportAllocs()
			for b.Loop() {
				t.once()
			}
		})
	}
}
