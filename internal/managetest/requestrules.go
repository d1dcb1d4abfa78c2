package managetest

import (
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// requestRules are the rules of request IDs.
var requestRules = []rule{
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
			f.t.Errorf("Issue = %v, %v; want only ErrExists", got, err)
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
}
