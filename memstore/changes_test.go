package memstore

import (
	"bytes"
	"context"
	"fmt"
	"slices"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func changesSince(t *testing.T, s *Store, since apikey.Version) apikey.Changes {
	t.Helper()
	c, err := s.Changes(t.Context(), since)
	require.NoError(t, err)
	return c
}

// A feed is a Store together with the Version after each of its changes.
type feed struct {
	*Store
	versions []apikey.Version // versions[i] is the Version after change i
}

const feedKeys = 997

// changed returns the ID of the key that change i, from 1 on, updates.
func changed(i int) string { return fmt.Sprintf("k%03d", i%feedKeys) }

func newFeed(t *testing.T) *feed {
	t.Helper()
	f := &feed{Store: New()}
	for i := range feedKeys {
		add(t, f.Store, apikey.Key{ID: changed(i)})
	}
	f.versions = []apikey.Version{f.head()}
	return f
}

// change makes the next n changes.
func (f *feed) change(t *testing.T, n int) {
	t.Helper()
	for range n {
		_, err := f.Update(context.Background(), changed(len(f.versions)), apikey.Patch{})
		require.NoError(t, err)
		f.versions = append(f.versions, f.head())
	}
}

// listsSince fails unless Changes lists exactly the digests of the changes after change i.
func (f *feed) listsSince(t *testing.T, i int) {
	t.Helper()
	got := changesSince(t, f.Store, f.versions[i])
	last := len(f.versions) - 1
	if got.Reset || got.Head != f.versions[last] {
		t.Errorf("%d changes: Changes(change %d) = Reset %v, Head %+v; want the digests", last, i, got.Reset, got.Head)
		return
	}
	var want []apikey.Digest
	for i := i + 1; i <= last; i++ {
		want = append(want, digestOf(changed(i)))
	}
	slices.SortFunc(got.Digests, compare)
	slices.SortFunc(want, compare)
	if !slices.Equal(got.Digests, want) {
		t.Errorf("%d changes: Changes(change %d) lists %d digests; want %d", last, i, len(got.Digests), len(want))
	}
}

func compare(a, b apikey.Digest) int { return bytes.Compare(a[:], b[:]) }

// resetsSince fails unless Changes returns a Reset for the Version after change i.
func (f *feed) resetsSince(t *testing.T, i int) {
	t.Helper()
	got := changesSince(t, f.Store, f.versions[i])
	last := len(f.versions) - 1
	if !got.Reset || got.Head != f.versions[last] || len(got.Digests) != 0 {
		t.Errorf("%d changes: Changes(change %d) = Reset %v, Head %+v, %d digests; want a Reset", last, i, got.Reset, got.Head, len(got.Digests))
	}
}

func TestChangesListsTheLast10000(t *testing.T) {
	t.Parallel()
	require.Equal(t, 10_000, maxChanges, "as documented")
	f := newFeed(t)

	f.change(t, 1)
	f.listsSince(t, 0)
	f.listsSince(t, 1)
	f.change(t, 2*maxChanges-1) // the log is full
	f.listsSince(t, 0)
	f.listsSince(t, maxChanges)
	f.listsSince(t, 2*maxChanges-1)
	f.listsSince(t, 2*maxChanges)

	f.change(t, 1) // the older half is dropped
	f.resetsSince(t, 0)
	f.resetsSince(t, maxChanges-1)
	f.listsSince(t, maxChanges)
	f.listsSince(t, maxChanges+1)
	f.listsSince(t, 2*maxChanges)

	f.change(t, maxChanges-1) // full again
	f.resetsSince(t, maxChanges-1)
	f.listsSince(t, maxChanges)

	f.change(t, 1)
	f.resetsSince(t, maxChanges)
	f.resetsSince(t, 2*maxChanges-1)
	f.listsSince(t, 2*maxChanges)
	f.listsSince(t, 3*maxChanges)
	f.listsSince(t, 3*maxChanges+1)
}

func TestChangesListsTheLast10000AtEveryMoment(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.change(t, maxChanges)
	for range 5 {
		f.listsSince(t, len(f.versions)-1-maxChanges)
		f.change(t, 1999)
	}
	for range 8 { // across the moment at which the log drops its older half
		f.listsSince(t, len(f.versions)-1-maxChanges)
		f.change(t, 1)
	}
}

// A creation advances the revision but is not logged.
func TestCreationsDoNotFillTheChangeLog(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.change(t, 1)
	for i := range 2*maxChanges + 1 {
		add(t, f.Store, apikey.Key{ID: fmt.Sprintf("new%d", i)})
	}
	got := changesSince(t, f.Store, f.versions[0])
	assert.Equal(t, apikey.Changes{Digests: []apikey.Digest{digestOf(changed(1))}, Head: f.head()}, got)
	f.change(t, 1)
	got = changesSince(t, f.Store, f.versions[1])
	assert.Equal(t, apikey.Changes{Digests: []apikey.Digest{digestOf(changed(2))}, Head: f.head()}, got)
}

func TestChangeLogIsBounded(t *testing.T) {
	t.Parallel()
	var l changeLog
	for i := range uint64(10 * maxChanges) {
		l.add(change{revision: i + 1})
		if len(l.changes) > 2*maxChanges || l.dropped+uint64(len(l.changes)) != i+1 {
			t.Fatalf("after %d changes the log holds %d and dropped those up to %d", i+1, len(l.changes), l.dropped)
		}
	}
	// A change takes 40 bytes.
	assert.LessOrEqual(t, cap(l.changes), 3*maxChanges, "capacity of the log")
}

func TestVersionOfAnotherStoreIsAReset(t *testing.T) {
	t.Parallel()
	f := newFeed(t)
	f.change(t, 3)
	head := f.head()
	for name, since := range map[string]apikey.Version{
		"another store":         New().head(),
		"no epoch":              {Revision: head.Revision},
		"a future revision":     {Epoch: head.Epoch, Revision: head.Revision + 1},
		"the largest revision":  {Epoch: head.Epoch, Revision: ^uint64(0)},
		"another store's past":  {Epoch: head.Epoch + 1, Revision: 1},
		"an epoch and no write": {Epoch: head.Epoch ^ 1},
	} {
		assert.Equal(t, apikey.Changes{Head: head, Reset: true}, changesSince(t, f.Store, since), name)
	}
	assert.Equal(t, apikey.Changes{Head: head}, changesSince(t, f.Store, apikey.Version{}), "the zero Version")
	assert.Equal(t, apikey.Changes{Head: head}, changesSince(t, f.Store, head), "the head")
	first := changesSince(t, f.Store, apikey.Version{Epoch: head.Epoch})
	assert.Len(t, first.Digests, 3, "the Version before the first write")
}
