// Command bench measures what a request costs with this package, beside the least that it
// could cost and beside other packages, and prints the tables as Markdown:
//
//	go run ./bench
//	go run ./bench -stores
//
// Everything is measured in one process, interleaved in short turns, since the same
// machine is up to 40 % faster or slower a minute later: trust the ratios, not the
// nanoseconds. Before anything is measured it is checked to do what its name says.
package main

import (
	"errors"
	"flag"
	"fmt"
	"io"
	"os"
	"regexp"
	"runtime"
	"time"
)

type options struct {
	pace     pace
	most     int    // keys in a store
	stores   *scale // nil: the SQL store is not measured
	requests bool   // all but the SQL store is
	match    *regexp.Regexp
}

func main() {
	rounds := flag.Int("rounds", 50, "figures to take the median of")
	quick := flag.Bool("quick", false, "only see that everything runs: 3 short rounds, no million keys, of databases SQLite alone")
	others := flag.Bool("busy", false, "the machine is in use: take the fastest of many very short turns, almost without garbage collections")
	stores := flag.Bool("stores", false, "measure the SQL store instead: on SQLite, and on PostgreSQL and MySQL where APIKEY_TEST_POSTGRES and APIKEY_TEST_MYSQL name a server")
	million := flag.Bool("million", false, "-stores with a table of a million keys, which takes minutes to fill, not of 100 thousand")
	run := flag.String("run", "", "measure only what this regular expression finds in GROUP/SUBJECT, such as APIKey/query; also Memory, Stores/store, Stores/propagation, Stores/keys")
	flag.Parse()
	o := options{pace: calm(*rounds, 10*time.Millisecond), most: 1_000_000, requests: !*stores}
	if *others {
		o.pace = busy(*rounds)
	}
	if *stores {
		o.stores = wholeScale(100_000)
	}
	if *million {
		o.stores, o.requests = wholeScale(1_000_000), false
	}
	if *quick {
		o.pace, o.most, o.stores = calm(3, time.Millisecond), 100_000, tinyScale()
	}
	if err := o.command(os.Stdout, *run); err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

func (o options) command(w io.Writer, run string) (err error) {
	if o.match, err = regexp.Compile(run); err != nil {
		return err
	}
	if o.pace.rounds < 1 {
		return errors.New("-rounds: want at least 1")
	}
	reportMachine(w, o.pace)
	return all(w, o)
}

// all measures what was chosen.
func all(w io.Writer, o options) error {
	measured := false
	if o.requests {
		some, err := reportRequests(w, o)
		if err != nil {
			return err
		}
		measured = some
	}
	if o.stores != nil {
		some, err := reportStores(w, o)
		if err != nil {
			return err
		}
		measured = measured || some
	}
	if !measured {
		return errors.New("-run: nothing has such a name")
	}
	return nil
}

// reportRequests measures group by group, so that one's stores are gone when the next begins.
func reportRequests(w io.Writer, o options) (measured bool, err error) {
	for _, g := range groups() {
		if g = g.choose(o.match); len(g.subjects) == 0 || g.keys > o.most {
			continue
		}
		if err := reportGroup(w, g, o.pace); err != nil {
			return false, err
		}
		measured = true
	}
	if o.match.MatchString("Memory") {
		runtime.GC()
		p, err := measureMemory(o.most)
		if err != nil {
			return false, err
		}
		reportMemory(w, p)
		measured = true
	}
	return measured, nil
}

func reportGroup(w io.Writer, g group, p pace) (err error) {
	runtime.GC()
	f := newFixture(0)
	defer func() { err = errors.Join(err, f.close()) }()
	trials, err := g.ready(f)
	if err != nil {
		return err
	}
	report(w, g, measure(trials, p))
	return nil
}
