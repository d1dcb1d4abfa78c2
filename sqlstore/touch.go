package sqlstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

// touchChunk is how many last uses one statement writes.
const touchChunk = 500

// touches are the last uses that were not written yet.
type touches struct {
	// recent remembers, by a part of its digest, which key was touched in which second, so
	// that a busy key takes the lock once a second at most.
	recent [4096]atomic.Uint64

	mu      sync.Mutex
	pending map[apikey.Digest]int64 // Unix seconds
	most    int
	closed  bool
	dropped atomic.Uint64
}

func (t *touches) init(most int) { t.pending, t.most = make(map[apikey.Digest]int64), most }

// Touch remembers when the key with this digest was last used, to the second. It is written
// after at most TouchInterval. Touch waits for no database; when too many keys are held
// already, it drops what it is given, which Dropped counts.
func (s *Store) Touch(d apikey.Digest, at time.Time) {
	t, second := &s.touches, at.Unix()
	slot := &t.recent[binary.LittleEndian.Uint16(d[:])%uint16(len(t.recent))]
	mark := binary.LittleEndian.Uint64(d[8:])<<32 | uint64(uint32(second))
	if slot.Load() == mark {
		return
	}
	t.add(d, second)
	slot.Store(mark)
}

func (t *touches) add(d apikey.Digest, second int64) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, held := t.pending[d]
	if t.closed || !held && len(t.pending) >= t.most {
		t.dropped.Add(1)
		return
	}
	if second > before {
		t.pending[d] = second
	}
}

// take returns what is pending and forgets it.
func (t *touches) take() map[apikey.Digest]int64 {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.pending
	t.pending = make(map[apikey.Digest]int64, len(taken))
	return taken
}

func (t *touches) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// Dropped returns how many last uses were dropped since New, because too many keys were
// held while the database did not take them.
func (s *Store) Dropped() uint64 { return s.touches.dropped.Load() }

// flushRegularly writes last uses until ctx is done.
func (s *Store) flushRegularly(ctx context.Context) {
	tick := time.NewTicker(s.options.TouchInterval)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		if err := s.Flush(ctx); err != nil && ctx.Err() == nil {
			s.options.Logger.ErrorContext(ctx, "sqlstore: last uses were not written", "error", err)
		}
	}
}

// Flush writes the last uses that are held. What could not be written is held on to, within
// MaxTouches.
func (s *Store) Flush(ctx context.Context) error {
	uses := s.touches.take()
	var failed error
	for chunk := range slices.Chunk(slices.Collect(maps.Keys(uses)), touchChunk) {
		if failed == nil {
			failed = s.writeTouches(ctx, chunk, uses)
		}
		if failed != nil {
			for _, d := range chunk {
				s.touches.add(d, uses[d])
			}
		}
	}
	if failed != nil {
		return fmt.Errorf("sqlstore: writing last uses: %w", failed)
	}
	return nil
}

// writeTouches writes one chunk. Its rows are written in the order of seq, or two nodes
// that write the same keys could wait for each other.
func (s *Store) writeTouches(ctx context.Context, chunk []apikey.Digest, uses map[apikey.Digest]int64) error {
	args := make([]any, 0, 2*touchChunk)
	for _, d := range chunk {
		args = append(args, d[:], time.Unix(uses[d], 0).UnixMicro())
	}
	// Always a whole chunk, so that it is always one statement. The rest is nobody's digest.
	for len(args) < cap(args) {
		args = append(args, []byte{}, int64(0))
	}
	select {
	case s.writing <- struct{}{}:
		defer func() { <-s.writing }()
	case <-ctx.Done():
		return ctx.Err()
	}
	ctx, cancel := context.WithTimeout(ctx, s.options.WriteTimeout)
	defer cancel()
	// In a transaction for its settings: with others it could be refused, or it could lock
	// keys that it only reads.
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	if err := t.exec(s.d.touch, args...); err != nil {
		t.rollback()
		return err
	}
	if err := t.execAll(ctx, s.d.commit); err != nil {
		t.discard()
		return err
	}
	t.release()
	return nil
}
