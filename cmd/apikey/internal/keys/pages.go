package keys

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"io"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
)

// maxPage is the number of elements in the largest page of a list.
const maxPage = 500

// pages are the flags that choose a part of a list.
type pages struct {
	limit  int
	all    bool
	cursor string
}

func (p *pages) register(cmd *cobra.Command) {
	cmd.Flags().IntVar(&p.limit, "limit", 100, "largest number of entries to print")
	cmd.Flags().BoolVar(&p.all, "all", false, "print all entries, page by page")
	cmd.Flags().StringVar(&p.cursor, "cursor", "", "continue an earlier list from the cursor that it printed")
}

// A source reads one page of a list. The cursor "" means the first page, and next is "" after the last one.
type source[T any] func(ctx context.Context, cursor string, limit int) (page []T, next string, err error)

// A sink prints a list. copyPages calls page for each page, and then end with the cursor of the rest, or "".
type sink[T any] interface {
	page([]T) error
	end(next string) error
}

// copyPages prints the part of a list that the flags choose.
func copyPages[T any](ctx context.Context, a *cli.App, p *pages, read source[T], to sink[T]) error {
	if p.limit < 1 {
		return cli.Usage(fmt.Errorf("--limit: %d; want 1 or more, or --all", p.limit))
	}
	progress := &console.Progress{}
	if !a.OutIsTerminal {
		progress = a.Progress("Reading")
	}
	defer progress.End()
	cursor, printed := p.cursor, 0
	for p.all || printed < p.limit {
		size := maxPage
		if !p.all {
			size = min(maxPage, p.limit-printed)
		}
		page, next, err := read(ctx, cursor, size)
		if err != nil {
			return err
		}
		if err := to.page(page); err != nil {
			return err
		}
		printed += len(page)
		progress.Set(fmt.Sprintf("Read %d", printed))
		if next != "" && next == cursor {
			return fmt.Errorf("the list does not continue after the cursor %.60q", cursor)
		}
		if cursor = next; cursor == "" {
			break
		}
	}
	progress.End()
	return to.end(cursor)
}

// A tableSink prints a list as a table.
type tableSink[T any] struct {
	app   *cli.App
	table *console.Table
	row   func(T) []string
}

func (t tableSink[T]) page(list []T) error {
	rows := make([][]string, len(list))
	for i, element := range list {
		rows[i] = t.row(element)
	}
	return t.table.Write(rows)
}

func (t tableSink[T]) end(next string) error {
	if next != "" {
		fmt.Fprintf(t.app.Err, "There may be more: use --all, or --cursor %s\n", console.Clean(next))
	}
	return nil
}

// A jsonSink prints a list as one JSON object, page by page.
type jsonSink[T any] struct {
	out    *bufio.Writer
	object func(T) any
	begun  bool
}

// newJSONSink returns a sink that writes an object. name is the member that contains the list.
func newJSONSink[T any](a *cli.App, name string, object func(T) any) *jsonSink[T] {
	j := &jsonSink[T]{out: bufio.NewWriter(a.Out), object: object}
	fmt.Fprintf(j.out, `{%q:[`, name) // Flush returns the error
	return j
}

func (j *jsonSink[T]) page(list []T) error {
	for _, element := range list {
		if j.begun {
			io.WriteString(j.out, ",")
		}
		j.begun = true
		io.WriteString(j.out, "\n")
		e := json.NewEncoder(trimmed{j.out})
		e.SetEscapeHTML(false)
		if err := e.Encode(j.object(element)); err != nil {
			return err
		}
	}
	return j.out.Flush()
}

func (j *jsonSink[T]) end(next string) error {
	io.WriteString(j.out, "]")
	if next != "" {
		text, err := json.Marshal(next)
		if err != nil {
			return err
		}
		fmt.Fprintf(j.out, `,"next":%s`, text)
	}
	io.WriteString(j.out, "}\n")
	return j.out.Flush()
}

// A trimmed Writer drops a line feed at the end of each write.
type trimmed struct{ w io.Writer }

func (t trimmed) Write(p []byte) (int, error) {
	end := len(p)
	if end > 0 && p[end-1] == '\n' {
		end--
	}
	n, err := t.w.Write(p[:end])
	if err == nil {
		n = len(p)
	}
	return n, err
}
