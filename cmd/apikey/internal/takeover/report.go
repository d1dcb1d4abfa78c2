package takeover

import (
	"encoding/json"
	"fmt"
	"io"
	"strings"
	"text/tabwriter"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
)

// A report has the result of each row.
type report struct {
	DryRun bool           `json:"dry_run"`
	Total  int            `json:"total"` // rows of the source
	Count  map[status]int `json:"count"`
	Rows   []result       `json:"rows"`
}

func newReport(dryRun bool, total int, results []result) *report {
	r := &report{DryRun: dryRun, Total: total, Count: map[status]int{}, Rows: results}
	for _, res := range results {
		r.Count[res.Status]++
	}
	if r.Rows == nil {
		r.Rows = []result{}
	}
	return r
}

// notImported returns the number of rows whose keys are not in the database.
func (r *report) notImported() int {
	n := r.Total
	for s, count := range r.Count {
		if s.ok() {
			n -= count
		}
	}
	return n
}

func (r *report) writeJSON(w io.Writer) error {
	e := json.NewEncoder(w)
	e.SetIndent("", "  ")
	return e.Encode(r)
}

func (r *report) writeTable(w io.Writer) error {
	t := tabwriter.NewWriter(w, 0, 0, 2, ' ', 0)
	fmt.Fprintln(t, "STATUS\tSOURCE ID\tNAME\tOWNER\tKEY ID\tREMARK")
	for _, row := range r.Rows {
		remark := strings.Join(append([]string{row.Problem}, row.Notes...), "; ")
		fmt.Fprintf(t, "%s\t%s\t%s\t%s\t%s\t%s\n", row.Status, console.Clean(row.SourceID), console.Clean(row.Name), console.Clean(row.Owner), row.KeyID, console.Clean(strings.TrimPrefix(remark, "; ")))
	}
	if err := t.Flush(); err != nil {
		return err
	}
	if r.DryRun {
		fmt.Fprint(w, "Dry run, nothing was written. ")
	}
	rows := "rows"
	if r.Total == 1 {
		rows = "row"
	}
	_, err := fmt.Fprintf(w, "%d %s: %d imported, %d pending, %d exist, %d duplicates, %d failed\n",
		r.Total, rows, r.Count[imported], r.Count[pending], r.Count[exists], r.Count[duplicate], r.Count[failed])
	return err
}
