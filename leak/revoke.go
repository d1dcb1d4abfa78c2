package leak

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// workers is the number of keys of one request that are looked up at the same time.
const workers = 8

// A verdict says whether a token is a key of this service.
type verdict struct {
	ours           bool
	key            apikey.Key // after the revocation, if ours
	alreadyRevoked bool
	err            error // the store could not answer
}

// revoke revokes the key of a token. A token that is not in the Format costs no lookup.
func revoke(ctx context.Context, s *manage.Session, token apikey.Secret) verdict {
	key, err := s.Identify(ctx, token)
	if isUnknown(err) {
		return verdict{}
	} else if err != nil {
		return verdict{err: err}
	}
	if !key.RevokedAt.IsZero() {
		return verdict{ours: true, key: key, alreadyRevoked: true}
	}
	revoked, err := s.Revoke(ctx, key.ID)
	if isUnknown(err) {
		return verdict{} // the key was deleted since it was read
	} else if err != nil {
		return verdict{err: err}
	}
	return verdict{ours: true, key: revoked}
}

// isUnknown reports whether an error means that the service has no such key.
func isUnknown(err error) bool {
	return !errors.Is(err, apikey.ErrUnavailable) && (errors.Is(err, apikey.ErrMalformed) || errors.Is(err, apikey.ErrNotFound))
}

// revokeAll revokes the keys of several tokens, several at a time, and returns a verdict for each token.
// It continues after an error, so that one key that cannot be revoked does not protect the others.
func revokeAll(ctx context.Context, s *manage.Session, reports []reported) map[text]verdict {
	verdicts := make(map[text]verdict, len(reports))
	tokens := make(chan text)
	var mu sync.Mutex
	var wg sync.WaitGroup
	for range min(workers, len(reports)) {
		wg.Go(func() {
			for token := range tokens {
				v := revokeSafely(ctx, s, token)
				mu.Lock()
				verdicts[token] = v
				mu.Unlock()
			}
		})
	}
	seen := make(map[text]bool, len(reports))
	for _, r := range reports {
		if !seen[r.Token] {
			seen[r.Token] = true
			tokens <- r.Token
		}
	}
	close(tokens)
	wg.Wait()
	return verdicts
}

// revokeSafely is like revoke, but returns a panic of the store as an error. A panic in a goroutine of its own
// would end the program.
func revokeSafely(ctx context.Context, s *manage.Session, token text) (v verdict) {
	defer func() {
		if p := recover(); p != nil {
			v = verdict{err: fmt.Errorf("%w: the store panicked", apikey.ErrUnavailable)}
		}
	}()
	if err := ctx.Err(); err != nil {
		return verdict{err: err}
	}
	return revoke(ctx, s, apikey.NewSecret(string(token)))
}
