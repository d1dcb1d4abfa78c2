package keys

import (
	"context"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
)

func revokeAllCommand(a *cli.App) *cobra.Command {
	var owner string
	var yes bool
	cmd := &cobra.Command{
		Use:   "revoke-all --owner OWNER",
		Short: "Revoke all keys of an owner permanently",
		Long: `Revoke all keys of an owner permanently. The command asks you to type the owner, unless --yes is set. After a failure,
repeat it: it continues with the keys that are left.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	cmd.Flags().StringVar(&owner, "owner", "", "owner whose keys to revoke")
	cmd.Flags().BoolVar(&yes, "yes", false, "do not ask")
	cmd.RunE = withSession(a, func(ctx context.Context, s Session, _ []string) error {
		if owner == "" {
			return cli.Usage(errors.New("--owner: want the owner whose keys to revoke"))
		}
		if err := confirm(ctx, a, yes, "Type the owner to revoke all of their keys permanently: ", owner); err != nil {
			return err
		}
		progress := a.Progress("Revoking keys")
		n, err := s.RevokeAll(ctx, owner)
		progress.End()
		if err != nil {
			return fmt.Errorf("%w; at least %s revoked before that; repeat the command to go on", err, counted(n, "key was", "keys were"))
		}
		if a.JSON {
			return a.PrintJSON(struct {
				Revoked int `json:"revoked"`
			}{n})
		}
		_, err = fmt.Fprintf(a.Out, "Revoked %s of %s.\n", counted(n, "key", "keys"), quoted(owner))
		return err
	})
	return cmd
}

var errNotConfirmed = errors.New("not confirmed; nothing has changed")

// confirm asks the user to type a text, unless yes is set. Without a terminal it returns a usage error.
func confirm(ctx context.Context, a *cli.App, yes bool, question, text string) error {
	if yes {
		return nil
	}
	if !console.IsTerminal(a.In) {
		return cli.Usage(errors.New("standard input is not a terminal, so the command cannot ask; set --yes"))
	}
	answer, err := console.Ask(ctx, a.In, a.Err, question)
	if err != nil {
		return err
	}
	if answer != text {
		return errNotConfirmed
	}
	return nil
}

func counted(n int, one, many string) string {
	if n == 1 {
		return "1 " + one
	}
	return fmt.Sprint(n, " ", many)
}
