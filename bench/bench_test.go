package main

import "testing"

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

// benchmark is for profiles and for benchstat. It does not interleave, so compare its
// figures with those of another run, not with each other: for that is the command.
func benchmark(b *testing.B, g group) {
	f := newFixture(0)
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
