package limit

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

// MaxLimits is the most limits of one key.
const MaxLimits = 8

// Options configures [New]. The zero value enforces the limits of each key.
type Options struct {
	// Of returns the limits of a key. It must not change the key, nor the slice after it has returned. It
	// is called concurrently, for each request. Nil means the Limits of the key.
	Of func(*apikey.Key) []apikey.Limit

	// By returns the name under which a key's use is counted. Keys for which it returns the same name,
	// such as their Owner, share one balance. If By is nil or returns "", only the keys of a series of
	// rotations share one, so every new key has a fresh balance. Return the Owner if customers make their
	// own keys, because otherwise a customer gets more requests by making more keys.
	By func(*apikey.Key) string

	// AllowOnOutage permits requests while the backend does not answer, or returns [ErrFull]. The log and
	// Observe report it.
	AllowOnOutage bool

	// Remaining adds the fields RateLimit-Policy and RateLimit to every response of a limited key, and not
	// only to a 429. They follow draft-ietf-httpapi-ratelimit-headers-11, which is not final.
	Remaining bool

	// XRateLimit adds X-RateLimit-Limit, X-RateLimit-Remaining and X-RateLimit-Reset, in seconds from now, to
	// every response that has RateLimit. They describe the limit with the fewest remaining requests.
	XRateLimit bool

	// Observe is called after each decision about a key that has limits, concurrently. It must not block.
	// The Event is valid during the call.
	Observe func(context.Context, Event)

	// Logger receives an entry when the backend stops answering, and when it answers again and has not
	// failed for 10 seconds. Nil means slog.Default().
	Logger *slog.Logger
}

// An Event describes one decision.
type Event struct {
	Key *apikey.Key // shared: do not write to it
	// Err is nil if the limits permit the request. It is a [*apikey.LimitedError] if they do not, and an
	// error that wraps [apikey.ErrUnavailable] if the backend did not answer or the limits are invalid.
	Err error
	// Permitted reports whether the request was permitted. With AllowOnOutage it is true although Err is set.
	Permitted bool
}

// A Limiter enforces limits. It is safe for concurrent use. Make it with [New].
type Limiter struct {
	backend Backend
	o       Options
	failed  atomic.Pointer[time.Time] // the last failure of the outage that the log reports; nil if there is none
}

// New returns a Limiter. The error wraps [apikey.ErrInvalid] if b is nil, or was not made by [Memory] or with the Eval
// of [Redis].
func New(b Backend, o Options) (*Limiter, error) {
	memory, isMemory := b.(*MemoryBackend)
	redis, isRedis := b.(redisBackend)
	switch {
	case b == nil, isMemory && (memory == nil || memory.now == nil):
		return nil, fmt.Errorf("limit: %w", &apikey.InvalidError{Field: "Backend", Problem: "nil or zero; want one such as limit.Memory()"})
	case isRedis && redis.eval == nil:
		return nil, fmt.Errorf("limit: %w", &apikey.InvalidError{Field: "Backend", Problem: "made by Redis without an Eval; want a function that calls your client"})
	}
	return &Limiter{backend: b, o: o}, nil
}

// Handler returns a handler that calls next if the key of the request is within its limits. A request
// costs 1. Other requests get 429 from the Middleware that admitted them ([apikey.Refuse]), whose Observe
// reports the outcome "limited". Requests without a key, which Optional or AllowPreflight admitted, are
// not limited. Without a Middleware around it, the handler limits no request.
func (l *Limiter) Handler(next http.Handler) http.Handler { return l.Cost(1)(next) }

// Cost is like [Limiter.Handler], but for requests that cost n. A request that costs 0 is refused only
// while a limit has no remaining request.
func (l *Limiter) Cost(n uint32) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			key := apikey.SharedKey(r.Context())
			if key == nil {
				next.ServeHTTP(w, r)
				return
			}
			limits, result, err := l.take(r.Context(), key, int64(n))
			if len(limits) > 0 && result.Limits > 0 && (err != nil || l.o.Remaining) {
				l.setFields(w.Header(), limits, &result)
			}
			if err != nil {
				apikey.Refuse(w, r, err)
				return
			}
			next.ServeHTTP(w, r)
		})
	}
}

// Take spends n requests of a key, for programs without HTTP such as a gRPC server or a worker. It returns
// nil, a [*apikey.LimitedError], or an error that wraps [apikey.ErrUnavailable]. n is 0 to 1,000,000,000. For
// another n, and for a nil k as of a request without a key, the error wraps [apikey.ErrInvalid].
func (l *Limiter) Take(ctx context.Context, k *apikey.Key, n int64) error {
	if k == nil {
		return errNoKey
	}
	if n < 0 || n > maxCost {
		return fmt.Errorf("limit: %w", &apikey.InvalidError{Field: "n", Problem: fmt.Sprintf("%d: want 0 to %d", n, maxCost)})
	}
	_, _, err := l.take(ctx, k, n)
	return err
}

// errNoKey refuses the nil that apikey.SharedKey returns for a request without a key.
var errNoKey = fmt.Errorf("limit: %w", &apikey.InvalidError{Field: "Key", Problem: "nil; want the key of the request"})

// maxCost is the highest cost of one request.
const maxCost = 1_000_000_000

// Use returns the use of each limit of a key, without spending anything. The error wraps
// [apikey.ErrUnavailable] if the backend does not answer, and [apikey.ErrInvalid] if k is nil or the limits
// are invalid.
func (l *Limiter) Use(ctx context.Context, k *apikey.Key) ([]Use, error) {
	if k == nil {
		return nil, errNoKey
	}
	limits, err := l.limitsOf(k)
	if err != nil || len(limits) == 0 {
		return nil, err
	}
	result, err := l.backend.Take(ctx, l.subjectOf(k), limits, 0)
	if err != nil {
		return nil, unavailable(err)
	}
	all := make([]Use, len(limits))
	for i, limit := range limits {
		state := result.States[i]
		all[i] = Use{Limit: limit, Remaining: state.Remaining, Reset: state.Reset}
	}
	return all, nil
}

// A Use is the remaining use of one limit.
type Use struct {
	Limit     apikey.Limit
	Remaining int64         // requests that are permitted now
	Reset     time.Duration // until the limit has refilled, or until its day or month ends
}

// take spends n requests of a key. It returns the limits of the key and their states.
func (l *Limiter) take(ctx context.Context, k *apikey.Key, n int64) (limits []apikey.Limit, result Result, err error) {
	limits, err = l.limitsOf(k)
	if err == nil && len(limits) == 0 {
		return nil, Result{}, nil
	}
	if err == nil {
		result, err = l.backend.Take(ctx, l.subjectOf(k), limits, n)
		l.logOutage(ctx, err)
	}
	permitted := true
	switch {
	case err != nil:
		err = unavailable(err)
		// A cancelled request and invalid limits are not outages.
		permitted = l.o.AllowOnOutage && ctx.Err() == nil && !errors.Is(err, apikey.ErrInvalid)
	case !result.Permitted:
		err, permitted = limitedError(limits, &result), false
	}
	if l.o.Observe != nil {
		l.o.Observe(ctx, Event{Key: k, Err: err, Permitted: permitted})
	}
	if permitted {
		err = nil
	}
	return limits, result, err
}

// limitsOf returns the limits of a key. It checks them, because a key need not come from a store
// ([apikey.NewContext]).
func (l *Limiter) limitsOf(k *apikey.Key) ([]apikey.Limit, error) {
	limits, source := k.Limits, "key"
	if l.o.Of != nil {
		limits, source = l.o.Of(k), "Options.Of"
	}
	if len(limits) == 0 {
		return nil, nil
	}
	if err := apikey.CheckLimits(limits); err != nil {
		return nil, fmt.Errorf("limit: %s: %w", source, err)
	}
	return limits, nil
}

// subjectOf returns the name under which the use of a key is counted. A name that By returns never equals
// that of a key, because an ID contains no colon.
func (l *Limiter) subjectOf(k *apikey.Key) string {
	if l.o.By != nil {
		if name := l.o.By(k); name != "" {
			return "by:" + name
		}
	}
	if k.Origin != "" {
		return k.Origin
	}
	return k.ID
}

// limitedError returns the error for a request that the result refuses.
func limitedError(limits []apikey.Limit, result *Result) error {
	e := &apikey.LimitedError{}
	for i, limit := range limits {
		switch state := &result.States[i]; {
		case state.Wait < 0:
			return &apikey.LimitedError{Limits: []string{limit.Name}}
		case state.Wait > 0:
			e.Limits = append(e.Limits, limit.Name)
			e.RetryAfter = max(e.RetryAfter, state.Wait)
		}
	}
	return e
}

func unavailable(err error) error {
	if errors.Is(err, apikey.ErrUnavailable) {
		return err
	}
	return fmt.Errorf("limit: %w: %w", apikey.ErrUnavailable, err)
}

// outageEnds is the time without a failure after which an outage has ended. A backend may fail for only
// some keys, such as those of one node of a cluster. Without a pause, requests of other keys would end
// the outage again and again, and fill the log.
const outageEnds = 10 * time.Second

// logOutage logs the beginning and the end of an outage of the backend.
func (l *Limiter) logOutage(ctx context.Context, err error) {
	switch last := l.failed.Load(); {
	case err != nil && ctx.Err() == nil:
		now := time.Now()
		if l.failed.Swap(&now) == nil {
			l.logger().ErrorContext(ctx, "limit: the backend does not answer", "error", err, "allowed", l.o.AllowOnOutage)
		}
	case err == nil && last != nil && time.Since(*last) >= outageEnds && l.failed.CompareAndSwap(last, nil):
		l.logger().InfoContext(ctx, "limit: the backend answers again")
	}
}

func (l *Limiter) logger() *slog.Logger {
	if l.o.Logger == nil {
		return slog.Default()
	}
	return l.o.Logger
}
