// Command markdown reads the output of go test -bench and prints a Markdown table for each benchmark function. If
// -count repeated a benchmark, it prints the range of each value. Benchmarks with "engine=" in their names get a column
// for each engine. Others get a column for each unit.
package main

import (
	"bufio"
	"fmt"
	"io"
	"os"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"time"
)

func main() {
	if err := convert(os.Stdout, os.Stdin); err != nil {
		fmt.Fprintln(os.Stderr, "markdown:", err)
		os.Exit(1)
	}
}

// A benchmark contains the results of one sub-benchmark.
type benchmark struct {
	function, name, engine string
	values                 map[string][]float64 // by unit, one for each -count
}

var (
	line   = regexp.MustCompile(`^Benchmark([^/\s-]+)/?(\S*?)(?:-\d+)?\s+\d+\s+(.+)$`)
	engine = regexp.MustCompile(`/engine=([^/]+)`)
)

func convert(w io.Writer, r io.Reader) error {
	benchmarks, err := read(r)
	if err != nil {
		return err
	}
	for len(benchmarks) > 0 {
		function := benchmarks[0].function
		t := table{cells: make(map[[2]string]string)}
		for _, b := range benchmarks {
			if b.function == function {
				t.add(b)
			}
		}
		t.write(w, function)
		benchmarks = slices.DeleteFunc(benchmarks, func(b *benchmark) bool { return b.function == function })
	}
	return nil
}

func read(r io.Reader) (all []*benchmark, err error) {
	lines := bufio.NewScanner(r)
	byName := make(map[string]*benchmark)
	for lines.Scan() {
		match := line.FindStringSubmatch(lines.Text())
		if match == nil {
			continue
		}
		key := match[1] + "/" + match[2]
		b := byName[key]
		if b == nil {
			b = &benchmark{function: match[1], values: make(map[string][]float64)}
			if found := engine.FindStringSubmatch(key); found != nil {
				b.engine = found[1]
			}
			b.name = strings.NewReplacer("_", " ", "/", ", ").Replace(engine.ReplaceAllString(match[2], ""))
			byName[key], all = b, append(all, b)
		}
		fields := strings.Fields(match[3])
		for i := 0; i+1 < len(fields); i += 2 {
			value, err := strconv.ParseFloat(fields[i], 64)
			if err != nil {
				return nil, fmt.Errorf("%q: %w", lines.Text(), err)
			}
			b.values[fields[i+1]] = append(b.values[fields[i+1]], value)
		}
	}
	return all, lines.Err()
}

// A table keeps its rows and columns in the order of their insertion.
type table struct {
	rows, columns []string
	cells         map[[2]string]string
}

func (t *table) add(b *benchmark) {
	switch {
	case b.engine == "":
		for _, unit := range []string{"x/baseline", "x/apikey", "goal", "ns/op", "bare-ns", "B/op", "allocs/op", "B/key"} {
			if b.values[unit] != nil {
				t.set(b.name, unit, b.cell(unit))
			}
		}
	case b.values["p50-ns"] != nil:
		t.set(b.name+", median / max", b.engine, b.cell("p50-ns")+" / "+b.cell("max-ns"))
	case b.values["keys/s"] != nil:
		t.set(b.name+", keys/s", b.engine, b.cell("keys/s"))
	case b.values["B/key"] != nil:
		t.set(b.name+", B/key", b.engine, b.cell("B/key"))
	default:
		t.set(b.name, b.engine, b.cell("ns/op"))
	}
}

func (t *table) set(row, column, cell string) {
	if !slices.Contains(t.rows, row) {
		t.rows = append(t.rows, row)
	}
	if !slices.Contains(t.columns, column) {
		t.columns = append(t.columns, column)
	}
	t.cells[[2]string{row, column}] = cell
}

func (t *table) write(w io.Writer, title string) {
	fmt.Fprintf(w, "\n### %s\n\n| | %s |\n| ---%s |\n", title, strings.Join(t.columns, " | "), strings.Repeat(" | ---:", len(t.columns)))
	for _, row := range t.rows {
		fmt.Fprintf(w, "| %s |", row)
		for _, column := range t.columns {
			fmt.Fprintf(w, " %s |", t.cells[[2]string{row, column}])
		}
		fmt.Fprintln(w)
	}
}

// cell returns the value of a unit, or the range of its values.
func (b *benchmark) cell(unit string) string {
	least, most := format(slices.Min(b.values[unit]), unit), format(slices.Max(b.values[unit]), unit)
	if least == most {
		return least
	}
	return least + "–" + most
}

// format formats a value with three digits.
func format(value float64, unit string) string {
	if unit == "ns/op" || strings.HasSuffix(unit, "-ns") {
		precision := time.Duration(1)
		for time.Duration(value) >= 1_000*precision {
			precision *= 10
		}
		return time.Duration(value).Round(precision).String()
	}
	if value < 1_000 {
		return strconv.FormatFloat(value, 'g', 3, 64)
	}
	return strconv.FormatFloat(value, 'f', 0, 64)
}
