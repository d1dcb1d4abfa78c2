package sqlstore

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"

	"github.com/latchkey-dev/apikey"
)

// A change describes the change of one key, for the audit trail and for caches.
type change struct {
	action string
	id     string
	seq    int64
	digest apikey.Digest
	fields []apikey.FieldChange
}

// write executes f in a transaction with new revisions. It increments the counter row first, so
// that only one write at a time runs on the database. No other write can therefore change the rows
// that f reads, and revisions are committed in order. f returns one change per revision, or no
// change to write nothing.
func (s *Store) write(ctx context.Context, revisions int64, f func(t *tx) ([]change, error)) error {
	return s.transact(ctx, func(t *tx) ([]apikey.Digest, error) {
		changes, err := t.run(revisions, f)
		if err == nil && len(changes) == 0 {
			err = errUnchanged
		}
		digests := make([]apikey.Digest, len(changes))
		for i := range changes {
			digests[i] = changes[i].digest
		}
		return digests, err
	})
}

// transact executes f in a transaction and publishes the digests that f returns to subscribers. If
// f returns errUnchanged, transact rolls back and returns nil.
func (s *Store) transact(ctx context.Context, f func(t *tx) ([]apikey.Digest, error)) error {
	if err := ctx.Err(); err != nil {
		return err
	}
	d := newDeadline(context.WithoutCancel(ctx), "Options.WriteTimeout", s.writeTimeout())
	bounded, cancel := context.WithDeadline(context.WithoutCancel(ctx), d.at)
	defer cancel()
	// Writes of this process queue here, because waiting for the counter row takes a connection.
	select {
	case s.writeSlot <- struct{}{}:
		defer func() { <-s.writeSlot }()
	case <-ctx.Done():
		return fmt.Errorf("sqlstore: waiting to write: %w", ctx.Err())
	case <-bounded.Done():
		return fmt.Errorf("sqlstore: %w", d.explain("other writes of this process did not end", bounded.Err()))
	}
	if err := s.file.check(bounded); err != nil {
		return fmt.Errorf("sqlstore: %w", err)
	}
	defer s.queue.connectionFreed()
	t, err := s.begin(bounded)
	if err != nil {
		return s.failedWrite(&d, bounded, err)
	}
	t.actor, t.tag = actorOf(ctx), rand.Int64()
	panicked := true
	defer func() {
		if panicked { // in Condition.Check; other writes would otherwise wait for the connection's locks
			t.rollback(nil)
		}
	}()
	digests, err := f(t)
	panicked = false
	if err != nil {
		if errors.Is(err, errUnchanged) {
			err = nil
		}
		if err = t.rollback(err); err != nil && !isKeyError(err) {
			err = s.explainDuplicate(ctx, err)
		}
		return s.failedWrite(&d, bounded, err)
	}
	err = t.exec(s.d.commit)
	if err == nil {
		t.release()
		err = s.file.check(bounded) // otherwise the write may be in a file that was deleted
	} else {
		t.discard()
	}
	if err != nil {
		// The write may have happened.
		for _, d := range digests {
			s.subs.publish(d, apikey.Version{})
		}
		if bounded.Err() != nil {
			err = d.explain("no answer", err)
		}
		return &uncertainError{err}
	}
	for _, d := range digests {
		s.subs.publish(d, t.head)
	}
	return nil
}

// failedWrite returns the error of a write that did not happen.
func (s *Store) failedWrite(d *deadline, ctx context.Context, err error) error {
	if cause, ok := causeOfCheck(err); ok {
		return cause
	}
	switch {
	case err == nil || isKeyError(err):
		return err
	case ctx.Err() != nil:
		err = d.explain("the write did not end", err)
	}
	return fmt.Errorf("sqlstore: %w", s.explain(err))
}

// run executes the part of a write between its beginning and its commit.
func (t *tx) run(revisions int64, f func(t *tx) ([]change, error)) ([]change, error) {
	if err := t.advance(revisions); err != nil {
		return nil, err
	}
	changes, err := f(t)
	if err != nil || len(changes) == 0 {
		return nil, err
	}
	if int64(len(changes)) != revisions {
		return nil, fmt.Errorf("%d changes for %d revisions", len(changes), revisions)
	}
	entries := make([][]any, len(changes))
	for i, c := range changes {
		rev := int64(t.head.Revision) - revisions + 1 + int64(i)
		entries[i] = []any{rev, t.tag, microsOf(t.now), t.actor, c.action, c.id, c.seq, c.detail(), c.json()}
	}
	return changes, t.insertInto("apikey_audit (rev, tag, at, actor, action, key_id, key_seq, detail, changes)", entries)
}
