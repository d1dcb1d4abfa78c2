package managetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// administrator and alice are the sessions that most rules need.
func (f *fixture) administrator() *manage.Session { return f.as(accesses[0].access) }
func (f *fixture) alice() *manage.Session         { return f.as(accesses[2].access) }

// want checks the name of an error.
func (f *fixture) want(call string, err error, want string) {
	f.t.Helper()
	if got := nameOf(err); got != want {
		f.t.Errorf("%s: %s; want %s", call, got, want)
	}
}

// concurrently runs g n times at once.
func concurrently(n int, g func(i int)) {
	var wg sync.WaitGroup
	for i := range n {
		wg.Go(func() { g(i) })
	}
	wg.Wait()
}

var rules = []struct {
	name string
	test func(f *fixture)
}{
	{"a session lists and counts what it sees", func(f *fixture) {
		for _, test := range []struct {
			session *manage.Session
			owner   string
			want    []string
		}{
			{f.administrator(), "", []string{"beyond", "foreign", "own", "ownerless"}},
			{f.administrator(), "bob", []string{"foreign"}},
			{f.alice(), "", []string{"beyond", "own"}},
			{f.alice(), "alice", []string{"beyond", "own"}},
			{f.alice(), "bob", nil},
		} {
			o := apikey.ListOptions{Owner: test.owner}
			page, err := test.session.List(f.t.Context(), o)
			must(f.t, err)
			var names []string
			for _, key := range page.Keys {
				names = append(names, key.Name)
			}
			slices.Sort(names)
			if !slices.Equal(names, test.want) {
				f.t.Errorf("%s lists the keys %q of the owner %q; want %q", test.session.Access().Actor, names, test.owner, test.want)
			}
			count, err := test.session.Count(f.t.Context(), o)
			must(f.t, err)
			if count != (apikey.Count{Keys: len(test.want)}) {
				f.t.Errorf("%s counts %+v keys of the owner %q; want %d", test.session.Access().Actor, count, test.owner, len(test.want))
			}
		}
	}},
	{"the audit trail names the actor of each change", func(f *fixture) {
		s, ctx := f.alice(), apikey.WithActor(f.t.Context(), "somebody else")
		_, key, err := s.Issue(ctx, apikey.NewKey{Name: "new"}, "")
		must(f.t, err)
		_, err = s.Update(ctx, key.ID, "", apikey.Patch{Name: new("renamed")})
		must(f.t, err)
		_, _, err = s.Rotate(ctx, key.ID, time.Hour, "")
		must(f.t, err)
		_, err = s.Revoke(ctx, key.ID)
		must(f.t, err)
		page, err := s.History(ctx, apikey.AuditOptions{KeyID: key.ID})
		must(f.t, err)
		if len(page.Entries) != 4 {
			f.t.Errorf("the history has %d entries; want 4", len(page.Entries))
		}
		for _, e := range page.Entries {
			if e.Actor != "alice" {
				f.t.Errorf("%s by %q; want alice", e.Action, e.Actor)
			}
		}
	}},
	{"an Update of another version is ErrChanged and writes nothing", func(f *fixture) {
		s, key := f.alice(), f.keys["own"]
		version := manage.Version(key)
		changed, err := s.Update(f.t.Context(), key.ID, version, apikey.Patch{Name: new("renamed")})
		must(f.t, err)
		before := f.state()
		_, err = s.Update(f.t.Context(), key.ID, version, apikey.Patch{Name: new("again")})
		f.want("Update", err, "changed")
		if f.state() != before {
			f.t.Error("the refused Update changed something")
		}
		stored, err := s.Get(f.t.Context(), key.ID)
		must(f.t, err)
		if manage.Version(stored) != manage.Version(changed) {
			f.t.Error("Get and Update return other versions of the same key")
		}
	}},
	{"a key that rotates has one key more than MaxKeys until it ends", func(f *fixture) {
		s := f.as(accesses[4].access) // with 2 of 2 keys
		_, successor, err := s.Rotate(f.t.Context(), f.id("own"), day, "")
		must(f.t, err)
		_, _, err = s.Rotate(f.t.Context(), successor.ID, day, "")
		f.want("a second Rotate", err, keys)
		_, err = s.Update(f.t.Context(), successor.ID, "", apikey.Patch{Name: new("renamed")})
		must(f.t, err)
		_, _, err = s.Rotate(f.t.Context(), successor.ID, 0, "")
		must(f.t, err)
		if limit := 20 * day; successor.ExpiresAt.After(time.Now().Add(limit)) {
			f.t.Errorf("the successor expires at %v; want at most %v from now", successor.ExpiresAt, limit)
		}
	}},
	{"reviving a key counts for MaxKeys", func(f *fixture) {
		f.edit("own", expiry(in(-day)))
		s := f.as(accesses[4].access)
		_, _, err := s.Issue(f.t.Context(), apikey.NewKey{Name: "second"}, "")
		must(f.t, err)
		_, err = s.Update(f.t.Context(), f.id("own"), "", expiry(in(day)))
		f.want("Update", err, keys)
	}},
	{"concurrent sessions of an owner make at most MaxKeys keys", func(f *fixture) {
		a := accesses[4].access
		a.MaxKeys = 5
		errs := make([]error, 12)
		concurrently(len(errs), func(i int) { _, _, errs[i] = f.as(a).Issue(f.t.Context(), apikey.NewKey{Name: "new"}, "") })
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else {
				f.want("Issue", err, keys)
			}
		}
		if made != 3 {
			f.t.Errorf("%d keys were made; want 3, because the owner had 2 of 5", made)
		}
	}},
	{"without an expiry a key lives as long as the access permits", func(f *fixture) {
		for limit, a := range map[time.Duration]manage.Access{
			10 * day: {Actor: "alice", Owner: "alice", MaxLifetime: 20 * day}, // the Issuer's default
			5 * day:  {Actor: "alice", Owner: "alice", MaxLifetime: 5 * day},
			3 * day:  {Actor: "alice", Owner: "alice", MaxLifetime: 5 * day, NotAfter: in(3 * day)},
		} {
			_, key, err := f.as(a).Issue(f.t.Context(), apikey.NewKey{Name: "new"}, "")
			must(f.t, err)
			if lives := time.Until(key.ExpiresAt); lives > limit || lives < limit-time.Hour {
				f.t.Errorf("the key lives for %v; want %v", lives, limit)
			}
		}
	}},
	{"an access that has ended makes no keys", func(f *fixture) {
		s := f.as(manage.Access{Actor: "alice", Owner: "alice", Scopes: []string{"read"}, NotAfter: in(-time.Second)})
		_, _, err := s.Issue(f.t.Context(), apikey.NewKey{Name: "new"}, "")
		f.want("Issue", err, lifetime)
		_, _, err = s.Rotate(f.t.Context(), f.id("own"), 0, "")
		f.want("Rotate", err, lifetime)
	}},

	{"a repeated Issue returns the key without the secret", func(f *fixture) {
		a := accesses[4].access
		a.MaxKeys = 3
		k := apikey.NewKey{Name: "new", Scopes: []string{"read"}, Metadata: map[string]string{"room": "4"}, ExpiresAt: in(day)}
		secret, first, err := f.as(a).Issue(f.t.Context(), k, "request-1")
		must(f.t, err)
		if secret.Reveal() == "" || !apikey.ValidID(first.ID) || len(first.ID) < 16 {
			f.t.Errorf("the first call returned the key %q and a secret of %d characters", first.ID, len(secret.Reveal()))
		}
		before := f.state()
		secret, again, err := f.as(a).Issue(f.t.Context(), k, "request-1") // although the owner has MaxKeys keys
		must(f.t, err)
		if again.ID != first.ID || secret.Reveal() != "" {
			f.t.Errorf("the repeated call returned the key %q; want %q and no secret", again.ID, first.ID)
		}
		if f.state() != before {
			f.t.Error("the repeated call changed something")
		}
	}},
	{"a repeated Issue for another key is refused", func(f *fixture) {
		s := f.alice()
		k := apikey.NewKey{Name: "new", Scopes: []string{"read"}, Metadata: map[string]string{"room": "4"}, ExpiresAt: in(day)}
		_, key, err := s.Issue(f.t.Context(), k, "request-1")
		must(f.t, err)
		for name, change := range map[string]func(*apikey.NewKey){
			"name":     func(k *apikey.NewKey) { k.Name = "other" },
			"scopes":   func(k *apikey.NewKey) { k.Scopes = nil },
			"networks": func(k *apikey.NewKey) { k.Networks = *networksOf("192.0.2.0/24").Networks },
			"limits":   func(k *apikey.NewKey) { k.Limits = []apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}} },
			"metadata": func(k *apikey.NewKey) { k.Metadata = nil },
			"expiry":   func(k *apikey.NewKey) { k.ExpiresAt = k.ExpiresAt.Add(time.Hour) },
		} {
			other := k
			change(&other)
			if _, _, err := s.Issue(f.t.Context(), other, "request-1"); !errors.Is(err, apikey.ErrExists) {
				f.t.Errorf("another %s: %v; want ErrExists", name, err)
			}
		}
		_, err = s.Update(f.t.Context(), key.ID, "", apikey.Patch{Name: new("edited")})
		must(f.t, err)
		if _, _, err = s.Issue(f.t.Context(), k, "request-1"); !errors.Is(err, apikey.ErrExists) {
			f.t.Errorf("a key that was edited since: %v; want ErrExists", err)
		}
	}},
	{"a request ID belongs to one caller and one operation", func(f *fixture) {
		ids := map[string]bool{}
		add := func(key apikey.Key, err error) {
			f.t.Helper()
			must(f.t, err)
			if ids[key.ID] {
				f.t.Errorf("two requests made the key %s", key.ID)
			}
			ids[key.ID] = true
		}
		k := apikey.NewKey{Name: "new"}
		for _, a := range []manage.Access{{Actor: "x", Owner: "alice"}, {Actor: "y", Owner: "alice"}, {Actor: "x", Owner: "bob"}, {Actor: "x", AllOwners: true, AnyScope: true}} {
			for _, request := range []string{"1", "2"} {
				_, key, err := f.as(a).Issue(f.t.Context(), k, request)
				add(key, err)
			}
		}
		s := f.administrator()
		for _, name := range []string{"own", "beyond"} {
			_, key, err := s.Rotate(f.t.Context(), f.id(name), day, "1")
			add(key, err)
		}
	}},
	{"a repeated Issue of a key that the caller no longer sees is refused", func(f *fixture) {
		_, key, err := f.alice().Issue(f.t.Context(), apikey.NewKey{Name: "new"}, "request-1")
		must(f.t, err)
		_, err = f.administrator().Update(f.t.Context(), key.ID, "", apikey.Patch{Owner: new("bob")})
		must(f.t, err)
		_, got, err := f.alice().Issue(f.t.Context(), apikey.NewKey{Name: "new"}, "request-1")
		if !errors.Is(err, apikey.ErrExists) || got.ID != "" || strings.Contains(err.Error(), "bob") {
			f.t.Errorf("Issue = %v, %v; want ErrExists alone", got, err)
		}
	}},
	{"a repeated Rotate returns the successor without the secret", func(f *fixture) {
		s, ctx := f.alice(), f.t.Context()
		for name, test := range map[string]struct {
			grace time.Duration
			then  func(successor string)
		}{
			"with grace":                              {day, func(string) {}},
			"without grace":                           {0, func(string) {}},
			"with a successor that was revoked":       {day, func(id string) { _, err := s.Revoke(ctx, id); must(f.t, err) }},
			"with a successor that was rotated":       {day, func(id string) { _, _, err := s.Rotate(ctx, id, 0, ""); must(f.t, err) }},
			"without grace, and a revoked successor":  {0, func(id string) { _, err := s.Revoke(ctx, id); must(f.t, err) }},
			"with an old key that was revoked since":  {day, func(string) {}},
			"with an old key that was suspended then": {day, func(string) {}},
		} {
			_, key, err := s.Issue(ctx, apikey.NewKey{Name: name}, "")
			must(f.t, err)
			secret, first, err := s.Rotate(ctx, key.ID, test.grace, "request-1")
			must(f.t, err)
			if secret.Reveal() == "" {
				f.t.Errorf("%s: the first call returned no secret", name)
			}
			test.then(first.ID)
			if strings.Contains(name, "revoked since") {
				_, err = s.Revoke(ctx, key.ID)
				must(f.t, err)
			}
			if strings.Contains(name, "suspended then") {
				_, err = s.Suspend(ctx, key.ID)
				must(f.t, err)
			}
			secret, again, err := s.Rotate(ctx, key.ID, test.grace, "request-1")
			must(f.t, err)
			if again.ID != first.ID || secret.Reveal() != "" {
				f.t.Errorf("%s: the repeated call returned the key %q; want %q and no secret", name, again.ID, first.ID)
			}
			if _, _, err := s.Rotate(ctx, key.ID, test.grace, "request-2"); err == nil && !strings.Contains(name, "successor that was revoked") {
				f.t.Errorf("%s: another request made another successor", name)
			}
		}
	}},
	{"concurrent calls with one request ID make one key", func(f *fixture) {
		s := f.alice()
		for name, call := range map[string]func() (apikey.Secret, apikey.Key, error){
			"Issue": func() (apikey.Secret, apikey.Key, error) {
				return s.Issue(f.t.Context(), apikey.NewKey{Name: "new"}, "r")
			},
			"Rotate": func() (apikey.Secret, apikey.Key, error) { return s.Rotate(f.t.Context(), f.id("own"), day, "r") },
		} {
			ids, secrets := make([]string, 8), make([]string, 8)
			concurrently(len(ids), func(i int) {
				secret, key, err := call()
				if err != nil {
					f.t.Errorf("%s: %v", name, err)
				}
				ids[i], secrets[i] = key.ID, secret.Reveal()
			})
			if len(slices.Compact(ids)) != 1 {
				f.t.Errorf("%s made the keys %q; want one", name, ids)
			}
			if n := len(slices.DeleteFunc(secrets, func(s string) bool { return s == "" })); n != 1 {
				f.t.Errorf("%s returned %d secrets; want one", name, n)
			}
		}
	}},

	{"an owner sees the history since the key came to them", func(f *fixture) {
		ctx, id := f.t.Context(), f.id("foreign")
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
		ctx, id := f.t.Context(), f.id("foreign")
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
		list := []apikey.Key{f.keys["own"], f.keys["beyond"], f.keys["foreign"]}
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
