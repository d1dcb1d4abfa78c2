package keys

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

func showCommand(a *cli.App) *cobra.Command {
	return oneKeyCommand(a, "show ID", "Show a key", "", Session.Get)
}

func suspendCommand(a *cli.App) *cobra.Command {
	return oneKeyCommand(a, "suspend ID", "Suspend a key until it is resumed", "", Session.Suspend)
}

func resumeCommand(a *cli.App) *cobra.Command {
	return oneKeyCommand(a, "resume ID", "Resume a suspended key", "", Session.Resume)
}

func revokeCommand(a *cli.App) *cobra.Command {
	return oneKeyCommand(a, "revoke ID", "Revoke a key permanently",
		"Revoke a key permanently. Running services normally refuse it within a second, and at the latest within their lease.", Session.Revoke)
}

// oneKeyCommand returns a command that does one thing with a key and prints the key.
func oneKeyCommand(a *cli.App, use, short, long string, do func(Session, context.Context, string) (apikey.Key, error)) *cobra.Command {
	argument := &keyArgument{app: a}
	cmd := &cobra.Command{Use: use, Short: short, Long: long}
	if long == "" {
		cmd.Long = short + "."
	}
	argument.register(cmd)
	cmd.RunE = withSession(a, func(ctx context.Context, s Session, args []string) error {
		id, err := argument.id(ctx, s, args)
		if err != nil {
			return err
		}
		key, err := do(s, ctx, id)
		if err != nil {
			return err
		}
		return printKey(a, key)
	})
	return cmd
}

func identifyCommand(a *cli.App) *cobra.Command {
	var from string
	cmd := &cobra.Command{
		Use:   "identify",
		Short: "Show the key that a secret belongs to",
		Long: `Show the key that a secret belongs to, even if it is revoked or expired. The command reads the secret from standard
input, or asks for it at a terminal without echo.`,
		Example:           `  apikey identify < found.txt`,
		ValidArgsFunction: cobra.NoFileCompletions,
		Args: func(_ *cobra.Command, args []string) error {
			if len(args) > 0 && (len(args) > 1 || args[0] != "-") { // not shown, because it may be a key
				return cli.Usage(errors.New("want the key on standard input, not as an argument"))
			}
			return nil
		},
	}
	cmd.Flags().StringVar(&from, "from", "", "file that contains the key; - is standard input")
	cmd.RunE = withSession(a, func(ctx context.Context, s Session, _ []string) error {
		secret, err := readKey(ctx, a, from, "Key: ")
		if err != nil {
			return err
		}
		key, err := s.Identify(ctx, secret)
		if errors.Is(err, apikey.ErrMalformed) { // a server answers not_found
			err = apikey.ErrNotFound
		}
		if err != nil {
			return err
		}
		return printKey(a, key)
	})
	return cmd
}
