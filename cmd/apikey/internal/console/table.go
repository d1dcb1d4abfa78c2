package console

import (
	"bytes"
	"io"
	"strings"

	"github.com/rivo/uniseg"
)

// maxCell is the width of a cell in columns of the terminal. A longer text is cut.
const maxCell = 60

// A Table writes rows in aligned columns, page by page. A column is as wide as its widest cell so far, so that a long
// list needs no memory.
type Table struct {
	w       io.Writer
	heading []string
	widths  []int
}

// NewTable returns a Table with the headings of its columns.
func NewTable(w io.Writer, heading ...string) *Table {
	return &Table{w: w, heading: heading, widths: make([]int, len(heading))}
}

// Write writes rows, each with a cell for each column. The first call also writes the headings.
func (t *Table) Write(rows [][]string) error {
	var shown [][]string
	if t.heading != nil {
		shown = append(shown, t.heading)
		t.heading = nil
	}
	for _, row := range rows {
		cells := make([]string, len(row))
		for i, text := range row {
			cells[i] = cut(Clean(text))
		}
		shown = append(shown, cells)
	}
	for _, cells := range shown {
		for i, text := range cells {
			t.widths[i] = max(t.widths[i], uniseg.StringWidth(text))
		}
	}
	var b bytes.Buffer
	for _, cells := range shown {
		writeRow(&b, cells, t.widths)
	}
	_, err := t.w.Write(b.Bytes())
	return err
}

// Fields writes pairs of a name and a value, one on each line. Values are not cut.
func Fields(w io.Writer, pairs [][2]string) error {
	widest := 0
	for _, pair := range pairs {
		widest = max(widest, uniseg.StringWidth(pair[0]))
	}
	var b bytes.Buffer
	for _, pair := range pairs {
		writeRow(&b, []string{pair[0], Clean(pair[1])}, []int{widest, 0})
	}
	_, err := w.Write(b.Bytes())
	return err
}

func writeRow(b *bytes.Buffer, cells []string, widths []int) {
	const gap = 2
	line := strings.Builder{}
	for i, text := range cells {
		line.WriteString(text)
		line.WriteString(strings.Repeat(" ", gap+max(0, widths[i]-uniseg.StringWidth(text))))
	}
	b.WriteString(strings.TrimRight(line.String(), " "))
	b.WriteByte('\n')
}

// cut shortens a text to maxCell columns. It never cuts within a character that is made of several code points.
func cut(s string) string {
	if uniseg.StringWidth(s) <= maxCell {
		return s
	}
	var b strings.Builder
	width := 0
	for g := uniseg.NewGraphemes(s); g.Next(); {
		if width += g.Width(); width > maxCell-1 {
			break
		}
		b.WriteString(g.Str())
	}
	return b.String() + "…"
}
