package managetest

import (
	"slices"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// accessRules are the rules of an Access that need more than one operation.
var accessRules = []rule{
	{"a session lists and counts the keys that it may see", func(f *fixture) {
		for _, test := range []struct {
			session *manage.Session
			owner   string
			want    []string
		}{
			{f.administrator(), "", []string{"beyond", "bob's", "own", "ownerless"}},
			{f.administrator(), "bob", []string{"bob's"}},
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
		s, ctx := f.alice(), apikey.WithActor(f.t.Context(), "another actor")
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
	{"a rotation may exceed MaxKeys by one key until the old key ends", func(f *fixture) {
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
	{"a key without an expiry gets the lifetime that the access permits", func(f *fixture) {
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
}
