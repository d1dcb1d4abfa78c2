package sqlstore

import (
	"context"
	"encoding/binary"
	"fmt"
	"maps"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/latchkey-dev/apikey"
)

// touchChunk is the number of last uses that one statement writes.
const touchChunk = 500

// touches holds the last uses that are not written yet.
type touches struct {
	// recent holds the key and the second of recent touches, by a part of the digest. A frequently
	// used key therefore takes the lock at most once a second.
	recent [4096]atomic.Uint64

	mu         sync.Mutex
	pending    map[apikey.Digest]use
	maxPending int
	closed     bool
	dropped    atomic.Uint64
}

// A use is the last use of a key.
type use struct {
	second int64      // Unix seconds
	addr   netip.Addr // the zero Addr if it is not recorded
}

func (t *touches) init(maxPending int) {
	t.pending, t.maxPending = make(map[apikey.Digest]use), maxPending
}

// Touch records the last use of the key with this digest, to the second. It keeps the first use of the
// latest second. A stored last use more than an hour in the future is replaced, because it comes from a
// wrong clock. The Store writes the use within TouchInterval, so Touch does not wait for the
// database. If MaxTouches keys are pending, Touch drops the use of a further key, and Dropped counts
// it.
func (s *Store) Touch(d apikey.Digest, u apikey.Use) {
	t, second := &s.touches, u.At.Unix()
	slot := &t.recent[binary.LittleEndian.Uint16(d[:])%uint16(len(t.recent))]
	mark := binary.LittleEndian.Uint64(d[8:])<<32 | uint64(uint32(second))
	if slot.Load() == mark {
		return
	}
	t.add(d, use{second, u.Addr})
	slot.Store(mark)
}

// add makes a use pending, or drops it.
func (t *touches) add(d apikey.Digest, u use) {
	t.mu.Lock()
	defer t.mu.Unlock()
	before, isPending := t.pending[d]
	if t.closed || !isPending && len(t.pending) >= t.maxPending {
		t.dropped.Add(1)
		return
	}
	if u.second > before.second {
		t.pending[d] = u
	}
}

// take removes and returns the pending last uses.
func (t *touches) take() map[apikey.Digest]use {
	t.mu.Lock()
	defer t.mu.Unlock()
	taken := t.pending
	t.pending = make(map[apikey.Digest]use, len(taken))
	return taken
}

func (t *touches) close() {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.closed = true
}

// Dropped returns the number of last uses that were dropped since New, because MaxTouches keys were
// pending or the Store was closed.
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
			s.options.Logger.ErrorContext(ctx, "sqlstore: cannot write last uses", "error", err)
		}
	}
}

// Flush writes the pending last uses. If that fails, they stay pending, up to MaxTouches.
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
		return fmt.Errorf("sqlstore: write last uses: %w", failed)
	}
	return nil
}

// writeTouches writes one chunk. The statement orders its rows by seq, because nodes that write the
// same keys in different orders could deadlock. It replaces a last use in the future, which a process
// with a wrong clock wrote, because that would hide every use until then.
func (s *Store) writeTouches(ctx context.Context, chunk []apikey.Digest, uses map[apikey.Digest]use) error {
	const valuesOfChunk = 3 * touchChunk
	args := make([]any, 0, valuesOfChunk+2)
	for _, d := range chunk {
		args = append(args, d[:], time.Unix(uses[d].second, 0).UnixMicro(), addrText(uses[d].addr))
	}
	// An empty digest matches no key. It fills the chunk, so that the statement is always the same.
	for len(args) < valuesOfChunk {
		args = append(args, []byte{}, int64(0), "")
	}
	for range strings.Count(s.d.touch, "?") - valuesOfChunk {
		args = append(args, time.Now().Add(maxClockSkew).UnixMicro())
	}
	select {
	case s.writeSlot <- struct{}{}:
		defer func() { <-s.writeSlot }()
	case <-ctx.Done():
		return ctx.Err()
	}
	d := newDeadline(ctx, "Options.WriteTimeout", s.writeTimeout())
	ctx, cancel := context.WithDeadline(ctx, d.at)
	defer cancel()
	defer s.queue.connectionFreed()
	err := s.file.check(ctx)
	if err == nil {
		err = s.execTouches(ctx, args)
	}
	if ctx.Err() == context.DeadlineExceeded && err != nil {
		err = d.explain("no answer", err)
	}
	return err
}

// addrText returns the value of the column addr.
func addrText(addr netip.Addr) string {
	if !addr.IsValid() {
		return ""
	}
	return addr.Unmap().WithZone("").String() // at most 39 characters
}

// execTouches writes one chunk in a transaction.
func (s *Store) execTouches(ctx context.Context, args []any) error {
	// begin changes settings of the session that could make the database reject the statement or
	// lock rows that it only reads.
	t, err := s.begin(ctx)
	if err != nil {
		return err
	}
	if err = t.checkPrimary(); err == nil {
		err = t.exec(s.d.touch, args...)
	}
	if err != nil {
		return t.rollback(err)
	}
	if err := t.exec("COMMIT"); err != nil {
		t.discard()
		return err
	}
	t.release()
	return nil
}
