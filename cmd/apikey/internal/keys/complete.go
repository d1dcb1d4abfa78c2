package keys

import (
	"context"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
)

const (
	completeTimeout = time.Second
	maxCompletions  = 50
)

// completeIDs completes the ID of a key from a database. It offers nothing if there is no database, or if the database
// does not answer within completeTimeout. It does not ask a server, because each press of the Tab key would count
// against the server's limits.
func completeIDs(a *cli.App) cobra.CompletionFunc {
	return func(cmd *cobra.Command, args []string, begin string) ([]cobra.Completion, cobra.ShellCompDirective) {
		if server, err := a.Server(); err != nil || server != nil || len(args) > 0 {
			return nil, cobra.ShellCompDirectiveNoFileComp
		}
		ctx, cancel := context.WithTimeout(cmd.Context(), completeTimeout)
		defer cancel()
		return idsFrom(ctx, a, begin), cobra.ShellCompDirectiveNoFileComp
	}
}

// idsFrom returns the IDs that begin with a text, or those that it has found when ctx ends.
func idsFrom(ctx context.Context, a *cli.App, begin string) (ids []cobra.Completion) {
	s, closeSession, err := open(a)
	if err != nil {
		return nil
	}
	defer closeSession()
	read := keysOf(s, apikey.ListOptions{Search: begin})
	for cursor, more := "", true; more; more = cursor != "" {
		page, next, err := read(ctx, cursor, maxPage)
		if err != nil || next == cursor && next != "" {
			return ids
		}
		for _, key := range page {
			if len(ids) == maxCompletions {
				return ids
			}
			if strings.HasPrefix(key.ID, begin) {
				ids = append(ids, cobra.CompletionWithDesc(key.ID, strings.ReplaceAll(console.Clean(key.Name), "\t", " ")))
			}
		}
		cursor = next
	}
	return ids
}
