package memstore

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// raise sets v to n if v is smaller.
func raise(v *atomic.Int64, n int64) {
	for {
		old := v.Load()
		if n <= old || v.CompareAndSwap(old, n) {
			return
		}
	}
}

// An answer contains every change up to its Version. Readers note the latest Version with which a
// key was still unknown and still active. Each must be older than the write that ended that state.
func TestLookupAtContainsEveryChangeUpToItsVersion(t *testing.T) {
	t.Parallel()
	const keys, readers = 5000, 3
	var (
		s       = New()
		ids     [keys]string
		digests [keys]apikey.Digest
		created [keys]int64 // the revision of its creation
		revoked [keys]int64
		unknown [keys]atomic.Int64 // the latest revision with which it was unknown
		active  [keys]atomic.Int64
		current atomic.Int64 // the key that is being written
		seen    atomic.Int64 // reads between a creation and its revocation
		wg      sync.WaitGroup
	)
	for i := range keys {
		ids[i] = fmt.Sprintf("k%d", i)
		digests[i] = digestOf(ids[i])
		unknown[i].Store(-1)
		active[i].Store(-1)
	}
	for range readers {
		wg.Go(func() {
			for {
				i := current.Load()
				if i == keys {
					return
				}
				key, at, err := s.LookupAt(context.Background(), digests[i])
				switch {
				case errors.Is(err, apikey.ErrNotFound):
					raise(&unknown[i], int64(at.Revision))
				case err != nil:
					t.Error(err)
					return
				case key.RevokedAt.IsZero():
					raise(&active[i], int64(at.Revision))
					seen.Add(1)
				}
			}
		})
	}
	for i := range keys {
		current.Store(int64(i))
		assert.NoError(t, s.Create(context.Background(), digests[i], apikey.Key{ID: ids[i], Name: "n"}))
		created[i] = int64(s.head().Revision)
		_, err := s.Revoke(context.Background(), ids[i])
		assert.NoError(t, err)
		revoked[i] = int64(s.head().Revision)
	}
	current.Store(keys)
	wg.Wait()
	t.Logf("%d reads returned a key that was about to be revoked", seen.Load())
	for i := range keys {
		if revision := unknown[i].Load(); revision >= created[i] {
			t.Errorf("%s was created at revision %d, but LookupAt = ErrNotFound at revision %d", ids[i], created[i], revision)
		}
		if revision := active[i].Load(); revision >= revoked[i] {
			t.Errorf("%s was revoked at revision %d, but LookupAt = active at revision %d", ids[i], revoked[i], revision)
		}
	}
}

// LastUsedAt never goes back while several goroutines touch the same key.
func TestConcurrentTouchKeepsTheLatest(t *testing.T) {
	t.Parallel()
	const touches, writers = 50_000, 4
	s := New()
	add(t, s, apikey.Key{ID: "a"})
	d := digestOf("a")
	used := &s.table.Get((*[32]byte)(&d)).used
	var clock atomic.Int64
	var wg sync.WaitGroup
	for range writers {
		wg.Go(func() {
			for range touches {
				now := clock.Add(1)
				s.Touch(d, apikey.Use{At: time.Unix(now, 0)})
				// The second read gives a goroutine with an earlier time the chance to write it.
				if first, second := used.Load(), used.Load(); first < now || second < first {
					t.Errorf("after Touch at %d the last use is %d and then %d", now, first, second)
					return
				}
			}
		})
	}
	wg.Wait()
	key, err := s.Get(t.Context(), "a")
	require.NoError(t, err)
	assert.EqualValues(t, touches*writers, key.LastUsedAt.Unix())
}
