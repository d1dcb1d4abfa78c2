package apikey

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"time"
)

// Verify decides about a key that came by another way than HTTP, such as gRPC or a
// queue. Authorize is not asked, since there is no request. The Key is shared: do not
// write to it. Errors are those of Authenticate.
func (m *Middleware) Verify(ctx context.Context, s Secret) (*Key, error) {
	var e Event
	if m.observe != nil {
		e.begin = time.Now()
	}
	value := s.Reveal()
	if isBlankValue(value) {
		e.Err = ErrMissing
	} else {
		e.Key, e.end, e.Err = m.decide(ctx, value, nil)
	}
	m.report(ctx, &e)
	if e.Err != nil {
		return nil, e.Err
	}
	return e.Key, nil
}

// decide finds out whose key it is and whether it may be used now. With an error it
// returns the key too, where there is one, and the time if that is when it had decided. r is
// nil where there is no request.
func (m *Middleware) decide(ctx context.Context, presented string, r *http.Request) (*Key, time.Time, error) {
	d, ok := m.format.digest(presented)
	if !ok {
		return nil, time.Time{}, ErrMalformed
	}
	key, err := m.store.Lookup(ctx, d)
	if err != nil || key == nil {
		return nil, time.Time{}, lookupError(ctx, err)
	}
	// After the lookup, which may have taken long.
	now := time.Now()
	end := now
	if err := key.Check(now); err != nil {
		return key, end, err
	}
	if m.authorize != nil && r != nil {
		end = time.Time{} // only after this
		if err := m.authorize(m.withoutKeys(r), key); isCanceled(ctx, err) {
			return key, end, canceled(ctx)
		} else if err != nil {
			return key, end, fmt.Errorf("%w: %w", ErrForbidden, err)
		}
	}
	if m.toucher != nil {
		m.toucher.Touch(d, now)
	}
	return key, end, nil
}

// lookupError tells "there is no such key" from "the store could not answer".
func lookupError(ctx context.Context, err error) error {
	switch {
	case isCanceled(ctx, err):
		return canceled(ctx)
	case errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, ErrNotFound):
		return ErrNotFound
	case errors.Is(ctx.Err(), context.Canceled):
		return canceled(ctx)
	case err == nil:
		return fmt.Errorf("%w: Lookup returned neither a key nor an error", ErrUnavailable)
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

// isCanceled reports whether err says no more than that the client has gone, however it was
// wrapped on its way: that is no outage.
func isCanceled(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled)
}

func canceled(ctx context.Context) error {
	return fmt.Errorf("%w: %w: %w", ErrUnavailable, errCanceled, context.Cause(ctx))
}
