package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestListOptionsValidate(t *testing.T) {
	t.Parallel()
	o, err := apikey.ListOptions{}.Validate()
	require.NoError(t, err)
	assert.Equal(t, apikey.ListOptions{Sort: apikey.SortNewest, Limit: 50}, o, "the zero value selects the 50 newest keys")
	for _, test := range []struct {
		name      string
		o         apikey.ListOptions
		wantError string // "" if valid
	}{
		{"a Limit of 500", apikey.ListOptions{Limit: 500}, ""},
		{"a Limit of 501", apikey.ListOptions{Limit: 501}, "invalid Limit: 501"},
		{"a negative Limit", apikey.ListOptions{Limit: -1}, "invalid Limit: -1"},
		{"an unknown Sort", apikey.ListOptions{Sort: "used"}, `invalid Sort: "used"`},
		{"an unknown Status", apikey.ListOptions{Status: "Active"}, `invalid Status: "Active"`},
		{"a Search of 100 characters", apikey.ListOptions{Search: strings.Repeat("é", 100)}, ""},
		{"a Search of 101 characters", apikey.ListOptions{Search: strings.Repeat("é", 101)}, "Search"},
		{"a Search with NUL", apikey.ListOptions{Search: "\x00"}, "Search"},
		{"a Search with invalid UTF-8", apikey.ListOptions{Search: "\xff"}, "Search"},
		{"an Owner with NUL", apikey.ListOptions{Owner: "a\x00"}, "Owner"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, err := test.o.Validate()
			if test.wantError == "" {
				assert.NoError(t, err)
				return
			}
			assert.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.wantError)
		})
	}
}

// A pager is a store with given pages.
type pager struct {
	*memstore.Store
	pages func(o apikey.ListOptions) (apikey.Page, error)
}

func (p pager) List(_ context.Context, o apikey.ListOptions) (apikey.Page, error) { return p.pages(o) }

func TestKeysReadsAllPages(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	for i := range 7 {
		id := fmt.Sprint("k", i)
		require.NoError(t, store.Create(t.Context(), apikey.Digest{byte(i + 1)}, apikey.Key{ID: id, Name: id, Owner: []string{"ann", "bob"}[i%2]}))
	}
	for _, limit := range []int{0, 1, 3, 500} {
		all := apikey.Keys(t.Context(), store, apikey.ListOptions{Owner: "ann", Sort: apikey.SortName, Limit: limit})
		for range 2 { // the iterator can be used again
			var got []string
			for key, err := range all {
				require.NoError(t, err)
				got = append(got, key.ID)
			}
			assert.Equal(t, []string{"k0", "k2", "k4", "k6"}, got)
		}
		for range all {
			break // the iterator can be stopped
		}
	}
}

func TestKeysContinuesAfterEmptyPage(t *testing.T) {
	t.Parallel()
	pages := map[string]apikey.Page{"": {Next: "1"}, "1": {Next: "2", Keys: []apikey.Key{{ID: "a"}}}, "2": {}}
	store := pager{pages: func(o apikey.ListOptions) (apikey.Page, error) { return pages[o.Cursor], nil }}
	var got []string
	for key, err := range apikey.Keys(t.Context(), store, apikey.ListOptions{}) {
		require.NoError(t, err)
		got = append(got, key.ID)
	}
	assert.Equal(t, []string{"a"}, got)
}

func TestKeysStopsAtFirstError(t *testing.T) {
	t.Parallel()
	failed := errors.New("failed")
	ctx, cancel := context.WithCancel(t.Context())
	for name, test := range map[string]struct {
		ctx       context.Context
		pages     func(o apikey.ListOptions) (apikey.Page, error)
		want      int // keys before the error
		wantError string
	}{
		"an error of List": {t.Context(), func(o apikey.ListOptions) (apikey.Page, error) {
			if o.Cursor != "" {
				return apikey.Page{}, failed
			}
			return apikey.Page{Keys: make([]apikey.Key, 2), Next: "1"}, nil
		}, 2, "failed"},
		"the same cursor twice": {t.Context(), func(apikey.ListOptions) (apikey.Page, error) {
			return apikey.Page{Keys: make([]apikey.Key, 1), Next: "1"}, nil
		}, 2, "the same Next twice"},
		"a cycle of cursors": {t.Context(), func(o apikey.ListOptions) (apikey.Page, error) {
			return apikey.Page{Next: map[string]string{"": "1", "1": "2", "2": "1"}[o.Cursor]}, nil
		}, 0, "the same Next twice"},
		"a canceled context": {ctx, func(apikey.ListOptions) (apikey.Page, error) {
			cancel()
			return apikey.Page{Keys: make([]apikey.Key, 1), Next: "1"}, nil
		}, 1, "context canceled"},
	} {
		var errs []error
		keys := 0
		for key, err := range apikey.Keys(test.ctx, pager{pages: test.pages}, apikey.ListOptions{}) {
			if err == nil {
				keys++
				continue
			}
			assert.Zero(t, key)
			errs = append(errs, err)
		}
		require.Len(t, errs, 1, name)
		assert.ErrorContains(t, errs[0], test.wantError, name)
		assert.Equal(t, test.want, keys, name)
	}
}
