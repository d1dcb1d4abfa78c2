package keys

import (
	"context"
	"crypto/subtle"
	"errors"
	"fmt"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
)

func hashPasswordCommand(a *cli.App) *cobra.Command {
	return &cobra.Command{
		Use:   "hash-password",
		Short: "Print the hash of a password for the dashboard",
		Long: `Print the argon2id hash of a password for the dashboard. The command reads the password from standard input, or asks for
it twice at a terminal without echo.`,
		Args:              cobra.NoArgs,
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, _ []string) error {
			password, err := readPassword(cmd.Context(), a)
			if err != nil {
				return cli.Input(err)
			}
			hash, err := admin.HashPassword(password)
			if err != nil {
				return err
			}
			if a.JSON {
				return a.PrintJSON(map[string]string{"hash": hash.Reveal()})
			}
			_, err = fmt.Fprintln(a.Out, hash.Reveal())
			return err
		},
	}
}

func readPassword(ctx context.Context, a *cli.App) (apikey.Secret, error) {
	password, err := console.ReadSecret(ctx, a.In, a.Err, "Password: ")
	if err != nil || !console.IsTerminal(a.In) {
		return password, err
	}
	again, err := console.ReadSecret(ctx, a.In, a.Err, "Password again: ")
	if err != nil {
		return apikey.Secret{}, err
	}
	if subtle.ConstantTimeCompare([]byte(password.Reveal()), []byte(again.Reveal())) != 1 {
		return apikey.Secret{}, errors.New("the passwords differ")
	}
	return password, nil
}
