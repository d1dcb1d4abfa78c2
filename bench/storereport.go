package main

import (
	"fmt"
	"io"
	"slices"
)

// reportEngines writes what is measured and what cannot be, and returns the former.
func reportEngines(w io.Writer, all []engine) (there []engine, err error) {
	fmt.Fprintln(w)
	for _, e := range all {
		if why := e.missing(); why != "" {
			fmt.Fprintf(w, "%s: skipped, %s\n", e.name, why)
			continue
		}
		var version string
		if err := e.with(func(d *database) error {
			db, err := d.pool()
			if err != nil {
				return err
			}
			return db.QueryRow(d.version).Scan(&version)
		}); err != nil {
			return nil, err
		}
		fmt.Fprintf(w, "%s: %s\n", e.name, version)
		there = append(there, e)
	}
	return there, nil
}

// reportFigures writes a table with a column for each engine.
func reportFigures(w io.Writer, title, note string, s scale, measure func(*database, scale) ([]figure, error)) error {
	var order []string
	values := make(map[string][]string) // of each figure, by engine
	header, line := []string{"what"}, []string{"---"}
	for i, e := range s.engines {
		header, line = append(header, e.name), append(line, "---:")
		err := e.with(func(d *database) error {
			figures, err := measure(d, s)
			for _, f := range figures {
				if values[f.what] == nil {
					order = append(order, f.what)
					values[f.what] = make([]string, len(s.engines))
				}
				values[f.what][i] = f.value
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	heading(w, title, note)
	row(w, header...)
	row(w, line...)
	for _, what := range order {
		row(w, append([]string{what}, values[what]...)...)
	}
	return nil
}

// reportPropagation writes how long a revocation takes to another process.
func reportPropagation(w io.Writer, s scale) error {
	note := fmt.Sprintf("From the return of Revoke in one to the first refusal by the cache of the other, which is asked each %v.", between)
	if slices.ContainsFunc(s.engines, func(e engine) bool { return e.listen != nil }) {
		note += " Whoever else writes keys in the same PostgreSQL database wakes it too, and it polls at most 50 times a second."
	}
	heading(w, "From a revocation to the first refusal by another process", note)
	row(w, "database", "by", "revocations", "median, ms", "p95, ms", "most, ms")
	row(w, "---", "---", "---:", "---:", "---:", "---:")
	for _, e := range s.engines {
		err := e.with(func(d *database) error {
			all, err := measurePropagation(d, s)
			for _, p := range all {
				row(w, p.engine, p.by, fmt.Sprint(len(p.took)),
					millis(median(p.took)), millis(quantile(p.took, 0.95)), millis(quantile(p.took, 1)))
			}
			return err
		})
		if err != nil {
			return err
		}
	}
	return nil
}

func micros(seconds float64) string { return fmt.Sprintf("%.0f", seconds*1e6) }

// millis writes milliseconds with about three digits.
func millis(seconds float64) string {
	switch ms := seconds * 1e3; {
	case ms < 10:
		return fmt.Sprintf("%.2f", ms)
	case ms < 100:
		return fmt.Sprintf("%.1f", ms)
	default:
		return fmt.Sprintf("%.0f", ms)
	}
}

// rate writes how many there were in a second.
func rate(seconds []float64) string {
	var sum float64
	for _, s := range seconds {
		sum += s
	}
	return fmt.Sprintf("%.0f", float64(len(seconds))/sum)
}
