package memstore

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestSubscriberSeesEveryWriteInOrder(t *testing.T) {
	t.Parallel()
	s := New()
	type event struct {
		digest   apikey.Digest
		revision uint64
	}
	var got, others []event
	cancel := s.Subscribe(func(d apikey.Digest, at apikey.Version) {
		assert.Equal(t, s.epoch, at.Epoch)
		got = append(got, event{d, at.Revision})
	})
	s.Subscribe(func(d apikey.Digest, at apikey.Version) { others = append(others, event{d, at.Revision}) })

	add(t, s, apikey.Key{ID: "a"})
	_, err := s.Update(t.Context(), "a", apikey.Patch{})
	require.NoError(t, err)
	_, err = s.Replace(t.Context(), "a", time.Now().Add(time.Hour), digestOf("b"), apikey.Key{ID: "b"})
	require.NoError(t, err)
	_, err = s.Revoke(t.Context(), "b")
	require.NoError(t, err)
	want := []event{{digestOf("a"), 1}, {digestOf("a"), 2}, {digestOf("b"), 3}, {digestOf("a"), 4}, {digestOf("b"), 5}}
	assert.Equal(t, want, got)

	// Failed calls are not announced.
	require.ErrorIs(t, s.Create(t.Context(), digestOf("a"), apikey.Key{ID: "c", Name: "c"}), apikey.ErrExists)
	blank := " "
	_, err = s.Update(t.Context(), "a", apikey.Patch{Name: &blank})
	require.ErrorIs(t, err, apikey.ErrInvalid)
	_, err = s.Revoke(t.Context(), "c")
	require.ErrorIs(t, err, apikey.ErrNotFound)
	assert.Equal(t, want, got)
	assert.EqualValues(t, 5, s.head().Revision)

	cancel()
	cancel() // a second call does nothing
	add(t, s, apikey.Key{ID: "d"})
	assert.Equal(t, want, got, "after cancel")
	assert.Equal(t, append(want, event{digestOf("d"), 6}), others, "another subscriber")
	assert.Len(t, s.subscribers, 1)
}

// A subscriber that joins and leaves while writers run sees every write in between, in order, and
// no other.
func TestSubscribeDuringWrites(t *testing.T) {
	t.Parallel()
	const writers, writes, rounds = 3, 2000, 200
	s := New()
	var wg sync.WaitGroup
	for w := range writers {
		wg.Go(func() {
			for i := range writes {
				id := fmt.Sprintf("w%dk%d", w, i/2)
				var err error
				if i%2 == 0 {
					err = s.Create(context.Background(), digestOf(id), apikey.Key{ID: id, Name: id})
				} else {
					_, err = s.Revoke(context.Background(), id)
				}
				if err != nil {
					t.Errorf("write %d of %s: %v", i, id, err)
					return
				}
			}
		})
	}
	for range writers {
		wg.Go(func() {
			for range rounds {
				var announced []uint64 // appended to only under s.mu
				cancel := s.Subscribe(func(_ apikey.Digest, at apikey.Version) { announced = append(announced, at.Revision) })
				from := s.revision.Load()
				var to uint64
				for range 5 { // some writes happen in between
					c, err := s.Changes(context.Background(), apikey.Version{})
					if err != nil {
						t.Error(err)
						return
					}
					to = c.Head.Revision
				}
				cancel()
				end := s.revision.Load()
				for i := 1; i < len(announced); i++ {
					if announced[i] != announced[i-1]+1 {
						t.Errorf("revision %d was announced after %d", announced[i], announced[i-1])
					}
				}
				switch {
				case len(announced) == 0:
					assert.GreaterOrEqual(t, from, to, "no revision was announced; want %d to %d", from+1, to)
				case announced[0] > from+1 || announced[len(announced)-1] < to || announced[len(announced)-1] > end:
					t.Errorf("revisions %d to %d were announced; want at least %d to %d and at most %d", announced[0], announced[len(announced)-1], from+1, to, end)
				}
			}
		})
	}
	wg.Wait()
	assert.Empty(t, s.subscribers)
	assert.EqualValues(t, writers*writes, s.head().Revision)
}

func TestConcurrentSubscribeLosesNoSubscriber(t *testing.T) {
	t.Parallel()
	const goroutines, each = 4, 200
	s := New()
	calls, cancels := 0, make(chan func(), goroutines*each)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range each {
				cancels <- s.Subscribe(func(apikey.Digest, apikey.Version) { calls++ })
			}
		})
	}
	wg.Wait()
	add(t, s, apikey.Key{ID: "a"})
	assert.Equal(t, goroutines*each, calls)

	for range goroutines {
		wg.Go(func() {
			for range each {
				(<-cancels)()
			}
		})
	}
	wg.Wait()
	assert.Empty(t, s.subscribers)
}
