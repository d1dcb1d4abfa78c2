package apikey

import (
	"context"
	"errors"
	"log/slog"
	"sync"
	"time"
)

// An Event describes one decision. It does not contain the request, whose path or header could
// contain a key, so it is safe to log.
type Event struct {
	// Err is the reason of a refusal, or nil if the request was accepted. It is ErrMissing for a
	// request without a key that Optional served.
	Err error
	// Key is the key of the request, even if it is revoked, expired or not permitted. It is nil if
	// the key is unknown. It is shared: do not write to it.
	Key *Key
	// Source is the place of the key, such as "header X-API-Key". It is "" if there was no key, and
	// for a decision of Verify, Require or Refuse.
	Source string
	// Method and RemoteAddr are those of the request; "" for Verify.
	Method, RemoteAddr string
	// Duration is the time that the decision took, including the lookup. It is 0 for Require and
	// Refuse, which do not look up a key.
	Duration time.Duration

	begin, end time.Time
}

// Outcome returns a label for metrics: accepted, missing, ambiguous, malformed, unknown, revoked,
// suspended, expired, network, forbidden, limited, unavailable or canceled. It is canceled if the
// client closed the request before the store answered.
func (e Event) Outcome() string {
	if e.Err == nil {
		return "accepted"
	}
	label, _ := outcomeOf(e.Err)
	return label
}

// report passes a decision to Observe, and a refusal to the log.
func (m *Middleware) report(ctx context.Context, e *Event) {
	if m.observe != nil {
		if !e.begin.IsZero() {
			if e.end.IsZero() {
				e.end = time.Now()
			}
			e.Duration = e.end.Sub(e.begin)
		}
		m.observe(ctx, *e)
	}
	if e.Err != nil {
		m.logRefusal(ctx, e)
	}
}

func (m *Middleware) logRefusal(ctx context.Context, e *Event) {
	logger := m.logger
	if logger == nil {
		logger = slog.Default()
	}
	level := slog.LevelDebug
	if errors.Is(e.Err, ErrUnavailable) && !errors.Is(e.Err, errCanceled) {
		level = slog.LevelError
	}
	if !logger.Enabled(ctx, level) {
		return
	}
	if level == slog.LevelError && !m.outages.first(logger, e.Err) {
		return
	}
	attrs := []slog.Attr{
		slog.String("outcome", e.Outcome()), slog.String("error", e.Err.Error()),
		slog.String("method", e.Method), slog.String("remote", e.RemoteAddr), slog.String("source", e.Source),
	}
	if e.Key != nil {
		attrs = append(attrs, slog.String("key", e.Key.ID))
	}
	logger.LogAttrs(ctx, level, "apikey: request refused", attrs...)
}

// outageInterval is the time between two log lines about the same outage.
const outageInterval = 10 * time.Second

// outages limits the log lines about an outage. The log receives the first refused request, and then
// the number of further ones at intervals. The outage ends with an interval without a refusal. The
// zero value is ready for use.
type outages struct {
	mu      sync.Mutex
	ongoing bool
	logger  *slog.Logger
	refused int   // requests since the last line
	err     error // of the last refused request
}

// first reports whether this is the first request that an outage refused. It counts the others.
func (o *outages) first(logger *slog.Logger, err error) bool {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.ongoing {
		o.refused, o.err = o.refused+1, err
		return false
	}
	o.ongoing, o.logger = true, logger
	time.AfterFunc(outageInterval, o.log)
	return true
}

// log writes the number of requests that were refused in an interval.
func (o *outages) log() {
	logger, refused, err := o.next()
	if refused > 0 {
		logger.LogAttrs(context.Background(), slog.LevelError, "apikey: more requests refused",
			slog.Int("requests", refused), slog.Duration("within", outageInterval), slog.String("error", err.Error()))
	}
}

// next begins another interval, or ends the outage if no request was refused in the last one. It does
// not log, because requests wait for the mutex and a log may be slow.
func (o *outages) next() (logger *slog.Logger, refused int, err error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	logger, refused, err = o.logger, o.refused, o.err
	o.refused, o.err = 0, nil
	if refused == 0 {
		o.ongoing, o.logger = false, nil
		return logger, refused, err
	}
	time.AfterFunc(outageInterval, o.log)
	return logger, refused, err
}
