// Package cli holds the parts that all commands share: streams, flags, the target that commands work on,
// and exit statuses.
package cli

import (
	"context"
	"fmt"
	"io"

	"github.com/spf13/cobra"
)

// Streams are the standard streams of a command.
type Streams struct {
	In       io.Reader
	Out, Err io.Writer
}

// An App is one run of the command. Its commands read the flags after the arguments have been parsed.
type App struct {
	Streams
	// Getenv reads an environment variable.
	Getenv func(name string) string
	// JSON asks for JSON instead of tables.
	JSON bool
	// Target is the database or server that the commands work on.
	Target Target
}

// New returns an App that reads environment variables with getenv.
func New(s Streams, getenv func(string) string) *App {
	return &App{Streams: s, Getenv: getenv}
}

// Root returns the command without subcommands, with the flags that all commands share.
func (a *App) Root() *cobra.Command {
	root := &cobra.Command{
		Use:   "apikey",
		Short: "Manage API keys",
		Long: `Manage the API keys of a service: in its database, or through the management API of a server.

` + ExitHelp,
		SilenceErrors: true,
		SilenceUsage:  true,
		Args:          cobra.NoArgs,
		RunE:          func(cmd *cobra.Command, _ []string) error { return cmd.Help() },
	}
	root.SetIn(a.In)
	root.SetOut(a.Out)
	root.SetErr(a.Err)
	flags := root.PersistentFlags()
	flags.BoolVar(&a.JSON, "json", false, "print JSON instead of tables")
	a.Target.register(flags)
	root.SetFlagErrorFunc(func(_ *cobra.Command, err error) error { return usageError{err} })
	return root
}

// Run runs the command that args name and returns the exit status.
func (a *App) Run(ctx context.Context, root *cobra.Command, args []string) int {
	root.SetArgs(args)
	err := root.ExecuteContext(ctx)
	if err != nil {
		fmt.Fprintln(a.Err, "apikey:", err)
	}
	return ExitStatus(err)
}
