package storetest

import (
	"slices"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// listRules are those of List: order and pages here, the others in files of their own.
func listRules() []rule {
	return slices.Concat(orderRules, pageRules, cursorRules, filterRules, searchRules)
}

var orderRules = []rule{
	{"an empty store has an empty last page", func(t *testing.T, s *subject) {
		for _, sort := range []string{"", apikey.SortName, apikey.SortExpires} {
			s.lists(apikey.ListOptions{Sort: sort})
		}
	}},
	{"the newest key comes first", func(t *testing.T, s *subject) {
		_, a := s.add(named("m"))
		_, b := s.add(named("z"))
		_, c := s.add(named("a"))
		s.lists(apikey.ListOptions{}, c.ID, b.ID, a.ID)
		s.lists(apikey.ListOptions{Sort: apikey.SortNewest}, c.ID, b.ID, a.ID)
	}},
	{"by name goes without case", func(t *testing.T, s *subject) {
		_, c := s.add(named("charlie"))
		_, b := s.add(named("Bravo"))
		_, a := s.add(named("alpha"))
		_, d := s.add(named("DELTA"))
		s.lists(apikey.ListOptions{Sort: apikey.SortName}, a.ID, b.ID, c.ID, d.ID)
	}},
	{"of equal names the first created comes first", func(t *testing.T, s *subject) {
		_, a := s.add(named("twin"))
		_, b := s.add(named("Twin"))
		_, c := s.add(named("TWIN"))
		s.lists(apikey.ListOptions{Sort: apikey.SortName}, a.ID, b.ID, c.ID)
	}},
	{"by expiry the soonest comes first and never last", func(t *testing.T, s *subject) {
		_, never := s.add(expiring(time.Time{}))
		_, late := s.add(expiring(future.Add(time.Microsecond)))
		_, gone := s.add(expiring(past))
		_, soon := s.add(expiring(future))
		s.lists(apikey.ListOptions{Sort: apikey.SortExpires}, gone.ID, soon.ID, late.ID, never.ID)
	}},
	{"what it hands out is a copy", func(t *testing.T, s *subject) {
		d, want := s.add()
		for _, key := range s.list(apikey.ListOptions{}) {
			scribble(key)
		}
		s.keeps(d, want)
	}},
	{"an update and a revocation show at once", func(t *testing.T, s *subject) {
		_, key := s.add()
		want := s.update(key.ID, apikey.Patch{Name: new("renamed")})
		s.check("List after Update", s.listed(key.ID), want)
		want = s.revoke(key.ID)
		s.check("List after Revoke", s.listed(key.ID), want)
	}},
}

// crowd adds keys of which several are equal in what lists are sorted by.
func (s *subject) crowd() []apikey.Key {
	s.t.Helper()
	var all []apikey.Key
	for i, name := range []string{"b", "a", "B", "c", "A", "a", "a", "b", "c"} {
		_, key := s.add(named(name), expiring([]time.Time{{}, future, past, future, {}}[i%5]))
		all = append(all, key)
	}
	return all
}

var sorts = []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires}

// pageRules are those about going from page to page.
var pageRules = []rule{
	{"a page has 50 keys unless told otherwise", func(t *testing.T, s *subject) {
		for range 51 {
			s.add()
		}
		page, err := s.List(t.Context(), apikey.ListOptions{})
		if err != nil || len(page.Keys) != 50 || page.Next == "" {
			t.Errorf("the first page of 51 keys has %d, and Next is %q, %v; want 50, and a Next", len(page.Keys), page.Next, err)
		}
		if got := len(s.list(apikey.ListOptions{})); got != 51 {
			t.Errorf("the pages have %d keys together, want 51", got)
		}
		page, err = s.List(t.Context(), apikey.ListOptions{Limit: 500})
		if err != nil || len(page.Keys) != 51 {
			t.Errorf("a page of at most 500 has %d keys, %v; want 51", len(page.Keys), err)
		}
	}},
	{"pages have every key once, whatever their size", func(t *testing.T, s *subject) {
		want := ids(s.crowd())
		for _, sort := range sorts {
			whole := ids(s.list(apikey.ListOptions{Sort: sort, Limit: 500}))
			s.selects(apikey.ListOptions{Sort: sort, Limit: 500}, want...)
			for _, limit := range []int{1, 2, 7, 9} {
				s.lists(apikey.ListOptions{Sort: sort, Limit: limit}, whole...)
			}
		}
	}},
	{"creations between pages neither repeat nor skip other keys", func(t *testing.T, s *subject) {
		s.crowd()
		s.undisturbed(func(page int, _ []string) {
			s.add(named([]string{"", "0", "b", "z"}[page]), expiring(future.Add(-time.Hour)))
		})
	}},
	{"revocations between pages neither repeat nor skip other keys", func(t *testing.T, s *subject) {
		s.crowd()
		s.undisturbed(func(page int, there []string) {
			s.revoke(there[page])
			s.revoke(there[len(there)-page])
		})
	}},
}

// undisturbed walks the list in each sort, writes after the first three pages, or the list
// might grow as it is walked, and checks that the keys which were there come once each.
func (s *subject) undisturbed(write func(page int, there []string)) {
	s.t.Helper()
	for _, sort := range sorts {
		before := ids(s.list(apikey.ListOptions{Sort: sort}))
		pages := 0
		after := s.walk(apikey.ListOptions{Sort: sort, Limit: 2}, func(apikey.Page) {
			if pages++; pages <= 3 {
				write(pages, before)
			}
		})
		got := slices.DeleteFunc(ids(after), func(id string) bool { return !slices.Contains(before, id) })
		if !slices.Equal(got, before) {
			s.t.Errorf("of the keys that were there the pages by %s have %q, want %q", sort, got, before)
		}
	}
}
