package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/spf13/cobra"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/manage"
)

// provisionalGrace is the grace of a rotation with --grace 0. It keeps the old key valid until the new secret is
// written.
const provisionalGrace = time.Hour

func rotateCommand(a *cli.App) *cobra.Command {
	key, out := &keyArgument{app: a}, &secretOut{app: a}
	var grace string
	cmd := &cobra.Command{
		Use:   "rotate ID",
		Short: "Make a successor of a key and print its secret",
		Long: `Make a successor of a key and print its secret, alone, to standard output. The successor has the settings of the old
key and the same lifetime, from now on. The old key continues to work for the time of --grace.

If the secret cannot be written, the successor is revoked, the old key stays as it was, and the exit status is 8.`,
		Example: `  apikey rotate 4xUCRsGzqvTOJPfN --grace 1w --secret-file backup.key`,
	}
	key.register(cmd)
	out.register(cmd.Flags())
	cmd.Flags().StringVar(&grace, "grace", "1d", "how long the old key continues to work; 0 revokes it once the new secret is written")
	cmd.RunE = withSession(a, func(ctx context.Context, s Session, args []string) error {
		lasting, err := parseDuration(grace)
		if err != nil {
			return cli.Usage(fmt.Errorf("--grace: %w", err))
		}
		id, err := key.id(ctx, s, args)
		if err != nil {
			return err
		}
		return rotate(ctx, s, id, lasting, out)
	})
	return cmd
}

func rotate(ctx context.Context, s Session, id string, grace time.Duration, out *secretOut) error {
	old, err := s.Get(ctx, id)
	if err != nil {
		return err
	}
	if err := out.open(); err != nil {
		return err
	}
	r := rotation{s: s, old: old, grace: grace}
	if grace == 0 {
		r.grace = provisionalGrace
	}
	request := newRequestID()
	successor, err := handover{
		make: func(ctx context.Context) (apikey.Secret, apikey.Key, error) {
			return s.Rotate(ctx, id, r.grace, request)
		},
		write: out.write,
		undo:  r.undo,
	}.run(ctx)
	if err != nil {
		return errors.Join(err, out.discard())
	}
	fmt.Fprintf(out.app.Err, "Key %s, %s, replaces key %s. Its secret cannot be read again.\n", successor.ID, quoted(successor.Name), id)
	if grace == 0 {
		err = r.endOld(ctx)
	}
	return errors.Join(err, out.finish(successor))
}

// A rotation is one rotation of a key.
type rotation struct {
	s     Session
	old   apikey.Key // as it was before
	grace time.Duration
}

// undo revokes the successor, so that the old key can be rotated again, and restores the expiry of the old key.
// It keeps an expiry that another program has set since.
func (r rotation) undo(ctx context.Context, successor apikey.Key) error {
	if err := revokeNew(ctx, r.s, successor); err != nil {
		return err
	}
	now, err := r.s.Get(ctx, r.old.ID)
	if err != nil {
		return fmt.Errorf("the expiry of the old key %s may be sooner than before: %w", r.old.ID, err)
	}
	if now.ExpiresAt.Equal(r.old.ExpiresAt) || !now.ExpiresAt.Equal(successor.CreatedAt.Add(r.grace)) {
		return nil
	}
	_, err = r.s.Update(ctx, r.old.ID, manage.Version(now), apikey.Patch{ExpiresAt: &r.old.ExpiresAt})
	if err != nil && !errors.Is(err, manage.ErrChanged) {
		return fmt.Errorf("the old key %s now expires at %s: %w", r.old.ID, timeText(now.ExpiresAt), err)
	}
	return nil
}

// endOld revokes the old key after the new secret was written, even if the command was interrupted.
func (r rotation) endOld(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	_, err := r.s.Revoke(ctx, r.old.ID)
	if err != nil && !errors.Is(err, apikey.ErrUncertain) {
		err = errors.New(err.Error()) // not wrapped, because the exit status would say that nothing has changed
	}
	if err != nil {
		return fmt.Errorf("the new key was made, but the old key %s could not be revoked: %w", r.old.ID, err)
	}
	return nil
}
