package keys

import (
	"context"
	"errors"
	"fmt"
	"strings"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
)

// argumentHelp explains the argument of commands that work on one key.
const argumentHelp = `ID is the ID of the key. With - the command reads the ID, or the key itself, from standard input, or asks for it
at a terminal without echo. --from FILE reads it from a file.`

// A keyArgument is the argument that names a key.
type keyArgument struct {
	app  *cli.App
	from string // --from
}

// register adds the argument to a command.
func (k *keyArgument) register(cmd *cobra.Command) {
	cmd.Args = atMostOneID
	cmd.Long = strings.TrimSpace(cmd.Long + "\n\n" + argumentHelp)
	cmd.Flags().StringVar(&k.from, "from", "", "file that contains the ID or the key; - is standard input")
	cmd.ValidArgsFunction = completeIDs(k.app)
}

// atMostOneID refuses more than one argument. Its error does not show the arguments, because one of them may be a key.
func atMostOneID(_ *cobra.Command, args []string) error {
	if len(args) > 1 {
		return cli.Usage(fmt.Errorf("%d arguments; want the ID of one key", len(args)))
	}
	return nil
}

// id returns the ID of the key that the arguments name. It refuses a key in the arguments without showing it.
func (k *keyArgument) id(ctx context.Context, s Session, args []string) (string, error) {
	switch {
	case len(args) == 0 && k.from == "":
		return "", cli.Usage(errors.New("want the ID of a key, or - to read the ID or the key from standard input"))
	case len(args) == 1 && k.from != "":
		return "", cli.Usage(errors.New("want an ID or --from, not both"))
	case len(args) == 1 && args[0] != "-":
		return k.fromArgument(args[0])
	}
	text, err := readKey(ctx, k.app, k.from, "Key or ID: ")
	if err != nil {
		return "", err
	}
	switch key, err := s.Identify(ctx, text); {
	case err == nil:
		return key.ID, nil
	case !errors.Is(err, apikey.ErrMalformed) && !errors.Is(err, apikey.ErrNotFound):
		return "", err
	}
	if id := text.Reveal(); apikey.ValidID(id) && !k.looksLikeKey(id) {
		return id, nil
	}
	return "", apikey.ErrNotFound
}

// fromArgument returns an argument that is an ID. Its errors do not show the argument, which may be a key.
func (k *keyArgument) fromArgument(text string) (string, error) {
	switch {
	case k.looksLikeKey(text):
		return "", cli.ErrKeyInArguments
	case !apikey.ValidID(text):
		return "", cli.Usage(errors.New("the argument is not the ID of a key; pass a key on standard input, with - as the argument"))
	}
	return text, nil
}

func (k *keyArgument) looksLikeKey(text string) bool {
	return strings.HasPrefix(text, k.app.KeyPrefix()+"_")
}

// readKey reads a secret from a file, from standard input or at a terminal. An empty name and "-" are standard input.
func readKey(ctx context.Context, a *cli.App, file, prompt string) (apikey.Secret, error) {
	if file != "" && file != "-" {
		return cli.ReadSecretFile(file)
	}
	secret, err := console.ReadSecret(ctx, a.In, a.Err, prompt)
	if err != nil {
		return apikey.Secret{}, cli.Input(err)
	}
	return apikey.NewSecret(strings.TrimSpace(secret.Reveal())), nil
}
