package main

import (
	"fmt"
	"io"
	"runtime"
	"slices"
	"time"
)

// A scale is how much of the SQL store is measured.
type scale struct {
	engines []engine
	keys    int // in the table that is large

	lookups, touches, writes int
	pages                    int // readings of a page

	poll             time.Duration
	polled, notified int // revocations that another process learns of
}

func wholeScale(keys int) *scale {
	return &scale{
		engines: engines, keys: keys,
		lookups: 5_000, touches: 10_000, writes: 1_000, pages: 30,
		poll: time.Second, polled: 20, notified: 100,
	}
}

// tinyScale is only to see that everything runs, without a server.
func tinyScale() *scale {
	return &scale{
		engines: engines[:1], keys: 2_000,
		lookups: 200, touches: 1_000, writes: 20, pages: 3,
		poll: 50 * time.Millisecond, polled: 5, notified: 5,
	}
}

// A storePart is a table of the SQL store, besides that of its requests. It is of databases
// of its own.
type storePart struct {
	name   string // as -run knows it
	report func(w io.Writer, s scale) error
}

var storeParts = []storePart{
	{"Stores/store", func(w io.Writer, s scale) error {
		return reportFigures(w, "The store without its cache", "", s, measureStore)
	}},
	{"Stores/propagation", reportPropagation},
	{"Stores/keys", func(w io.Writer, s scale) error {
		note := fmt.Sprintf("Pages have %d keys; one step of a search looks at %d at most.", pageSize, stepRows)
		return reportFigures(w, fmt.Sprintf("%d keys in a database", s.keys), note, s, measureManyKeys)
	}},
}

// reportStores measures the SQL store on each engine that is there. It reports whether
// anything was chosen.
func reportStores(w io.Writer, o options) (measured bool, err error) {
	requests := len(storeGroup(o.stores.engines).choose(o.match).subjects) > 0
	chosen := slices.DeleteFunc(slices.Clone(storeParts), func(p storePart) bool { return !o.match.MatchString(p.name) })
	if !requests && len(chosen) == 0 {
		return false, nil
	}
	s := *o.stores
	if s.engines, err = reportEngines(w, s.engines); err != nil {
		return false, err
	}
	if g := storeGroup(s.engines).choose(o.match); len(g.subjects) > 0 {
		if err := reportGroup(w, g, o.pace); err != nil {
			return false, err
		}
	}
	for _, p := range chosen {
		runtime.GC()
		if err := p.report(w, s); err != nil {
			return false, err
		}
	}
	return true, nil
}
