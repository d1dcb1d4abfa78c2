// Package keys holds the commands that manage keys.
package keys

import (
	"context"
	"errors"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

// Commands returns the commands that manage keys.
func Commands(a *cli.App) []*cobra.Command {
	return []*cobra.Command{
		issueCommand(a), listCommand(a), showCommand(a), identifyCommand(a), editCommand(a), rotateCommand(a),
		suspendCommand(a), resumeCommand(a), revokeCommand(a), revokeAllCommand(a),
		historyCommand(a), purgeCommand(a), hashPasswordCommand(a),
	}
}

// withSession returns the function of a command that works in a Session.
func withSession(a *cli.App, do func(ctx context.Context, s Session, args []string) error) func(*cobra.Command, []string) error {
	return func(cmd *cobra.Command, args []string) (err error) {
		s, closeSession, err := open(a)
		if err != nil {
			return err
		}
		defer func() { err = errors.Join(err, closeSession()) }()
		return do(cmd.Context(), s, args)
	}
}
