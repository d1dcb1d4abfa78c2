package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/console"
)

func issueCommand(a *cli.App) *cobra.Command {
	f, out := &fields{}, &secretOut{app: a}
	cmd := &cobra.Command{
		Use:   "issue NAME",
		Short: "Make a key and print its secret",
		Long: `Make a key and print its secret, alone, to standard output. The secret cannot be read again. If it cannot be
written, the key is revoked and the exit status is 8.`,
		Example:           `  apikey issue "Backup job" --owner ops --scope read --expires 90d --secret-file backup.key`,
		Args:              oneName,
		ValidArgsFunction: cobra.NoFileCompletions,
	}
	f.register(cmd.Flags())
	out.register(cmd.Flags())
	cmd.RunE = withSession(a, func(ctx context.Context, s Session, args []string) error {
		k, err := f.newKey(args[0], time.Now())
		if err != nil {
			return err
		}
		return issue(ctx, s, k, out)
	})
	return cmd
}

// oneName requires one argument. Its error does not show the arguments, because one of them may be a key.
func oneName(_ *cobra.Command, args []string) error {
	if len(args) != 1 {
		return cli.Usage(fmt.Errorf("%d arguments; want the name of the key, in quotes if it contains spaces", len(args)))
	}
	return nil
}

// newKey returns the key that the flags describe.
func (f *fields) newKey(name string, now time.Time) (k apikey.NewKey, err error) {
	k = apikey.NewKey{Name: name, Owner: f.owner, Scopes: f.scopes, Metadata: map[string]string{}}
	if k.Networks, err = f.parsedNetworks(); err != nil {
		return k, err
	}
	if k.Limits, err = f.parsedLimits(); err != nil {
		return k, err
	}
	if f.expires != "" {
		if k.ExpiresAt, err = f.expiresAt(now); err != nil {
			return k, err
		}
	}
	return k, f.setMetadata(k.Metadata)
}

func issue(ctx context.Context, s Session, k apikey.NewKey, out *secretOut) error {
	if err := out.open(); err != nil {
		return err
	}
	request := newRequestID()
	key, err := handover{
		make:  func(ctx context.Context) (apikey.Secret, apikey.Key, error) { return s.Issue(ctx, k, request) },
		write: out.write,
		undo:  func(ctx context.Context, key apikey.Key) error { return revokeNew(ctx, s, key) },
	}.run(ctx)
	if err != nil {
		return errors.Join(err, out.discard())
	}
	end := "never expires"
	if !key.ExpiresAt.IsZero() {
		end = "expires at " + timeText(key.ExpiresAt) // without --expires too, because a server may have a default
	}
	fmt.Fprintf(out.app.Err, "Issued key %s, %s, which %s. Its secret cannot be read again.\n", key.ID, quoted(key.Name), end)
	return out.finish(key)
}

// revokeNew revokes a key whose secret was lost.
func revokeNew(ctx context.Context, s Session, key apikey.Key) error {
	if _, err := s.Revoke(ctx, key.ID); err != nil {
		return fmt.Errorf("revoke key %s: %w", key.ID, err)
	}
	return nil
}

// quoted returns the name of a key for a message on a terminal.
func quoted(name string) string { return `"` + console.Clean(name) + `"` }
