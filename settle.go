package apikey

import (
	"context"
	"errors"
	"fmt"
	"time"
)

const (
	// settleTimeout limits the search of an Issuer for a key whose creation is uncertain.
	settleTimeout = 5 * time.Second
	// settlePause is the time between two attempts of that search.
	settlePause = 250 * time.Millisecond
)

// settle handles the error of a write that was to create the key with this ID and digest. If the error
// is ErrUncertain, settle finds out whether the key exists and returns it, because otherwise its secret
// would be lost. It continues after ctx is done, because the caller may have given up.
func (i *Issuer) settle(ctx context.Context, id string, d Digest, err error) (Key, error) {
	if !errors.Is(err, ErrUncertain) {
		return Key{}, err
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), settleTimeout)
	defer cancel()
	for {
		key, failed := i.existing(ctx, id, d)
		switch {
		case failed == nil:
			return key, nil
		case errors.Is(failed, ErrNotFound):
			return Key{}, fmt.Errorf("%w: the key was not created; try again: %v", ErrUnavailable, err)
		case errors.Is(failed, ErrExists):
			return Key{}, failed
		}
		select {
		case <-time.After(settlePause):
		case <-ctx.Done():
			return Key{}, fmt.Errorf("apikey: key %s may exist; revoke it: %w", id, err)
		}
	}
}

// existing returns the key with this ID and digest. ErrNotFound means that the key will not appear, and
// ErrExists that another key has the ID, which [Terms] can give to two requests. A read may overtake a
// write in progress, but the empty Update after it waits for that write.
func (i *Issuer) existing(ctx context.Context, id string, d Digest) (Key, error) {
	key, err := i.manager.Get(ctx, id)
	if errors.Is(err, ErrNotFound) {
		key, err = i.manager.Update(ctx, id, Patch{})
	}
	if err != nil || i.id == "" {
		return key, err
	}
	own, err := i.manager.Lookup(ctx, d)
	if errors.Is(err, ErrNotFound) {
		return Key{}, ErrExists
	}
	if err == nil && (own == nil || own.ID != id) {
		err = errNoAnswer
	}
	return key, err
}
