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

// walk returns the IDs on all pages, and fails on a page that is not full but the last.
func walk(t *testing.T, s *Store, o apikey.ListOptions) (ids []string) {
	t.Helper()
	for {
		page, err := s.List(t.Context(), o)
		require.NoError(t, err)
		if page.Next != "" && len(page.Keys) != o.Limit || page.Next == "" && len(page.Keys) == 0 && len(ids) > 0 {
			t.Errorf("by %q after %d keys, a page of %d has %d, and Next is %q", o.Sort, len(ids), o.Limit, len(page.Keys), page.Next)
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

// many makes a Store of keys k000000 and so on. Each hundred have one name and, but for
// each third key, which never expires, one expiry.
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

// A page must be able to end amid keys of one name, or one expiry, or none.
func TestPagesMayEndAmidEquals(t *testing.T) {
	t.Parallel()
	const n = 1000
	s := many(t, n)
	for _, sort := range []string{apikey.SortName, apikey.SortExpires} {
		whole := walk(t, s, apikey.ListOptions{Sort: sort, Limit: 500})
		for _, limit := range []int{37, 250} {
			got := walk(t, s, apikey.ListOptions{Sort: sort, Limit: limit})
			assert.Equal(t, whole, got, "by %s, pages of %d", sort, limit)
		}
		if sort == apikey.SortExpires {
			for i, id := range whole {
				key, err := s.Get(t.Context(), id)
				require.NoError(t, err)
				if never := i >= n-(n+2)/3; key.ExpiresAt.IsZero() != never {
					t.Fatalf("number %d of %d, of which a third never expire, expires at %v", i, n, key.ExpiresAt)
				}
			}
		}
		slices.Sort(whole)
		assert.Len(t, slices.Compact(whole), n, sort)
	}
}

func TestTheLastPageIsNotFollowedByAnEmptyOne(t *testing.T) {
	t.Parallel()
	s := many(t, 20)
	for _, sort := range []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		for _, limit := range []int{1, 4, 5, 10, 19, 20, 21} {
			assert.Len(t, walk(t, s, apikey.ListOptions{Sort: sort, Limit: limit}), 20, "by %s, %d a page", sort, limit)
		}
		assert.Len(t, walk(t, s, apikey.ListOptions{Sort: sort, Limit: 4, Search: "k00001"}), 10, "a search by %s", sort)
		assert.Empty(t, walk(t, s, apikey.ListOptions{Sort: sort, Limit: 4, Search: "nowhere"}))
	}
}

// A renamed key moves in the order by name: it may be missed or repeated, but no other is.
func TestRenamingMovesNoOtherKey(t *testing.T) {
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
		// The key that the first cursor stands on moves to the front, and then to the end.
		name := map[bool]string{true: "-", false: "zz"}[len(got) < 8]
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

// A cursor is no secret: whoever knows how may write one.
func TestMadeUpPositionsGetAPage(t *testing.T) {
	t.Parallel()
	s := many(t, 20)
	for _, sort := range []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires} {
		for _, n := range []int64{math.MinInt64, -1, 0, 1, 10, 20, 21, math.MaxInt64} {
			o := apikey.ListOptions{Sort: sort, Limit: 500}
			o.Cursor = listing.Cursor(o, listing.Position{Seq: n, Time: n, Text: "job 5"})
			page, err := s.List(t.Context(), o)
			require.NoError(t, err)
			assert.Empty(t, page.Next)
			if len(page.Keys) > 20 {
				t.Errorf("by %s from %d, %d of 20 keys", sort, n, len(page.Keys))
			}
		}
	}
}

func TestSearchSeesANameAsItIsNow(t *testing.T) {
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
	assert.Equal(t, 2, found("import"), "the successor has the name of the key it replaces")
}
