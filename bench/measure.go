package main

import (
	"math"
	"runtime"
	"runtime/debug"
	"slices"
	"time"
)

// A result is what one subject of a group cost.
type result struct {
	times  []float64 // ns for a request, one for each round
	allocs int
	bytes  int
}

func (r result) ns() float64 { return median(r.times) }

// A pace is how subjects take turns.
type pace struct {
	rounds int           // figures for each subject
	turns  int           // of which each figure is a low decile
	slot   time.Duration // length of a turn
	gc     int           // GOGC
}

// calm is for a machine that does nothing else. A turn is as long as several garbage
// collections are apart, so that each subject pays for its own.
func calm(rounds int, slot time.Duration) pace { return pace{rounds, 1, slot, 100} }

// busy is for a machine that others use. Of many turns, each shorter than what the kernel
// gives to another program, some are undisturbed. The garbage collector, whose threads
// would wait for a processor while its write barriers slow everything down, runs seldom;
// so this flatters who allocates.
func busy(rounds int) pace { return pace{rounds, 50, 200 * time.Microsecond, 400} }

// measure runs the subjects of a group one after another, each for a short time, and again
// and again. The machine's speed drifts by more than subjects differ, but little within a
// round, so what is compared is compared within a round.
func measure(trials []trial, p pace) []result {
	defer debug.SetGCPercent(debug.SetGCPercent(p.gc))
	results := make([]result, len(trials))
	times := make([]int, len(trials))
	order := make([]int, len(trials))
	for i, t := range trials {
		times[i] = calibrate(t, p.slot)
		results[i].allocs, results[i].bytes = allocations(t)
		order[i] = i
	}
	for range p.rounds {
		turns := make([][]float64, len(trials))
		for range p.turns {
			for _, i := range order {
				took := run(trials[i], times[i])
				turns[i] = append(turns[i], float64(took)/float64(times[i]))
			}
			slices.Reverse(order) // so that none always pays for the same one's garbage
		}
		for i := range trials {
			results[i].times = append(results[i].times, quantile(turns[i], 0.1))
		}
	}
	return results
}

// run makes n requests, and stops the clock after each batch.
func run(t trial, n int) (took time.Duration) {
	for n > 0 {
		m := min(n, batch)
		begin := time.Now()
		for range m {
			t.once()
		}
		took += time.Since(begin)
		if t.rewind != nil {
			t.rewind()
		}
		n -= m
	}
	return took
}

// calibrate returns how many requests fill a slot, by the fastest of some tries.
func calibrate(t trial, slot time.Duration) int {
	most := 1
	for range 5 {
		for n := 1; ; n *= 2 {
			if took := run(t, n); took >= slot/4 {
				most = max(most, int(float64(n)*float64(slot)/float64(took)))
				break
			}
		}
	}
	return most
}

// allocations returns how many allocations a request makes, and of how many bytes.
// Rounding hides what pools and the runtime allocate now and then.
func allocations(t trial) (count, bytes int) {
	const n = 1_000
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	t.once()
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	run(t, n)
	runtime.ReadMemStats(&after)
	each := func(total uint64) int { return int(math.Round(float64(total) / n)) }
	return each(after.Mallocs - before.Mallocs), each(after.TotalAlloc - before.TotalAlloc)
}

// ratios divides the times of two subjects round by round.
func ratios(a, b []float64) []float64 {
	return pairwise(a, b, func(a, b float64) float64 { return a / b })
}

// differences subtracts the times of two subjects round by round.
func differences(a, b []float64) []float64 {
	return pairwise(a, b, func(a, b float64) float64 { return a - b })
}

func pairwise(a, b []float64, f func(a, b float64) float64) []float64 {
	out := make([]float64, len(a))
	for i := range a {
		out[i] = f(a[i], b[i])
	}
	return out
}

func median(x []float64) float64 { return quantile(x, 0.5) }

// quantile is the nearest value of x of which this part is smaller.
func quantile(x []float64, part float64) float64 {
	sorted := slices.Sorted(slices.Values(x))
	return sorted[int(math.Round(part*float64(len(sorted)-1)))]
}
