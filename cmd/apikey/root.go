package main

import (
	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/declare"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/keys"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/scanner"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/serve"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/takeover"
)

// newRoot returns the command with all of its subcommands.
func newRoot(app *cli.App) *cobra.Command {
	root := app.Root()
	root.AddCommand(keys.Commands(app)...)
	root.AddCommand(
		cli.Migrate(app),
		declare.Command(app),
		scanner.Command(app),
		serve.Command(app),
		cli.Version(app),
		takeover.Command(app),
	)
	return root
}
