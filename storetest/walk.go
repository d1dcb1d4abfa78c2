package storetest

import (
	"cmp"
	"slices"

	"github.com/latchkey-dev/apikey"
)

// maxPages is more than any list of the few keys here can have, even from a store that
// searches one row at a time.
const maxPages = 1000

// list returns the whole list that options select, page by page.
func (s *subject) list(o apikey.ListOptions) []apikey.Key {
	s.t.Helper()
	return s.walk(o, func(apikey.Page) {})
}

// walk is list, and calls between after each page. It follows Next behind pages that are
// short or empty too, since a store may search within a budget.
func (s *subject) walk(o apikey.ListOptions, between func(apikey.Page)) []apikey.Key {
	s.t.Helper()
	var all []apikey.Key
	seen := make(map[string]bool)
	for range maxPages {
		page, err := s.List(s.t.Context(), o)
		if err != nil {
			s.t.Fatalf("List %+v: %v", o, err)
		}
		if limit := cmp.Or(o.Limit, 50); len(page.Keys) > limit {
			s.t.Fatalf("List %+v: a page of %d keys, over the limit of %d", o, len(page.Keys), limit)
		}
		all = append(all, page.Keys...)
		between(page)
		if page.Next == "" {
			return all
		}
		if seen[page.Next] {
			s.t.Fatalf("List %+v: the same Next twice, so the list has no end", o)
		}
		seen[page.Next] = true
		o.Cursor = page.Next
	}
	s.t.Fatalf("List %+v: more than %d pages", o, maxPages)
	return nil
}

// listed returns the key with this ID as List shows it.
func (s *subject) listed(id string) apikey.Key {
	s.t.Helper()
	for _, key := range s.list(apikey.ListOptions{}) {
		if key.ID == id {
			return key
		}
	}
	s.t.Fatalf("List does not have the key %.80q", id)
	return apikey.Key{}
}

// lists checks that options select the keys with these IDs, in this order.
func (s *subject) lists(o apikey.ListOptions, want ...string) {
	s.t.Helper()
	if got := ids(s.list(o)); !slices.Equal(got, want) {
		s.t.Errorf("List %+v: got %q, want %q", o, got, want)
	}
}

// selects is lists in any order.
func (s *subject) selects(o apikey.ListOptions, want ...string) {
	s.t.Helper()
	got := ids(s.list(o))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("List %+v: got %q, want %q in any order", o, got, want)
	}
}

func ids(keys []apikey.Key) []string {
	var all []string
	for _, key := range keys {
		all = append(all, key.ID)
	}
	return all
}
