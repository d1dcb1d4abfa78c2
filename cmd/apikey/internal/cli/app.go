// Package cli holds the parts that all commands share: streams, flags, the target that commands work on,
// and exit statuses.
package cli

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"syscall"

	"github.com/spf13/cobra"
	"github.com/spf13/pflag"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
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

	// OutIsTerminal reports whether standard output is a terminal, and OutIsDiscarded whether it is the null
	// device, which also takes the place of a closed one.
	OutIsTerminal, OutIsDiscarded bool
}

// New returns an App that reads environment variables with getenv.
func New(s Streams, getenv func(string) string) *App {
	return &App{
		Streams: s, Getenv: getenv, Target: Target{flags: new(pflag.FlagSet)},
		OutIsTerminal: console.IsTerminal(s.Out), OutIsDiscarded: isNullDevice(s.Out),
	}
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

		PersistentPreRunE: func(cmd *cobra.Command, _ []string) error { return refuseEmpty(cmd) },
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

// Run runs the command that args name and returns the exit status. It refuses arguments that contain a key
// before any message can show them.
func (a *App) Run(ctx context.Context, root *cobra.Command, args []string) int {
	err := refuseKeys(args, a.KeyPrefix())
	if err == nil {
		a.Out = &interruptible{ctx, a.Out}
		root.SetOut(a.Out)
		root.SetArgs(args)
		usageOfArgs(root)
		err = root.ExecuteContext(ctx)
	}
	if err != nil && !endedByReader(err) {
		fmt.Fprintln(a.Err, "apikey:", console.CleanLines(message(err)))
	}
	return ExitStatus(err)
}

// endedByReader reports whether a command ended because the reader of its output, such as head, closed the pipe.
func endedByReader(err error) bool {
	return errors.Is(err, syscall.EPIPE) && ExitStatus(err) == ExitFailed
}

// usageOfArgs makes the errors of commands about the number of their arguments usage errors.
func usageOfArgs(command *cobra.Command) {
	if check := command.Args; check != nil {
		command.Args = func(cmd *cobra.Command, args []string) error {
			if err := check(cmd, args); err != nil {
				return usageError{err}
			}
			return nil
		}
	}
	for _, sub := range command.Commands() {
		usageOfArgs(sub)
	}
}

// PrintJSON writes a value and a line feed to standard output.
func (a *App) PrintJSON(v any) error {
	e := json.NewEncoder(a.Out)
	e.SetEscapeHTML(false)
	return e.Encode(v)
}

// Progress shows a text on standard error until the caller ends it, if that is a terminal.
func (a *App) Progress(text string) *console.Progress { return console.StartProgress(a.Err, text) }
