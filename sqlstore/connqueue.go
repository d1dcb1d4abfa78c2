package sqlstore

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"
)

// A connQueue makes callers wait while the server refuses further connections, because it permits
// fewer than the pool. Only the first caller in the queue tries again, so that a full server is
// not flooded with attempts.
type connQueue struct {
	first       chan struct{} // holds the first caller in the queue
	freed       chan struct{} // receives each connection that may have become free
	waiting     atomic.Int64
	lastRefusal atomic.Pointer[refusal]
}

// A refusal is the error of a server that has too many connections.
type refusal struct {
	at  time.Time
	err error
}

func (q *connQueue) init() { q.first, q.freed = make(chan struct{}, 1), make(chan struct{}, 64) }

// explain adds the last refusal since begun to the error of a call that ran out of time, unless
// the error contains it already.
func (q *connQueue) explain(begun time.Time, err error) error {
	if last := q.lastRefusal.Load(); last != nil && last.at.After(begun) && !isTooManyConnections(err) {
		return fmt.Errorf("%w: %w", err, last.err)
	}
	return err
}

// refusedRecently reports whether the server refused a connection within the last minute.
func (q *connQueue) refusedRecently() bool {
	last := q.lastRefusal.Load()
	return last != nil && time.Since(last.at) < time.Minute
}

// retryDelay returns how long the first caller waits for a connection of this Store to become free
// before it tries to open one.
func retryDelay() time.Duration { return 50*time.Millisecond + rand.N(50*time.Millisecond) }

// enter waits behind the other callers in the queue, if there are any.
func (q *connQueue) enter(ctx context.Context, urgent bool) error {
	if urgent || q.waiting.Load() == 0 {
		return nil
	}
	return q.wait(ctx, urgent)
}

// wait returns when the caller may try again, or when ctx is done. Polls and writes are urgent.
// They are few and wait beside the queue, so that reads do not delay them.
func (q *connQueue) wait(ctx context.Context, urgent bool) error {
	q.waiting.Add(1)
	defer q.waiting.Add(-1)
	if !urgent {
		select {
		case q.first <- struct{}{}:
			defer func() { <-q.first }()
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	retry := time.NewTimer(retryDelay())
	defer retry.Stop()
	select {
	case <-q.freed:
	case <-retry.C:
	case <-ctx.Done():
		return ctx.Err()
	}
	return nil
}

// connectionFreed tells the first caller that a connection is back in the pool.
func (q *connQueue) connectionFreed() {
	if q.waiting.Load() == 0 {
		return
	}
	select {
	case q.freed <- struct{}{}:
	default: // enough notices are pending
	}
}
