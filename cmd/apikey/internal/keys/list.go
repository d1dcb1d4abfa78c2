package keys

import (
	"context"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/keyjson"
)

func listCommand(a *cli.App) *cobra.Command {
	var p pages
	var o apikey.ListOptions
	var status, sort, expiresBefore, unusedSince string
	cmd := &cobra.Command{
		Use:               "list",
		Short:             "List keys",
		Long:              "List the keys that all filters select, the newest key first.",
		Example:           `  apikey list --status active --expires-before 30d --sort expires`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	flags := cmd.Flags()
	flags.StringVar(&o.Owner, "owner", "", "keys of this owner")
	flags.StringVar(&o.Scope, "scope", "", "keys that have this scope")
	flags.StringVar(&status, "status", "", "active, suspended, expired or revoked keys")
	flags.StringVar(&o.Search, "search", "", "keys that contain this text in their name, ID, hint, owner or scopes")
	flags.StringVar(&expiresBefore, "expires-before", "", "keys that expire before a date, or within a duration such as 30d")
	flags.StringVar(&unusedSince, "unused-since", "", "keys that were not used since a date, or for a duration such as 90d")
	flags.StringVar(&sort, "sort", "", "order of the list: newest, name or expires")
	p.register(cmd)
	cmd.RunE = withSession(a, func(ctx context.Context, s Session, _ []string) (err error) {
		now := time.Now()
		o.Status, o.Sort = apikey.Status(status), apikey.Sort(sort)
		if expiresBefore != "" {
			if o.ExpiresBefore, err = after(expiresBefore, now); err != nil {
				return cli.Usage(fmt.Errorf("--expires-before: %w", err))
			}
		}
		if unusedSince != "" {
			if o.UnusedSince, err = before(unusedSince, now); err != nil {
				return cli.Usage(fmt.Errorf("--unused-since: %w", err))
			}
		}
		return copyPages(ctx, a, &p, keysOf(s, o), keySink(a, now))
	})
	return cmd
}

func keysOf(s Session, o apikey.ListOptions) source[apikey.Key] {
	return func(ctx context.Context, cursor string, limit int) ([]apikey.Key, string, error) {
		o.Cursor, o.Limit = cursor, limit
		page, err := s.List(ctx, o)
		return page.Keys, page.Next, err
	}
}

func keySink(a *cli.App, now time.Time) sink[apikey.Key] {
	if a.JSON {
		return newJSONSink(a, "keys", func(k apikey.Key) any { return keyjson.Of(k, now) })
	}
	return tableSink[apikey.Key]{a, console.NewTable(a.Out, listHeading...), func(k apikey.Key) []string { return listRow(k, now) }}
}
