package memstore

import (
	"fmt"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// trailOf returns the key IDs of the whole audit trail from a cursor on.
func trailOf(t *testing.T, s *Store, cursor string) (ids []string) {
	t.Helper()
	for o := (apikey.AuditOptions{Limit: 500, Cursor: cursor}); ; {
		page, err := s.Audit(t.Context(), o)
		require.NoError(t, err)
		for _, e := range page.Entries {
			ids = append(ids, e.KeyID)
		}
		if o.Cursor = page.Next; o.Cursor == "" {
			return ids
		}
	}
}

func TestAuditKeepsTheLatest10000Entries(t *testing.T) {
	t.Parallel()
	require.Equal(t, 10_000, maxEntries, "as documented")
	s := New()
	made := 0
	create := func(n int) {
		for range n {
			made++
			add(t, s, apikey.Key{ID: fmt.Sprint("k", made)})
		}
	}
	create(2 * maxEntries) // the trail is full
	first, err := s.Audit(t.Context(), apikey.AuditOptions{Limit: 1})
	require.NoError(t, err)
	for _, more := range []int{0, 1, maxEntries - 1, 1} {
		create(more)
		ids := trailOf(t, s, "")
		require.GreaterOrEqual(t, len(ids), maxEntries, "after %d", made)
		require.LessOrEqual(t, cap(s.trail.entries), 3*maxEntries)
		for i, id := range ids {
			require.Equal(t, fmt.Sprint("k", made-i), id, "after %d", made)
		}
		// A walk that began before entries were dropped continues without repeating or skipping.
		rest := trailOf(t, s, first.Next)
		for i, id := range rest {
			require.Equal(t, fmt.Sprint("k", 2*maxEntries-1-i), id, "after %d", made)
		}
	}
	assert.Empty(t, trailOf(t, s, first.Next), "after all remaining entries of the walk were dropped")
}

func TestAuditReturnsCopies(t *testing.T) {
	t.Parallel()
	s := New()
	add(t, s, apikey.Key{ID: "a"})
	for range 2 {
		page, err := s.Audit(t.Context(), apikey.AuditOptions{})
		require.NoError(t, err)
		assert.Equal(t, "Backup job", page.Entries[0].Changes[0].New)
		page.Entries[0].Changes[0].New = "mine"
	}
}
