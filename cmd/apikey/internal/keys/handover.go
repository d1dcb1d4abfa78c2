package keys

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
)

// cleanupTimeout limits the cleanup after a secret was lost.
const cleanupTimeout = 20 * time.Second

// A handover makes a key and writes out its secret. It revokes the key if the secret is lost on the way.
type handover struct {
	// make makes the key. A repeated call returns the same key without its secret.
	make func(context.Context) (apikey.Secret, apikey.Key, error)
	// write writes the secret out.
	write func(apikey.Secret, apikey.Key) error
	// undo revokes the key and reverts the other changes of make.
	undo func(context.Context, apikey.Key) error
}

var errAnswerLost = errors.New("the answer with the new secret was lost")

// run makes the key and writes its secret. If the secret was lost, or the command was interrupted before the write,
// run undoes the change and returns a cli.Undelivered. If undoing fails, the error wraps apikey.ErrUncertain.
func (h handover) run(ctx context.Context) (apikey.Key, error) {
	secret, key, err := h.make(ctx)
	cleanup, cancel := context.WithTimeout(context.WithoutCancel(ctx), cleanupTimeout)
	defer cancel()
	if lost := err; errors.Is(lost, apikey.ErrUncertain) {
		secret, key, err = h.make(cleanup) // finds the key of the first call, or makes it
		if err != nil {
			err = fmt.Errorf("%w; asking again: %w", lost, err) // a refusal now does not tell what happened before
		}
	}
	if err != nil {
		return apikey.Key{}, err
	}
	switch {
	case ctx.Err() != nil:
		err = ctx.Err()
	case secret.Reveal() == "":
		err = errAnswerLost
	default:
		err = h.write(secret, key)
	}
	if err == nil {
		return key, nil
	}
	if failed := h.undo(cleanup, key); failed != nil {
		return apikey.Key{}, fmt.Errorf("%w: the secret of the new key %s could not be written (%w), and undoing that failed: %w",
			apikey.ErrUncertain, key.ID, err, failed)
	}
	return apikey.Key{}, cli.Undelivered(fmt.Errorf("the new secret could not be written, so key %s was revoked: %w", key.ID, err))
}
