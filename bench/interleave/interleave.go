// Package interleave measures HTTP handlers in turns. The speed of a machine can drop by 40 % within a minute, but
// differs little within one turn. Ratios are therefore taken within a turn, and the result is their median.
package interleave

import (
	"math"
	"runtime"
	"slices"
	"testing"
	"time"
)

// slice is the time for an Exchange in each turn. It is long enough for several garbage collections, so that each
// Exchange pays for its own garbage.
const slice = 10 * time.Millisecond

// A Result is the result of Measure.
type Result struct {
	Turns  [][]float64 // nanoseconds per request, by turn and Exchange
	Allocs float64     // allocations per request of the first Exchange
}

// Measure runs each Exchange for 10 ms in each iteration of the benchmark, which is one turn. It reports the median
// time, the allocations and the bytes of a request of the first Exchange as ns/op, allocs/op and B/op.
func Measure(b *testing.B, exchanges ...*Exchange) Result {
	b.ReportAllocs()
	var result Result
	for b.Loop() {
		turn := make([]float64, len(exchanges))
		for i := range exchanges {
			if len(result.Turns)%2 == 1 { // the order alternates, because an Exchange may pay for the garbage of the previous one
				i = len(exchanges) - 1 - i
			}
			turn[i] = exchanges[i].time()
		}
		result.Turns = append(result.Turns, turn)
	}
	var bytes float64
	result.Allocs, bytes = exchanges[0].allocations()
	b.ReportMetric(result.Median(func(turn []float64) float64 { return turn[0] }), "ns/op")
	b.ReportMetric(bytes, "B/op")
	b.ReportMetric(result.Allocs, "allocs/op")
	return result
}

// Median returns the median of f over all turns.
func (r Result) Median(f func(turn []float64) float64) float64 {
	values := make([]float64, len(r.Turns))
	for i, turn := range r.Turns {
		values[i] = f(turn)
	}
	slices.Sort(values)
	return values[len(values)/2]
}

// time returns the nanoseconds per request during one slice.
func (e *Exchange) time() float64 {
	var took time.Duration
	n := 0
	for ; took < slice; n += batch {
		begin := time.Now()
		for range batch {
			e.once()
		}
		took += time.Since(begin)
		e.reset()
	}
	return float64(took) / float64(n)
}

// allocations returns the allocations and the allocated bytes per request. Rounding removes occasional allocations of
// pools and the runtime.
func (e *Exchange) allocations() (count, bytes float64) {
	const batches = 16
	defer runtime.GOMAXPROCS(runtime.GOMAXPROCS(1))
	var before, after runtime.MemStats
	runtime.ReadMemStats(&before)
	for range batches {
		for range batch {
			e.once()
		}
		e.reset()
	}
	runtime.ReadMemStats(&after)
	each := func(total uint64) float64 { return math.Round(float64(total) / (batches * batch)) }
	return each(after.Mallocs - before.Mallocs), each(after.TotalAlloc - before.TotalAlloc)
}
