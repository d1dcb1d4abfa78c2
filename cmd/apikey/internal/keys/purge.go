package keys

import (
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

func purgeCommand(a *cli.App) *cobra.Command {
	var until, olderThan string
	var yes bool
	cmd := &cobra.Command{
		Use:   "purge",
		Short: "Delete old keys and old entries of the history",
		Long: `Delete the keys that were revoked or expired before a time, and the entries of the history from before it. The time is at
least a day ago. The command needs a database, and asks you to type "purge", unless --yes is set. After a failure,
repeat it.`,
		Example:           `  apikey purge --older-than 90d`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&until, "before", "", "date or time before which to delete")
	cmd.Flags().StringVar(&olderThan, "older-than", "", "age from which to delete, such as 90d")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.RunE = func(*cobra.Command, []string) (err error) {
		at, err := purgeTime(until, olderThan, time.Now())
		if err != nil {
			return err
		}
		server, err := a.Server()
		if err != nil {
			return err
		}
		if server != nil {
			return cli.Usage(errors.New("purge needs a database, because a server has no endpoint for it"))
		}
		db, err := a.ExistingDatabase()
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, db.Close()) }()
		ctx := cmd.Context()
		question := fmt.Sprintf("Keys that ended before %s, and older history, will be deleted. Type \"purge\" to go on: ", timeText(at))
		if err := confirm(ctx, a, yes, question, "purge"); err != nil {
			return err
		}
		progress := a.Progress("Deleting")
		deleted, err := db.Store.Purge(ctx, at)
		progress.End()
		if err != nil {
			return fmt.Errorf("%w; %d keys and %d entries were deleted before that", err, deleted.Keys, deleted.Entries)
		}
		if a.JSON {
			return a.PrintJSON(struct {
				Keys    int `json:"keys"`
				Entries int `json:"entries"`
			}{deleted.Keys, deleted.Entries})
		}
		_, err = fmt.Fprintf(a.Out, "Deleted %s and %s of the history.\n",
			counted(deleted.Keys, "key", "keys"), counted(deleted.Entries, "entry", "entries"))
		return err
	}
	return cmd
}

// purgeTime returns the time of --before or --older-than.
func purgeTime(until, olderThan string, now time.Time) (time.Time, error) {
	if (until == "") == (olderThan == "") {
		return time.Time{}, cli.Usage(errors.New("want either --before or --older-than"))
	}
	at, err := parseDate(until)
	if err != nil {
		err = fmt.Errorf("--before: %w", err)
	}
	if olderThan != "" {
		var age time.Duration
		if age, err = parseDuration(olderThan); err != nil {
			err = fmt.Errorf("--older-than: %w", err)
		}
		at = now.Add(-age)
	}
	if err == nil && now.Sub(at) < minPurgeAge {
		err = errors.New("want a time at least 24 hours ago, because caches must have seen every change before it is deleted")
	}
	if err != nil {
		return time.Time{}, cli.Usage(err)
	}
	return at, nil
}

// minPurgeAge is the least age that sqlstore.Store.Purge accepts.
const minPurgeAge = 24 * time.Hour
