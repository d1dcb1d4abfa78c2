package managetest

import (
	"fmt"
	"slices"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// historyRules are the rules about the entries and keys that a session sees.
var historyRules = []rule{
	{"an owner sees the history since they became the owner", func(f *fixture) {
		ctx, id := f.t.Context(), f.id("bob's")
		rename := func(s *manage.Session, name string) {
			_, err := s.Update(ctx, id, "", apikey.Patch{Name: &name})
			must(f.t, err)
		}
		bob := f.as(manage.Access{Actor: "bob", Owner: "bob"})
		rename(bob, "secret project")
		_, err := f.administrator().Update(ctx, id, "", apikey.Patch{Owner: new("alice"), Name: new("moved")})
		must(f.t, err)
		for i := range 3 {
			rename(f.alice(), fmt.Sprint("renamed ", i))
		}
		for limit := 1; limit <= 5; limit++ {
			var text []string
			for cursor, pages := "", 0; pages == 0 || cursor != "" && pages < 10; pages++ {
				page, err := f.alice().History(ctx, apikey.AuditOptions{KeyID: id, Limit: limit, Cursor: cursor})
				must(f.t, err)
				for _, e := range page.Entries {
					text = append(text, fmt.Sprint(e.Actor, e.Changes))
				}
				cursor = page.Next
			}
			want := []string{"alice[{name renamed 1 renamed 2}]", "alice[{name renamed 0 renamed 1}]", "alice[{name moved renamed 0}]", "ann[{name  moved} {owner  alice}]"}
			if !slices.Equal(text, want) {
				f.t.Errorf("pages of %d: %q; want %q", limit, text, want)
			}
		}
		_, err = bob.History(ctx, apikey.AuditOptions{KeyID: id})
		f.want("History of the earlier owner", err, notFound)
	}},
	{"a cursor of another history shows nothing to an owner", func(f *fixture) {
		ctx, id := f.t.Context(), f.id("bob's")
		_, err := f.administrator().Update(ctx, id, "", apikey.Patch{Owner: new("alice")})
		must(f.t, err)
		page, err := f.administrator().History(ctx, apikey.AuditOptions{KeyID: id, Limit: 1})
		must(f.t, err)
		if page.Next == "" {
			f.t.Fatal("the administrator's history has one page; want two")
		}
		got, err := f.alice().History(ctx, apikey.AuditOptions{KeyID: id, Limit: 1, Cursor: page.Next})
		f.want("History", err, invalid)
		if len(got.Entries) > 0 {
			f.t.Errorf("History = %v; want no entries", got.Entries)
		}
	}},
	{"a session sees the successors that it may see", func(f *fixture) {
		ctx := f.t.Context()
		_, mine, err := f.alice().Rotate(ctx, f.id("own"), day, "")
		must(f.t, err)
		_, moved, err := f.administrator().Rotate(ctx, f.id("beyond"), day, "")
		must(f.t, err)
		_, err = f.administrator().Update(ctx, moved.ID, "", apikey.Patch{Owner: new("bob")})
		must(f.t, err)
		list := []apikey.Key{f.keys["own"], f.keys["beyond"], f.keys["bob's"]}
		for s, want := range map[*manage.Session]map[string]string{
			f.alice():         {f.id("own"): mine.ID},
			f.administrator(): {f.id("own"): mine.ID, f.id("beyond"): moved.ID},
		} {
			got, err := s.Successors(ctx, list)
			must(f.t, err)
			if fmt.Sprint(got) != fmt.Sprint(want) {
				f.t.Errorf("Successors of %s = %v; want %v", s.Access().Actor, got, want)
			}
		}
	}},
	{"a session keeps its access", func(f *fixture) {
		a := accesses[2].access
		a.Scopes = []string{"read"}
		s := f.as(a)
		a.Scopes[0] = "admin"
		s.Access().Scopes[0] = "admin"
		_, _, err := s.Issue(f.t.Context(), apikey.NewKey{Name: "new", Scopes: []string{"admin"}}, "")
		f.want("Issue", err, scopes)
	}},
}
