package memstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func changesSince(t *testing.T, s *Store, since apikey.Cursor) apikey.Changes {
	t.Helper()
	c, err := s.Changes(t.Context(), since)
	require.NoError(t, err)
	return c
}

// A feed is a Store of which every change is known.
type feed struct {
	*Store
	cursors []apikey.Cursor // cursors[i] is the state after change i
}

const feedKeys = 997

// changed is the ID of the key that is changed by number i, from 1 on.
func changed(i int) string { return fmt.Sprintf("k%03d", i%feedKeys) }

func newFeed(t *testing.T) *feed {
	t.Helper()
	f := &feed{Store: New()}
	for i := range feedKeys {
		add(t, f.Store, apikey.Key{ID: changed(i)})
	}
	f.cursors = []apikey.Cursor{f.head()}
	return f
}

// change makes the next changes.
func (f *feed) change(t *testing.T, n int) {
	t.Helper()
	for range n {
		if _, err := f.Update(context.Background(), changed(len(f.cursors)), apikey.Patch{}); err != nil {
			t.Fatal(err)
		}
		f.cursors = append(f.cursors, f.head())
	}
}

// tellsSince fails unless Changes names exactly the digests of the changes after number i.
func (f *feed) tellsSince(t *testing.T, i int) {
	t.Helper()
	got := changesSince(t, f.Store, f.cursors[i])
	last := len(f.cursors) - 1
	if got.Reset || got.Head != f.cursors[last] {
		t.Errorf("after %d changes, those since number %d: Reset %v, Head %+v", last, i, got.Reset, got.Head)
		return
	}
	var want []apikey.Digest
	for i := i + 1; i <= last; i++ {
		want = append(want, digestOf(changed(i)))
	}
	slices.SortFunc(got.Digests, compare)
	slices.SortFunc(want, compare)
	if !slices.Equal(got.Digests, want) {
		t.Errorf("after %d changes, those since number %d are %d, not the %d that were made", last, i, len(got.Digests), len(want))
	}
}

func compare(a, b apikey.Digest) int { return bytes.Compare(a[:], b[:]) }

// resetsSince fails unless Changes gives up on telling what was changed after number i.
func (f *feed) resetsSince(t *testing.T, i int) {
	t.Helper()
	got := changesSince(t, f.Store, f.cursors[i])
	last := len(f.cursors) - 1
	if !got.Reset || got.Head != f.cursors[last] || len(got.Digests) != 0 {
		t.Errorf("after %d changes, those since number %d: Reset %v, Head %+v, %d digests", last, i, got.Reset, got.Head, len(got.Digests))
	}
}

func TestChangesTellsOfTheLast10000AndNeverTooFew(t *testing.T) {
	t.Parallel()
	require.Equal(t, 10_000, maxChanges, "as documented")
	f := newFeed(t)

	f.change(t, 1)
	f.tellsSince(t, 0)
	f.tellsSince(t, 1)
	f.change(t, 2*maxChanges-1) // as many as it holds
	f.tellsSince(t, 0)
	f.tellsSince(t, maxChanges)
	f.tellsSince(t, 2*maxChanges-1)
	f.tellsSince(t, 2*maxChanges)

	f.change(t, 1) // the older half is dropped
	f.resetsSince(t, 0)
	f.resetsSince(t, maxChanges-1)
	f.tellsSince(t, maxChanges)
	f.tellsSince(t, maxChanges+1)
	f.tellsSince(t, 2*maxChanges)

	f.change(t, maxChanges-1) // full again
	f.resetsSince(t, maxChanges-1)
	f.tellsSince(t, maxChanges)

	f.change(t, 1)
	f.resetsSince(t, maxChanges)
	f.resetsSince(t, 2*maxChanges-1)
	f.tellsSince(t, 2*maxChanges)
	f.tellsSince(t, 3*maxChanges)
	f.tellsSince(t, 3*maxChanges+1)
}

func TestAtEveryMomentTheLast10000ChangesCanBeTold(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.change(t, maxChanges)
	for range 5 {
		f.tellsSince(t, len(f.cursors)-1-maxChanges)
		f.change(t, 1999)
	}
	for range 8 { // across the moment at which the log drops its older half
		f.tellsSince(t, len(f.cursors)-1-maxChanges)
		f.change(t, 1)
	}
}

// Revisions also count creations, which are not in the log.
func TestCreationsTakeNoPlaceAmongChanges(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.change(t, 1)
	for i := range 2*maxChanges + 1 {
		add(t, f.Store, apikey.Key{ID: fmt.Sprintf("new%d", i)})
	}
	got := changesSince(t, f.Store, f.cursors[0])
	assert.Equal(t, apikey.Changes{Digests: []apikey.Digest{digestOf(changed(1))}, Head: f.head()}, got)
	f.change(t, 1)
	got = changesSince(t, f.Store, f.cursors[1])
	assert.Equal(t, apikey.Changes{Digests: []apikey.Digest{digestOf(changed(2))}, Head: f.head()}, got)
}

func TestTheLogOfChangesIsBounded(t *testing.T) {
	t.Parallel()
	var l changeLog
	for i := range uint64(10 * maxChanges) {
		l.add(change{revision: i + 1})
		if len(l.changes) > 2*maxChanges || l.lost+uint64(len(l.changes)) != i+1 {
			t.Fatalf("after %d changes it holds %d and lost those up to %d", i+1, len(l.changes), l.lost)
		}
	}
	// Of 40 bytes each.
	if n := cap(l.changes); n > 3*maxChanges {
		t.Errorf("it has room for %d changes", n)
	}
}

func TestACursorOfAnotherHistoryIsAReset(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.change(t, 3)
	head := f.head()
	for name, since := range map[string]apikey.Cursor{
		"another store":         New().head(),
		"no epoch":              {Revision: head.Revision},
		"the future":            {Epoch: head.Epoch, Revision: head.Revision + 1},
		"the end of all time":   {Epoch: head.Epoch, Revision: ^uint64(0)},
		"another store's past":  {Epoch: head.Epoch + 1, Revision: 1},
		"an epoch and no write": {Epoch: head.Epoch ^ 1},
	} {
		assert.Equal(t, apikey.Changes{Head: head, Reset: true}, changesSince(t, f.Store, since), name)
	}
	assert.Equal(t, apikey.Changes{Head: head}, changesSince(t, f.Store, apikey.Cursor{}), "the zero Cursor")
	assert.Equal(t, apikey.Changes{Head: head}, changesSince(t, f.Store, head), "the head")
	first := changesSince(t, f.Store, apikey.Cursor{Epoch: head.Epoch})
	assert.Len(t, first.Digests, 3, "since before the first write")
}

func TestASubscriberIsToldOfEachWriteInItsPlace(t *testing.T) {
	t.Parallel()
	s := New()
	type event struct {
		digest   apikey.Digest
		revision uint64
	}
	var got, others []event
	cancel := s.Subscribe(func(d apikey.Digest, at apikey.Cursor) {
		assert.Equal(t, s.epoch, at.Epoch)
		got = append(got, event{d, at.Revision})
	})
	s.Subscribe(func(d apikey.Digest, at apikey.Cursor) { others = append(others, event{d, at.Revision}) })

	add(t, s, apikey.Key{ID: "a"})
	_, err := s.Update(t.Context(), "a", apikey.Patch{})
	require.NoError(t, err)
	_, err = s.Replace(t.Context(), "a", time.Now().Add(time.Hour), digestOf("b"), apikey.Key{ID: "b"})
	require.NoError(t, err)
	_, err = s.Revoke(t.Context(), "b")
	require.NoError(t, err)
	want := []event{{digestOf("a"), 1}, {digestOf("a"), 2}, {digestOf("b"), 3}, {digestOf("a"), 4}, {digestOf("b"), 5}}
	assert.Equal(t, want, got)

	// What fails is no write.
	require.ErrorIs(t, s.Create(t.Context(), digestOf("a"), apikey.Key{ID: "c", Name: "c"}), apikey.ErrExists)
	blank := " "
	_, err = s.Update(t.Context(), "a", apikey.Patch{Name: &blank})
	require.ErrorIs(t, err, apikey.ErrInvalid)
	_, err = s.Revoke(t.Context(), "c")
	require.ErrorIs(t, err, apikey.ErrNotFound)
	assert.Equal(t, want, got)
	assert.EqualValues(t, 5, s.head().Revision)

	cancel()
	cancel() // once more is once
	add(t, s, apikey.Key{ID: "d"})
	assert.Equal(t, want, got, "after cancel")
	assert.Equal(t, append(want, event{digestOf("d"), 6}), others, "another subscriber")
	assert.Len(t, s.subs, 1)
}

// Who subscribes while writers run is told of every write from then on until it cancels,
// in order, and of none after that.
func TestSubscribersComeAndGoAmongWriters(t *testing.T) {
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
				var told []uint64 // only written to under the lock of s
				cancel := s.Subscribe(func(_ apikey.Digest, at apikey.Cursor) { told = append(told, at.Revision) })
				from := s.state.Load()
				var to uint64
				for range 5 { // let some writes happen
					c, err := s.Changes(context.Background(), apikey.Cursor{})
					if err != nil {
						t.Error(err)
						return
					}
					to = c.Head.Revision
				}
				cancel()
				end := s.state.Load()
				for i := 1; i < len(told); i++ {
					if told[i] != told[i-1]+1 {
						t.Errorf("revision %d was followed by %d", told[i-1], told[i])
					}
				}
				switch {
				case len(told) == 0:
					if from < to {
						t.Errorf("nothing was told of %d to %d", from+1, to)
					}
				case told[0] > from+1 || told[len(told)-1] < to || told[len(told)-1] > end:
					t.Errorf("%d to %d were told; want %d to %d at least and %d at most", told[0], told[len(told)-1], from+1, to, end)
				}
			}
		})
	}
	wg.Wait()
	assert.Empty(t, s.subs)
	assert.EqualValues(t, writers*writes, s.head().Revision)
}

func TestOfSubscribersAtOneTimeNoneIsLost(t *testing.T) {
	t.Parallel()
	const goroutines, each = 4, 200
	s := New()
	told, cancels := 0, make(chan func(), goroutines*each)
	var wg sync.WaitGroup
	for range goroutines {
		wg.Go(func() {
			for range each {
				cancels <- s.Subscribe(func(apikey.Digest, apikey.Cursor) { told++ })
			}
		})
	}
	wg.Wait()
	add(t, s, apikey.Key{ID: "a"})
	assert.Equal(t, goroutines*each, told)

	for range goroutines {
		wg.Go(func() {
			for range each {
				(<-cancels)()
			}
		})
	}
	wg.Wait()
	assert.Empty(t, s.subs)
}
