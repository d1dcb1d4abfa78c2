package memstore

import (
	"fmt"
	"math"
	"slices"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// walk returns the IDs on all pages. It fails if a page other than the last is not full.
func walk(t *testing.T, s *Store, o apikey.ListOptions) (ids []string) {
	t.Helper()
	for {
		page, err := s.List(t.Context(), o)
		require.NoError(t, err)
		if page.Next != "" && len(page.Keys) != o.Limit || page.Next == "" && len(page.Keys) == 0 && len(ids) > 0 {
			t.Errorf("sort %q: after %d keys, List with Limit %d = %d keys, Next %q; want a full page or the last", o.Sort, len(ids), o.Limit, len(page.Keys), page.Next)
		}
		for _, key := range page.Keys {
			ids = append(ids, key.ID)
		}
		if page.Next == "" {
			return ids
		}
		o.Cursor = page.Next
	}
}

// many returns a Store of n keys with the IDs k000000, k000001 and so on. Each hundred keys share a
// name and an expiry, except that every third key never expires.
func many(t *testing.T, n int) *Store {
	t.Helper()
	s := New()
	start := time.Now().Add(time.Hour)
	for i := range n {
		key := apikey.Key{ID: fmt.Sprintf("k%06d", i), Name: fmt.Sprintf("Job %d", i/100*7919%1000)}
		if i%3 != 0 {
			key.ExpiresAt = start.Add(time.Duration(i/100*7919%1000) * time.Second)
		}
		add(t, s, key)
	}
	return s
}

// A page can end between keys with the same name, the same expiry or no expiry.
func TestPageEndsBetweenEqualKeys(t *testing.T) {
	t.Parallel()
	const n = 1000
	s := many(t, n)
	for _, sort := range []apikey.Sort{apikey.SortName, apikey.SortExpires} {
		whole := walk(t, s, apikey.ListOptions{Sort: sort, Limit: 500})
		for _, limit := range []int{37, 250} {
			got := walk(t, s, apikey.ListOptions{Sort: sort, Limit: limit})
			assert.Equal(t, whole, got, "sort %s, pages of %d", sort, limit)
		}
		if sort == apikey.SortExpires {
			for i, id := range whole {
				key, err := s.Get(t.Context(), id)
				require.NoError(t, err)
				if never := i >= n-(n+2)/3; key.ExpiresAt.IsZero() != never {
					t.Fatalf("key %d of %d: ExpiresAt = %v; want the keys that never expire, a third, to come last", i, n, key.ExpiresAt)
				}
			}
		}
		slices.Sort(whole)
		assert.Len(t, slices.Compact(whole), n, sort)
	}
}

func TestLastPageIsNotEmpty(t *testing.T) {
	t.Parallel()
	s := many(t, 20)
	for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		for _, limit := range []int{1, 4, 5, 10, 19, 20, 21} {
			assert.Len(t, walk(t, s, apikey.ListOptions{Sort: sort, Limit: limit}), 20, "sort %s, pages of %d", sort, limit)
		}
		assert.Len(t, walk(t, s, apikey.ListOptions{Sort: sort, Limit: 4, Search: "k00001"}), 10, "search with sort %s", sort)
		assert.Empty(t, walk(t, s, apikey.ListOptions{Sort: sort, Limit: 4, Search: "nowhere"}))
	}
}

// A key that is renamed during a walk by name may be missed or repeated. Every other key is listed
// once.
func TestRenameMovesNoOtherKey(t *testing.T) {
	t.Parallel()
	s := New()
	for i := range 20 {
		add(t, s, apikey.Key{ID: fmt.Sprint(i), Name: fmt.Sprintf("%02d", i)})
	}
	var got []string
	o := apikey.ListOptions{Sort: apikey.SortName, Limit: 5}
	for {
		page, err := s.List(t.Context(), o)
		require.NoError(t, err)
		for _, key := range page.Keys {
			if key.ID != "4" {
				got = append(got, key.ID)
			}
		}
		if page.Next == "" {
			break
		}
		// The last key of the first page moves to the front and then to the end.
		name := "zz"
		if len(got) < 8 {
			name = "-"
		}
		_, err = s.Update(t.Context(), "4", apikey.Patch{Name: &name})
		require.NoError(t, err)
		o.Cursor = page.Next
	}
	var want []string
	for i := range 20 {
		if i != 4 {
			want = append(want, fmt.Sprint(i))
		}
	}
	assert.Equal(t, want, got)
}

// A cursor is not signed, so a client can forge one for any position.
func TestForgedCursorGetsAPage(t *testing.T) {
	t.Parallel()
	s := many(t, 20)
	for _, sort := range []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		for _, n := range []int64{math.MinInt64, -1, 0, 1, 10, 20, 21, math.MaxInt64} {
			o := apikey.ListOptions{Sort: sort, Limit: 500}
			o.Cursor = listing.Cursor(o, listing.Position{Seq: n, Time: n, Text: "job 5"})
			page, err := s.List(t.Context(), o)
			require.NoError(t, err)
			assert.Empty(t, page.Next)
			assert.LessOrEqual(t, len(page.Keys), 20, "keys by sort %s from position %d", sort, n)
		}
	}
}

func TestSearchSeesTheCurrentName(t *testing.T) {
	t.Parallel()
	s := New()
	add(t, s, apikey.Key{ID: "a", Name: "Backup \u00c9"})
	found := func(search string) int {
		return len(walk(t, s, apikey.ListOptions{Search: search, Limit: 10}))
	}
	assert.Equal(t, 1, found("backup \u00e9"))
	name := "Import"
	_, err := s.Update(t.Context(), "a", apikey.Patch{Name: &name})
	require.NoError(t, err)
	assert.Equal(t, 0, found("backup"))
	assert.Equal(t, 1, found("IMPORT"))

	grace := time.Now().Add(time.Hour)
	_, err = s.Replace(t.Context(), "a", grace, digestOf("b"), apikey.Key{ID: "b"})
	require.NoError(t, err)
	assert.Equal(t, 2, found("import"), "the old key and its successor, which inherits the name")
}
