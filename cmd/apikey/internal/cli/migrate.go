package cli

import (
	"errors"
	"fmt"

	"github.com/spf13/cobra"
)

// Migrate returns the command that creates and upgrades the tables.
func Migrate(a *App) *cobra.Command {
	return &cobra.Command{
		Use:   "migrate",
		Short: "Create the tables, or upgrade them to this version",
		Long: `Create the tables, or upgrade them to this version. Programs of the previous version keep running.

The database user must own the tables. Only this command and serve --migrate change tables.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) (err error) {
			db, err := a.Database()
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, db.Close()) }()
			if err := db.Store.Migrate(cmd.Context()); err != nil {
				return err
			}
			fmt.Fprintf(a.Err, "The tables in %s are up to date.\n", db.Name)
			return nil
		},
	}
}
