package main

import (
	"fmt"
	"io"
	"strings"
)

// report writes the table of a group.
func report(w io.Writer, g group, results []result) {
	heading(w, g.title, g.note)
	if g.index(ours) >= 0 {
		reportPeers(w, g, results)
		return
	}
	row(w, "subject", "ns/request", "× floor (middle half)", "allocs", "bytes", "goal", "met")
	row(w, "---", "---:", "---:", "---:", "---:", "---", "---")
	for i, s := range g.subjects {
		r, times := results[i], ""
		var ratio float64
		if floor := max(0, g.index(s.floor)); floor != i {
			each := ratios(r.times, results[floor].times)
			ratio = median(each)
			times = middle(each)
		}
		row(w, s.name, ns(r.ns()), times, fmt.Sprint(r.allocs), fmt.Sprint(r.bytes),
			s.goal.String(), s.goal.met(ratio, r))
	}
}

// reportPeers writes what each costs more than its own bare router or handler.
func reportPeers(w io.Writer, g group, results []result) {
	bare := func(s subject) result { return results[g.index(s.bare)] }
	overhead := func(i int) []float64 { return differences(results[i].times, bare(g.subjects[i]).times) }
	us := overhead(g.index(ours))
	fmt.Fprintf(w, "The floor took %s ns here.\n\n", ns(results[0].ns()))
	row(w, "peer", "with keys, ns", "bare, ns", "overhead, ns", "× ours (middle half)", "allocs", "bytes", "identity in", "we cost less", "goal")
	row(w, "---", "---:", "---:", "---:", "---:", "---:", "---:", "---", "---", "---")
	for i, s := range g.subjects {
		if s.bare == "" {
			continue
		}
		r, b, o := results[i], bare(s), overhead(i)
		var times, less, met string
		if s.name != ours {
			each := ratios(o, us)
			times = middle(each)
			less = yes(median(each) > 1)
			if s.told == inRequest {
				met = less
			}
		}
		row(w, s.name, ns(r.ns()), ns(b.ns()), ns(median(o)), times,
			fmt.Sprint(r.allocs-b.allocs), fmt.Sprint(r.bytes-b.bytes), string(s.told), less, met)
	}
}

// reportMemory writes what keys cost while nobody asks.
func reportMemory(w io.Writer, p footprint) {
	heading(w, fmt.Sprintf("Memory of a memstore with %d keys", p.keys), "")
	row(w, "what", "value")
	row(w, "---", "---:")
	row(w, "bytes a key, with its name, a scope, an expiry and all indexes", fmt.Sprintf("%.0f", p.perKey))
	row(w, "bytes a key of that in the slots of the table", fmt.Sprintf("%.1f", p.perSlot))
	row(w, "a whole garbage collection, requests going on", fmt.Sprintf("%.1f ms", p.gc.Seconds()*1e3))
	row(w, "the same before, without the keys", fmt.Sprintf("%.1f ms", p.before.Seconds()*1e3))
}

// heading begins a table.
func heading(w io.Writer, title, note string) {
	fmt.Fprintf(w, "\n## %s\n\n", title)
	if note != "" {
		fmt.Fprintf(w, "%s\n\n", note)
	}
}

func row(w io.Writer, cells ...string) {
	fmt.Fprintf(w, "| %s |\n", strings.Join(cells, " | "))
}

// middle writes the median and the half of the values around it.
func middle(x []float64) string {
	return fmt.Sprintf("%.2f (%.2f–%.2f)", median(x), quantile(x, 0.25), quantile(x, 0.75))
}

func ns(f float64) string { return fmt.Sprintf("%.0f", f) }

func yes(b bool) string {
	if b {
		return "yes"
	}
	return "no"
}

// String is the goal as the table has it.
func (g *goal) String() string {
	if g == nil {
		return ""
	}
	s := fmt.Sprintf("%.1f×, %d allocs", g.ratio, g.allocs)
	if g.bytes > 0 {
		s += fmt.Sprintf(", %d B", g.bytes)
	}
	return s
}

// met tells whether a goal was reached, and otherwise what is too much.
func (g *goal) met(ratio float64, r result) string {
	if g == nil {
		return ""
	}
	var over []string
	if ratio > g.ratio {
		over = append(over, "time")
	}
	if r.allocs > g.allocs {
		over = append(over, "allocs")
	}
	if g.bytes > 0 && r.bytes > g.bytes {
		over = append(over, "bytes")
	}
	if over == nil {
		return "yes"
	}
	return "no: " + strings.Join(over, ", ")
}
