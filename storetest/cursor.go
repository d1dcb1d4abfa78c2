package storetest

import (
	"cmp"
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/latchkey-dev/apikey"
)

var cursorRules = []rule{
	{"a Status, Sort, Limit or Search out of range is ErrInvalid", func(t *testing.T, s *subject) {
		s.add()
		for _, o := range []apikey.ListOptions{
			{Status: "alive"}, {Status: "ACTIVE"}, {Status: "active "}, {Status: "'"},
			{Sort: "oldest"}, {Sort: "Name"}, {Sort: "name desc"}, {Sort: "id; --"}, {Sort: "\x00"},
			{Limit: -1}, {Limit: 501}, {Limit: 1 << 40},
			{Search: strings.Repeat("x", 201)},
		} {
			_, err := s.List(t.Context(), o)
			s.refused("List with "+describe(o), err, apikey.ErrInvalid)
		}
	}},
	{"a Cursor that does not decode is ErrInvalid", func(t *testing.T, s *subject) {
		s.crowd()
		for _, cursor := range []string{
			" ", "!", "====", "not a cursor", "%00", "\x00", "\xff", "é", "' OR 1=1 --", "AAAA", "-_-_", "{}", "null",
			strings.Repeat("A", 1<<16),
		} {
			for _, sort := range sorts {
				o := apikey.ListOptions{Sort: sort, Cursor: cursor}
				_, err := s.List(t.Context(), o)
				s.refused("List with "+describe(o), err, apikey.ErrInvalid)
			}
		}
	}},
	{"a Cursor of another query is ErrInvalid", func(t *testing.T, s *subject) {
		s.crowd()
		o := apikey.ListOptions{Owner: "ada", Search: "a", Status: apikey.StatusActive, Sort: apikey.SortName, Limit: 1}
		page, err := s.List(t.Context(), o)
		if err != nil || page.Next == "" {
			t.Fatalf("the first of several pages: Next is %q, %v", page.Next, err)
		}
		o.Cursor = page.Next
		if _, err := s.List(t.Context(), o); err != nil {
			t.Errorf("List with the Cursor of its own query: %v", err)
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
			s.refused("List with a Cursor of another query, "+describe(other), err, apikey.ErrInvalid)
		}
	}},
	{"a Cursor goes on under another Limit, and under the default sort by its name", func(t *testing.T, s *subject) {
		s.crowd()
		for _, o := range []apikey.ListOptions{{}, {Sort: apikey.SortName}, {Sort: apikey.SortExpires}} {
			whole := ids(s.list(o))
			o.Limit = 2
			page, err := s.List(t.Context(), o)
			if err != nil {
				t.Fatal(err)
			}
			o.Sort, o.Limit, o.Cursor = cmp.Or(o.Sort, apikey.SortNewest), 3, page.Next
			s.lists(o, whole[2:]...)
		}
	}},
	{"a Cursor that was cut short is ErrInvalid and no other page", func(t *testing.T, s *subject) {
		for _, name := range []string{"long name, the first", "long name, the second", "long name, the third", "long name, the fourth"} {
			s.add(named(name))
		}
		for _, sort := range sorts {
			o := apikey.ListOptions{Sort: sort, Limit: 1}
			first, err := s.List(t.Context(), o)
			if err != nil || first.Next == "" {
				t.Fatalf("the first of several pages: Next is %q, %v", first.Next, err)
			}
			o.Cursor = first.Next
			right := s.list(o)
			for n := 1; n < len(first.Next); n++ {
				o.Cursor = first.Next[:n]
				page, err := s.List(t.Context(), o)
				if err == nil && len(page.Keys) > 0 && page.Keys[0].ID != right[0].ID {
					t.Errorf("List by %s with %d of the %d characters of a Cursor: got %q, want ErrInvalid", sort, n, len(first.Next), ids(page.Keys))
				} else if err != nil && !errors.Is(err, apikey.ErrInvalid) {
					t.Errorf("List by %s with a Cursor cut short: %v, want ErrInvalid", sort, err)
				}
			}
		}
	}},
	{"walking the active keys and revoking each skips none", func(t *testing.T, s *subject) {
		want := ids(s.crowd())
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
			t.Errorf("the pages had %q, want %q", got, want)
		}
	}},
}

// describe shows options in a few words.
func describe(o apikey.ListOptions) string {
	var b strings.Builder
	for _, f := range []struct{ name, value string }{{"Owner", o.Owner}, {"Search", o.Search}, {"Status", o.Status}, {"Sort", o.Sort}, {"Cursor", o.Cursor}} {
		if f.value != "" {
			b.WriteString(f.name + " " + short(f.value) + " ")
		}
	}
	if o.Limit != 0 {
		b.WriteString("Limit " + short(o.Limit))
	}
	return strings.TrimSpace(b.String())
}
