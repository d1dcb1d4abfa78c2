package sqlstore

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"time"
)

const (
	// maxLingering bounds the attempts that continue at the same time without a caller.
	maxLingering = 2
	// lingerTimeout bounds how long each of them continues. Over a slow network, opening a
	// connection with TLS and a password takes six round trips, and its first query two.
	lingerTimeout = 10 * time.Second
)

// An operation is one exchange with a server, on a connection that do takes from db.
//
// Every read, every poll and the beginning of every write is an operation that hedge runs. hedge
// handles servers that refuse further connections, connections that were lost silently, and
// connections that take longer to open than a caller waits.
type operation[T any] struct {
	db       *sql.DB
	do       func(ctx context.Context) (T, error)
	urgent   bool                             // a poll or a write, not a read
	discard  func(T)                          // releases a result that came too late; nil if there is nothing to release
	release  func()                           // is called when the first attempt has ended
	tryAgain func() (release func(), ok bool) // reserves a second attempt; nil permits one always
}

// hedge returns the result of an operation, or an error when ctx is done. ctx must have a deadline.
// hedge may call do again, also concurrently, so do must only return its result.
//
// If the server is silent, hedge starts a second attempt on another connection and returns the
// first result (a hedged request). An attempt may linger, which means that it continues without
// its caller: drivers close the connection of a canceled query, so a connection that takes long to
// open would otherwise never be ready. If the first attempt may not linger, or if no second one
// fits beside it, hedge cancels the first, and the second takes its place.
func hedge[T any](ctx context.Context, s *Store, op operation[T]) (T, error) {
	if op.release == nil {
		op.release = func() {}
	}
	if !s.d.server {
		defer op.release()
		return op.do(ctx)
	}
	type result struct {
		of    *attempt
		value T
		err   error
	}
	results, over := make(chan result), make(chan struct{})
	begun := time.Now()
	var attempts []*attempt
	start := func(before, release func()) {
		a := &attempt{done: make(chan struct{}), release: release}
		a.ctx, a.cancel = extended(ctx)
		stop := context.AfterFunc(s.closing, a.cancel)
		attempts = append(attempts, a)
		go func() {
			defer close(a.done)
			defer stop()
			defer a.cancel()
			defer func() { a.release() }() // whichever it is by then
			before()
			begun := time.Now()
			value, err := withConnection(ctx, a.ctx, s, op.urgent, op.do)
			if err == nil {
				s.latency.observe(time.Since(begun))
			}
			select {
			case results <- result{a, value, err}:
			case <-over:
				if err == nil && op.discard != nil {
					op.discard(value)
				}
			}
		}()
	}
	defer func() {
		close(over)
		for _, a := range attempts {
			if !a.ended && !s.linger(a, op.urgent && isNearlyExhausted(op.db)) {
				a.cancel()
			}
		}
	}()
	start(func() {}, op.release)
	running := 1
	silent, cancelable := s.latency.suspicion(ctx)
	defer silent.Stop()
	for {
		select {
		case r := <-results:
			r.of.ended = true
			if running--; r.err == nil || running == 0 || isKeyError(r.err) {
				return r.value, r.err
			}
		case <-silent.C:
			first := attempts[0]
			release, ok := op.secondAttempt()
			lingers := ok && s.linger(first, op.urgent && isNearlyExhausted(op.db))
			if !lingers {
				if ok {
					release()
				}
				if !cancelable {
					continue
				}
				first.cancel()
				release = first.handOn()
			}
			start(func() {
				if !lingers {
					<-first.done // it has returned its connection to the pool
				}
				// Otherwise the pool could hand out the next dead connection.
				s.evict(op.db, begun)
			}, release)
			running++
		case <-ctx.Done():
			go s.evict(op.db, begun)
			var zero T
			return zero, s.queue.explain(begun, ctx.Err())
		}
	}
}

// extended returns a context that ctx does not cancel and that ends lingerTimeout after it.
func extended(ctx context.Context) (context.Context, context.CancelFunc) {
	detached := context.WithoutCancel(ctx)
	if deadline, ok := ctx.Deadline(); ok {
		return context.WithDeadline(detached, deadline.Add(lingerTimeout))
	}
	return context.WithCancel(detached)
}

// secondAttempt reserves a second attempt.
func (op *operation[T]) secondAttempt() (release func(), ok bool) {
	if op.tryAgain == nil {
		return func() {}, true
	}
	return op.tryAgain()
}

// An attempt at an operation has a context of its own, because it may outlive the caller.
type attempt struct {
	ctx     context.Context
	cancel  context.CancelFunc
	done    chan struct{}
	release func() // is called at the end
	lingers bool
	ended   bool // it has delivered its result
}

// handOn returns the release of an attempt for the attempt that takes its place. The attempt must
// not have delivered its result, so that it has not called release.
func (a *attempt) handOn() (release func()) {
	release = a.release
	a.release = func() {}
	return release
}

// linger lets an attempt continue without its caller for up to lingerTimeout. It returns false if
// the attempt would block others or if too many linger already.
func (s *Store) linger(a *attempt, blocksOthers bool) bool {
	if a.lingers {
		return true
	}
	if blocksOthers {
		return false
	}
	select {
	case s.lingerSlots <- struct{}{}:
	default:
		return false
	}
	a.lingers = true
	timeout := time.AfterFunc(lingerTimeout, a.cancel)
	go func() {
		<-a.done
		timeout.Stop()
		<-s.lingerSlots
	}()
	return true
}

// withConnection calls do with the context attempt. It repeats the call while the server refuses
// further connections, until ctx is done. It also repeats the call if the driver found the
// connection closed before it sent anything.
func withConnection[T any](ctx, attempt context.Context, s *Store, urgent bool, do func(context.Context) (T, error)) (T, error) {
	const maxClosed = 16 // idle connections that a restart of the server may have closed
	queue := &s.queue
	defer queue.connectionFreed()
	begun := time.Now()
	if err := queue.enter(ctx, urgent); err != nil {
		var zero T
		return zero, queue.explain(begun, err)
	}
	for closed := 0; ; {
		value, err := do(attempt)
		switch {
		case isTooManyConnections(err):
			queue.lastRefusal.Store(&refusal{time.Now(), err})
			s.polls.drop()
			if waitErr := queue.wait(ctx, urgent); waitErr != nil {
				return value, queue.explain(begun, waitErr)
			}
		case errors.Is(err, driver.ErrBadConn) && closed < maxClosed && ctx.Err() == nil:
			closed++
		default:
			return value, err
		}
	}
}

// isNearlyExhausted reports whether a pool lacks the connections for a poll and a write. They would
// wait within database/sql, which opens connections for waiting callers one after the other and
// without a timeout.
func isNearlyExhausted(db *sql.DB) bool {
	const spare = 2
	stats := db.Stats()
	return stats.MaxOpenConnections > 0 && stats.MaxOpenConnections-stats.InUse < spare
}
