// Command bench measures what a request costs with this package, beside the least that it
// could cost and beside other packages, and prints the tables as Markdown:
//
//	go run ./bench
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
	pace  pace
	most  int // keys in a store
	match *regexp.Regexp
}

func main() {
	rounds := flag.Int("rounds", 50, "figures to take the median of")
	quick := flag.Bool("quick", false, "only see that everything runs: 3 short rounds, no million keys")
	others := flag.Bool("busy", false, "the machine is in use: take the fastest of many very short turns, almost without garbage collections")
	run := flag.String("run", "", "measure only what this regular expression finds in GROUP/SUBJECT, such as APIKey/query; also Memory")
	flag.Parse()
	o := options{pace: calm(*rounds, 10*time.Millisecond), most: 1_000_000}
	if *others {
		o.pace = busy(*rounds)
	}
	if *quick {
		o.pace, o.most = calm(3, time.Millisecond), 100_000
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

// all measures group by group, so that one's stores are gone when the next begins.
func all(w io.Writer, o options) error {
	measured := false
	for _, g := range groups() {
		if g = g.choose(o.match); len(g.subjects) == 0 || g.keys > o.most {
			continue
		}
		runtime.GC()
		trials, err := g.ready(newFixture(0))
		if err != nil {
			return err
		}
		report(w, g, measure(trials, o.pace))
		measured = true
	}
	if o.match.MatchString("Memory") {
		runtime.GC()
		p, err := measureMemory(o.most)
		if err != nil {
			return err
		}
		reportMemory(w, p)
		measured = true
	}
	if !measured {
		return errors.New("-run: nothing has such a name")
	}
	return nil
}
