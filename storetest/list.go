package storetest

import (
	"cmp"
	"errors"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// listRules are all rules of List. search.go has the rules of Owner, Status and Search.
func listRules() []rule {
	return slices.Concat(orderRules, pageRules, cursorRules, filterRules, searchRules, crowdedRules)
}

var orderRules = []rule{
	{"returns an empty last page for an empty store", func(t *testing.T, s *store) {
		for _, sort := range []apikey.Sort{"", apikey.SortName, apikey.SortExpires} {
			s.wantList(apikey.ListOptions{Sort: sort})
		}
	}},
	{"sorts the newest key first", func(t *testing.T, s *store) {
		_, a := s.add(named("m"))
		_, b := s.add(named("z"))
		_, c := s.add(named("a"))
		s.wantList(apikey.ListOptions{}, c.ID, b.ID, a.ID)
		s.wantList(apikey.ListOptions{Sort: apikey.SortNewest}, c.ID, b.ID, a.ID)
	}},
	{"sorts names without regard to case", func(t *testing.T, s *store) {
		_, c := s.add(named("charlie"))
		_, b := s.add(named("Bravo"))
		_, a := s.add(named("alpha"))
		_, d := s.add(named("DELTA"))
		s.wantList(apikey.ListOptions{Sort: apikey.SortName}, a.ID, b.ID, c.ID, d.ID)
	}},
	{"sorts equal names by age, the oldest first", func(t *testing.T, s *store) {
		_, a := s.add(named("twin"))
		_, b := s.add(named("Twin"))
		_, c := s.add(named("TWIN"))
		s.wantList(apikey.ListOptions{Sort: apikey.SortName}, a.ID, b.ID, c.ID)
	}},
	{"sorts by expiry, keys that never expire last", func(t *testing.T, s *store) {
		_, never := s.add(expiring(time.Time{}))
		_, late := s.add(expiring(future.Add(time.Microsecond)))
		_, gone := s.add(expiring(past))
		_, early := s.add(expiring(future))
		s.wantList(apikey.ListOptions{Sort: apikey.SortExpires}, gone.ID, early.ID, late.ID, never.ID)
	}},
	{"returns copies", func(t *testing.T, s *store) {
		d, want := s.add()
		for _, key := range s.list(apikey.ListOptions{}) {
			overwrite(key)
		}
		s.wantStored(d, want)
	}},
	{"shows an update and a revocation at once", func(t *testing.T, s *store) {
		_, key := s.add()
		want := s.update(key.ID, apikey.Patch{Name: new("renamed")})
		s.wantKey("List() after Update", s.listed(key.ID), want)
		want = s.revoke(key.ID)
		s.wantKey("List() after Revoke", s.listed(key.ID), want)
	}},
}

// addMixed adds nine keys. Some share a name and some share an expiry.
func (s *store) addMixed() []apikey.Key {
	s.t.Helper()
	var all []apikey.Key
	for i, name := range []string{"b", "a", "B", "c", "A", "a", "a", "b", "c"} {
		_, key := s.add(named(name), expiring([]time.Time{{}, future, past, future, {}}[i%5]))
		all = append(all, key)
	}
	return all
}

var sorts = []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires}

// pageRules are the rules of Limit and Next.
var pageRules = []rule{
	{"a page has 50 keys by default", func(t *testing.T, s *store) {
		for range 51 {
			s.add()
		}
		page, err := s.List(t.Context(), apikey.ListOptions{})
		if err != nil || len(page.Keys) != 50 || page.Next == "" {
			t.Errorf("List() of 51 keys = %d keys, Next %q, %v; want 50 keys and a Next", len(page.Keys), page.Next, err)
		}
		if got := len(s.list(apikey.ListOptions{})); got != 51 {
			t.Errorf("all pages of List() = %d keys; want 51", got)
		}
		page, err = s.List(t.Context(), apikey.ListOptions{Limit: 500})
		if err != nil || len(page.Keys) != 51 {
			t.Errorf("List(Limit: 500) of 51 keys = %d keys, %v; want 51", len(page.Keys), err)
		}
	}},
	{"pages of any size list every key once", func(t *testing.T, s *store) {
		want := ids(s.addMixed())
		for _, sort := range sorts {
			whole := ids(s.list(apikey.ListOptions{Sort: sort, Limit: 500}))
			s.wantSelected(apikey.ListOptions{Sort: sort, Limit: 500}, want...)
			for _, limit := range []int{1, 2, 7, 9} {
				s.wantList(apikey.ListOptions{Sort: sort, Limit: limit}, whole...)
			}
		}
	}},
	{"creations between pages neither repeat nor skip other keys", func(t *testing.T, s *store) {
		s.addMixed()
		s.walkWithWrites(func(page int, _ []string) {
			s.add(named([]string{"", "0", "b", "z"}[page]), expiring(future.Add(-time.Hour)))
		})
	}},
	{"revocations between pages neither repeat nor skip other keys", func(t *testing.T, s *store) {
		s.addMixed()
		s.walkWithWrites(func(page int, existing []string) {
			s.revoke(existing[page])
			s.revoke(existing[len(existing)-page])
		})
	}},
}

// walkWithWrites walks the list in each sort and writes after each of the first three pages. It checks
// that every key that existed before is listed once. It stops writing so that the list ends.
func (s *store) walkWithWrites(write func(page int, existing []string)) {
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
			s.t.Errorf("List(Sort: %s) with writes between pages = %q of the keys that existed before; want %q", sort, got, before)
		}
	}
}

var cursorRules = []rule{
	{"returns ErrInvalid for options out of range", func(t *testing.T, s *store) {
		s.add()
		for _, o := range []apikey.ListOptions{
			{Status: "alive"}, {Status: "ACTIVE"}, {Status: "active "}, {Status: "'"},
			{Sort: "oldest"}, {Sort: "Name"}, {Sort: "name desc"}, {Sort: "id; --"}, {Sort: "\x00"},
			{Limit: -1}, {Limit: 501}, {Limit: math.MaxInt32},
			{Search: strings.Repeat("x", 201)},
		} {
			_, err := s.List(t.Context(), o)
			s.wantError("List("+describe(o)+")", err, apikey.ErrInvalid)
		}
	}},
	{"returns ErrInvalid for a Cursor that does not decode", func(t *testing.T, s *store) {
		s.addMixed()
		for _, cursor := range []string{
			" ", "!", "====", "not a cursor", "%00", "\x00", "\xff", "é", "' OR 1=1 --", "AAAA", "-_-_", "{}", "null",
			strings.Repeat("A", 1<<16),
		} {
			for _, sort := range sorts {
				o := apikey.ListOptions{Sort: sort, Cursor: cursor}
				_, err := s.List(t.Context(), o)
				s.wantError("List("+describe(o)+")", err, apikey.ErrInvalid)
			}
		}
	}},
	{"returns ErrInvalid for a Cursor of another query", func(t *testing.T, s *store) {
		s.addMixed()
		o := apikey.ListOptions{Owner: "ada", Search: "a", Status: apikey.StatusActive, Sort: apikey.SortName, Limit: 1}
		page, err := s.List(t.Context(), o)
		if err != nil || page.Next == "" {
			t.Fatalf("List(%s) = Next %q, %v; want a Next", describe(o), page.Next, err)
		}
		o.Cursor = page.Next
		if _, err := s.List(t.Context(), o); err != nil {
			t.Errorf("List(%s) with the Cursor of its own query = %v; want nil", describe(o), err)
		}
		for _, edit := range []func(*apikey.ListOptions){
			func(o *apikey.ListOptions) { o.Owner = "" },
			func(o *apikey.ListOptions) { o.Owner = "eve" },
			func(o *apikey.ListOptions) { o.Search = "" },
			func(o *apikey.ListOptions) { o.Search = "aa" },
			func(o *apikey.ListOptions) { o.Status = "" },
			func(o *apikey.ListOptions) { o.Status = apikey.StatusExpired },
			func(o *apikey.ListOptions) { o.Sort = "" },
			func(o *apikey.ListOptions) { o.Sort = apikey.SortExpires },
			func(o *apikey.ListOptions) { o.Owner, o.Search = "adaa", "" },
		} {
			other := o
			edit(&other)
			_, err := s.List(t.Context(), other)
			s.wantError("List("+describe(other)+") with the Cursor of another query", err, apikey.ErrInvalid)
		}
	}},
	{"a Cursor is valid with another Limit and with the default Sort named", func(t *testing.T, s *store) {
		s.addMixed()
		for _, o := range []apikey.ListOptions{{}, {Sort: apikey.SortName}, {Sort: apikey.SortExpires}} {
			whole := ids(s.list(o))
			o.Limit = 2
			page, err := s.List(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			o.Sort, o.Limit, o.Cursor = cmp.Or(o.Sort, apikey.SortNewest), 3, page.Next
			s.wantList(o, whole[2:]...)
		}
	}},
	{"a truncated Cursor never returns another page", func(t *testing.T, s *store) {
		for _, name := range []string{"long name, the first", "long name, the second", "long name, the third", "long name, the fourth"} {
			s.add(named(name))
		}
		for _, sort := range sorts {
			o := apikey.ListOptions{Sort: sort, Limit: 1}
			first, err := s.List(t.Context(), o)
			if err != nil || first.Next == "" {
				t.Fatalf("List(%s) = Next %q, %v; want a Next", describe(o), first.Next, err)
			}
			o.Cursor = first.Next
			second := s.list(o)
			for n := 1; n < len(first.Next); n++ {
				o.Cursor = first.Next[:n]
				page, err := s.List(t.Context(), o)
				if err == nil && len(page.Keys) > 0 && page.Keys[0].ID != second[0].ID {
					t.Errorf("List(Sort: %s) with %d of the %d characters of a Cursor = %q; want ErrInvalid", sort, n, len(first.Next), ids(page.Keys))
				} else if err != nil && !errors.Is(err, apikey.ErrInvalid) {
					t.Errorf("List(Sort: %s) with a truncated Cursor = %v; want ErrInvalid", sort, err)
				}
			}
		}
	}},
	{"revoking every listed key between pages skips no key", func(t *testing.T, s *store) {
		want := ids(s.addMixed())
		for _, id := range want {
			s.update(id, apikey.Patch{ExpiresAt: &future})
		}
		got := ids(s.walk(apikey.ListOptions{Status: apikey.StatusActive, Limit: 2}, func(page apikey.Page) {
			for _, key := range page.Keys {
				s.revoke(key.ID)
			}
		}))
		slices.Sort(got)
		slices.Sort(want)
		if !slices.Equal(got, want) {
			t.Errorf("List(Status: active) with revocations between pages = %q; want %q", got, want)
		}
	}},
}
