package keys

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/keyjson"
)

func historyCommand(a *cli.App) *cobra.Command {
	key, p := &keyArgument{app: a}, &pages{}
	cmd := &cobra.Command{
		Use:   "history [ID]",
		Short: "Print who changed what, for one key or for all keys",
		Long:  "Print the changes of a key, or of all keys without an ID, the newest change first.",
	}
	key.register(cmd)
	p.register(cmd)
	cmd.RunE = withSession(a, func(ctx context.Context, s Session, args []string) (err error) {
		var o apikey.AuditOptions
		if len(args) > 0 || key.from != "" {
			if o.KeyID, err = key.id(ctx, s, args); err != nil {
				return err
			}
		}
		return copyPages(ctx, a, p, entriesOf(s, o), entrySink(a))
	})
	return cmd
}

func entriesOf(s Session, o apikey.AuditOptions) source[apikey.AuditEntry] {
	return func(ctx context.Context, cursor string, limit int) ([]apikey.AuditEntry, string, error) {
		o.Cursor, o.Limit = cursor, limit
		page, err := s.History(ctx, o)
		if err == nil && o.KeyID != "" && cursor == "" && len(page.Entries) == 0 {
			_, err = s.Get(ctx, o.KeyID) // a misspelled ID has no history either
		}
		return page.Entries, page.Next, err
	}
}

func entrySink(a *cli.App) sink[apikey.AuditEntry] {
	if a.JSON {
		return newJSONSink(a, "entries", func(e apikey.AuditEntry) any { return keyjson.EntryOf(e) })
	}
	table := console.NewTable(a.Out, "TIME", "ACTOR", "ACTION", "KEY", "CHANGES")
	return tableSink[apikey.AuditEntry]{a, table, func(e apikey.AuditEntry) []string {
		return []string{timeOrDash(e.At), cmp.Or(e.Actor, "-"), e.Action, cmp.Or(e.KeyID, "-"), changesText(e.Changes)}
	}}
}

func timeOrDash(t time.Time) string {
	if t.IsZero() {
		return "-"
	}
	return timeText(t)
}

// changesText returns the changes of an entry, such as `name: "a" → "b"; scopes: "read"`.
func changesText(changes []apikey.FieldChange) string {
	texts := make([]string, len(changes))
	for i, c := range changes {
		switch {
		case c.Old == "" && c.New == "":
			texts[i] = c.Field
		case c.Old == "":
			texts[i] = fmt.Sprintf("%s: %q", c.Field, c.New)
		default:
			texts[i] = fmt.Sprintf("%s: %q → %q", c.Field, c.Old, c.New)
		}
	}
	return strings.Join(texts, "; ")
}
