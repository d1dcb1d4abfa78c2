package leak

import (
	"context"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

const (
	maxExposed     = 1000                  // keys in the queue
	lookupInterval = 20 * time.Millisecond // between two lookups
	exposedTimeout = 10 * time.Second      // for one key
	maxAttempts    = 6                     // for one key, 1, 2, 4, 8 and 16 seconds apart
	dropInterval   = 10 * time.Second      // between two log lines about dropped keys
)

// exposed is the queue of keys that arrived over plain HTTP, with the goroutine that revokes them.
type exposed struct {
	session *manage.Session
	format  *apikey.Format
	options PlaintextOptions
	queue   chan apikey.Secret
	closing chan struct{} // closed by close, which ends pauses
	done    chan struct{} // closed when the goroutine has ended
	cancel  context.CancelFunc

	mu     sync.RWMutex // held while a key enters the queue, and for writing to close it
	closed bool

	dropped atomic.Int64 // since the last log line
}

func newExposed(session *manage.Session, f *apikey.Format, o PlaintextOptions) *exposed {
	ctx, cancel := context.WithCancel(context.Background())
	e := &exposed{
		session: session, format: f, options: o, queue: make(chan apikey.Secret, maxExposed),
		closing: make(chan struct{}), done: make(chan struct{}), cancel: cancel,
	}
	go e.work(ctx)
	return e
}

// add puts a key into the queue. It never waits.
func (e *exposed) add(secret apikey.Secret) {
	e.mu.RLock()
	defer e.mu.RUnlock()
	if e.closed {
		return
	}
	select {
	case e.queue <- secret:
	default:
		e.dropped.Add(1)
	}
}

// close waits until the queue is empty.
func (e *exposed) close(ctx context.Context) error {
	e.mu.Lock()
	if !e.closed {
		e.closed = true
		close(e.queue)
		close(e.closing)
	}
	e.mu.Unlock()
	select {
	case <-e.done:
		return nil
	case <-ctx.Done():
		e.cancel()
		<-e.done
		return fmt.Errorf("leak: closing: not all keys that arrived over plain HTTP were checked: %w", ctx.Err())
	}
}

// work checks the keys in the queue until it is closed and empty, or ctx is done.
func (e *exposed) work(ctx context.Context) {
	defer close(e.done)
	defer e.cancel()
	logged := time.Now()
	for secret := range e.queue {
		if ctx.Err() != nil {
			return
		}
		if time.Since(logged) >= dropInterval {
			logged = time.Now()
			e.logDropped(ctx)
		}
		// The check is here and not in add, because its time must not show in the response.
		if _, err := e.format.Digest(secret); err != nil {
			continue
		}
		e.check(ctx, secret)
		e.pause(ctx, lookupInterval)
	}
	e.logDropped(ctx)
}

func (e *exposed) logDropped(ctx context.Context) {
	if n := e.dropped.Swap(0); n > 0 {
		e.options.Logger.WarnContext(ctx, "leak: keys that arrived over plain HTTP were not checked, because there are too many", "keys", n)
	}
}

// check revokes the key of a secret. It tries again if the store fails.
func (e *exposed) check(ctx context.Context, secret apikey.Secret) {
	wait := time.Second
	for attempt := 1; ; attempt++ {
		err := e.try(ctx, secret)
		if err == nil || ctx.Err() != nil {
			return
		}
		if attempt == maxAttempts {
			e.options.Logger.ErrorContext(ctx, "leak: a key that arrived over plain HTTP was not checked", "error", err)
			return
		}
		e.pause(ctx, wait)
		wait *= 2
	}
}

// try makes one attempt. It returns a panic as an error, because it would end the program.
func (e *exposed) try(ctx context.Context, secret apikey.Secret) (err error) {
	defer func() {
		if p := recover(); p != nil {
			err = fmt.Errorf("%w: the store or OnLeak panicked", apikey.ErrUnavailable)
		}
	}()
	ctx, cancel := context.WithTimeout(ctx, exposedTimeout)
	defer cancel()
	if e.options.KeepKeys {
		key, err := e.session.Identify(ctx, secret)
		if isUnknown(err) {
			return nil
		} else if err != nil {
			return err
		}
		e.options.Logger.WarnContext(ctx, "leak: key arrived over plain HTTP", "key", key.ID)
		return nil
	}
	v := revoke(ctx, e.session, secret)
	if v.err != nil || !v.ours {
		return v.err
	}
	if v.alreadyRevoked {
		return nil
	}
	e.options.Logger.WarnContext(ctx, "leak: key revoked, because it arrived over plain HTTP", "key", v.key.ID)
	if e.options.OnLeak == nil {
		return nil
	}
	if err := e.options.OnLeak(ctx, Report{Key: v.key, Reporter: PlaintextActor, Source: PlaintextSource}); err != nil {
		e.options.Logger.ErrorContext(ctx, "leak: OnLeak failed", "key", v.key.ID, "error", err)
	}
	return nil
}

// pause waits for d, or until close is called or ctx is done.
func (e *exposed) pause(ctx context.Context, d time.Duration) {
	select {
	case <-time.After(d):
	case <-e.closing:
	case <-ctx.Done():
	}
}
