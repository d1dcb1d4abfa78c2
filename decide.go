package apikey

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// judge extracts the key of a request, decides about it, and reports the decision.
func (m *Middleware) judge(r *http.Request, found *extraction) (*Key, error) {
	ctx := r.Context()
	var begin, end time.Time
	if m.observe != nil {
		begin = time.Now()
	}
	l := layerOf(ctx)
	err := m.sources.extract(r, l, found)
	var key *Key
	source := ""
	if err == nil {
		source = m.sources.names[found.source]
		key, end, err = m.decide(ctx, found.key, r, l)
	} else {
		err = m.redactError(err, "")
	}
	if err != nil || m.observe != nil && !l.admittedBy(m, key) {
		m.report(ctx, &Event{Err: err, Key: key, Source: source, Method: r.Method, RemoteAddr: r.RemoteAddr, begin: begin, end: end})
	}
	if err != nil {
		return nil, err
	}
	return key, nil
}

// decide looks up the presented key and checks whether it may be used now. It returns a known key
// even with an error. The time is the end of the decision, or zero if report must read the clock.
// The request r may be nil. The layer l is around r.
func (m *Middleware) decide(ctx context.Context, presented string, r *http.Request, l *layer) (*Key, time.Time, error) {
	d, ok := m.format.digest(presented)
	if !ok {
		return nil, time.Time{}, ErrMalformed
	}
	key, err := m.store.Lookup(ctx, d)
	if err != nil && m.adopt != nil && errors.Is(err, ErrNotFound) && !strings.HasPrefix(presented, m.format.prefix) {
		if key, err = m.adopt(ctx, NewSecret(presented)); err != nil {
			err = m.redactError(err, presented)
		}
	}
	if err != nil || key == nil {
		return nil, time.Time{}, lookupError(ctx, err)
	}
	// The clock is read after the lookup, because the key may expire during a slow one.
	now := time.Now()
	end := now
	if err := key.Check(now); err != nil {
		return key, end, err
	}
	if len(key.Networks) > 0 && !m.fromNetwork(r, key) {
		return key, end, errNetwork
	}
	if m.authorize != nil && r != nil {
		end = time.Time{} // the duration includes Authorize
		if err := m.authorize(m.requestForAuthorize(r, l, presented), key); isCanceled(ctx, err) {
			return key, end, canceled(ctx)
		} else if err != nil {
			return key, end, fmt.Errorf("%w: %w", ErrForbidden, m.redactError(err, presented))
		}
	}
	if m.toucher != nil {
		m.toucher.Touch(d, Use{now, m.addressToRecord(r)})
	}
	return key, end, nil
}

// addressToRecord returns the address of the client, or the zero Addr if it is unknown, if r is nil, or
// if the service does not record addresses.
func (m *Middleware) addressToRecord(r *http.Request) netip.Addr {
	if !m.recordAddr || r == nil {
		return netip.Addr{}
	}
	addr, ok := m.addr(r)
	if !ok {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// fromNetwork reports whether a request comes from one of the key's Networks. It returns false if r is
// nil, because the address is then unknown.
func (m *Middleware) fromNetwork(r *http.Request, key *Key) bool {
	if r == nil {
		return false
	}
	addr, ok := m.addr(r)
	return ok && key.permits(addr)
}

// lookupError distinguishes an unknown key from a store that could not answer.
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
		err = errNoAnswer
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

var errNoAnswer = errors.New("the store returned neither a key nor an error")

// isCanceled reports whether err means that the client closed the request, which is not an outage.
func isCanceled(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled)
}

func canceled(ctx context.Context) error {
	return fmt.Errorf("%w: %w: %w", ErrUnavailable, errCanceled, context.Cause(ctx))
}
