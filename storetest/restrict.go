package storetest

import (
	"context"
	"fmt"
	"net/netip"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// suspend suspends a key or resumes it.
func (s *store) suspend(id string, suspended bool) apikey.Key {
	s.t.Helper()
	return s.update(id, apikey.Patch{Suspended: &suspended})
}

var suspendRules = []rule{
	{"a suspended key is refused until it is resumed", func(t *testing.T, s *store) {
		d, key := s.add()
		for _, suspended := range []bool{true, false, true, false} {
			s.suspend(key.ID, suspended)
			var want error
			if suspended {
				want = apikey.ErrSuspended
			}
			if err := s.lookup(d).Check(time.Now()); err != want {
				t.Errorf("suspended %v: the key that Lookup returns is %v, want %v", suspended, err, want)
			}
		}
	}},
	{"suspending sets SuspendedAt to the current time, and resuming clears it", func(t *testing.T, s *store) {
		d, key := s.add()
		before := time.Now()
		got := s.suspend(key.ID, true)
		if at := got.SuspendedAt; at.Before(before.Add(-maxClockSkew)) || at.After(time.Now().Add(maxClockSkew)) {
			t.Errorf("SuspendedAt is %v, want a time about %v", at, before)
		}
		want := key.Clone()
		want.SuspendedAt = got.SuspendedAt
		s.wantStored(d, want)
		s.wantKey("Update", s.suspend(key.ID, false), key)
		s.wantStored(d, key)
	}},
	{"suspending twice keeps the first time", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) { key.SuspendedAt = past })
		s.wantKey("Update", s.suspend(key.ID, true), key)
		s.wantStored(d, key)
	}},
	{"another Patch keeps a key suspended", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) { key.SuspendedAt = past })
		key.Name = "renamed"
		s.update(key.ID, apikey.Patch{Name: &key.Name})
		s.wantStored(d, key)
	}},
	{"a revoked key stays revoked when it is suspended and resumed", func(t *testing.T, s *store) {
		d, key := s.add()
		revoked := s.revoke(key.ID)
		for _, suspended := range []bool{true, false} {
			s.suspend(key.ID, suspended)
			if err := s.lookup(d).Check(time.Now()); err != apikey.ErrRevoked {
				t.Errorf("suspended %v: the key is %v, want ErrRevoked", suspended, err)
			}
		}
		s.wantStored(d, revoked)
	}},
	{"a suspended key cannot be replaced", func(t *testing.T, s *store) {
		old, key := s.add(func(key *apikey.Key) { key.SuspendedAt = past })
		d, successor := s.next()
		_, err := s.Replace(t.Context(), key.ID, graceEnd, d, successor)
		s.wantError("Replace of a suspended key", err, apikey.ErrSuspended)
		s.wantStored(old, key)
		s.wantAbsent(d, successor.ID)
	}},
	{"lists a suspended key as suspended, even if it has expired", func(t *testing.T, s *store) {
		_, active := s.add()
		_, suspended := s.add()
		s.suspend(suspended.ID, true)
		_, gone := s.add(expiring(past), func(key *apikey.Key) { key.SuspendedAt = past })
		_, ended := s.add(func(key *apikey.Key) { key.SuspendedAt = past })
		s.revoke(ended.ID)
		for _, owner := range []string{"", active.Owner} {
			s.wantSelected(apikey.ListOptions{Owner: owner, Status: apikey.StatusActive}, active.ID)
			s.wantSelected(apikey.ListOptions{Owner: owner, Status: apikey.StatusSuspended}, suspended.ID, gone.ID)
			s.wantSelected(apikey.ListOptions{Owner: owner, Status: apikey.StatusExpired})
			s.wantSelected(apikey.ListOptions{Owner: owner, Status: apikey.StatusRevoked}, ended.ID)
		}
		s.suspend(gone.ID, false)
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusExpired}, gone.ID)
	}},
	{"the ChangeFeed lists the digest in both directions", func(t *testing.T, s *store) {
		feed := s.feed()
		d, key := s.add()
		for _, suspended := range []bool{true, false} {
			head, err := feed.Changes(t.Context(), apikey.Version{})
			if err != nil {
				t.Fatal(err)
			}
			s.suspend(key.ID, suspended)
			c, err := feed.Changes(t.Context(), head.Head)
			if err != nil || !c.Reset && !slices.Contains(c.Digests, d) {
				t.Errorf("suspended %v: Changes names %d digests without that of the key, error %v", suspended, len(c.Digests), err)
			}
		}
	}},
}

var networkRules = []rule{
	{"returns networks in their order, and 4-in-6 networks as IPv4 networks", func(t *testing.T, s *store) {
		d, key := s.next()
		key.Networks = []netip.Prefix{
			netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::ffff:198.51.100.0/120"),
		}
		s.create(d, key)
		key.Networks[2] = netip.MustParsePrefix("198.51.100.0/24")
		s.wantStored(d, key)
	}},
	{"accepts 100 networks with the longest text", func(t *testing.T, s *store) {
		d, key := s.next()
		for i := range 100 {
			key.Networks = append(key.Networks, netip.MustParsePrefix(fmt.Sprintf("2001:db8:1111:2222:3333:4444:5555:%x/128", 0xf000+i)))
		}
		s.create(d, key)
		s.wantStored(d, key)
	}},
	{"an empty Patch.Networks permits every network", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) { key.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
		key.Networks = nil
		s.update(key.ID, apikey.Patch{Networks: &[]netip.Prefix{}})
		s.wantStored(d, key)
	}},
	{"the successor of a key has its networks", func(t *testing.T, s *store) {
		_, key := s.add(func(key *apikey.Key) { key.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
		if _, successor := s.replace(key.ID, graceEnd); !slices.Equal(successor.Networks, key.Networks) {
			t.Errorf("the successor has the networks %v, want %v", successor.Networks, key.Networks)
		}
	}},
}

var revokeAllRules = []rule{
	{"revokes every key of the owner and no other key", func(t *testing.T, s *store) {
		mine := func(key *apikey.Key) { key.Owner = "grace" }
		d1, active := s.add(mine)
		d2, expired := s.add(mine, expiring(past))
		d3, suspended := s.add(mine, func(key *apikey.Key) { key.SuspendedAt = past })
		d4, first := s.add(mine, func(key *apikey.Key) { key.RevokedAt = past })
		others := map[apikey.Digest]apikey.Key{}
		for _, owner := range []string{"", "Grace", "grace ", "grac", "ada"} {
			d, key := s.add(func(key *apikey.Key) { key.Owner = owner })
			others[d] = key
		}
		before := time.Now()
		if n, err := s.RevokeAll(t.Context(), "grace"); n != 3 || err != nil {
			t.Fatalf("RevokeAll = %d, %v; want 3", n, err)
		}
		for d, key := range map[apikey.Digest]apikey.Key{d1: active, d2: expired, d3: suspended} {
			got := s.get(key.ID)
			s.wantRevokedBetween(got, before, time.Now())
			key.RevokedAt = got.RevokedAt
			s.wantStored(d, key)
		}
		s.wantStored(d4, first)
		for d, key := range others {
			s.wantStored(d, key)
		}
		s.wantSelected(apikey.ListOptions{Owner: "grace", Status: apikey.StatusRevoked}, active.ID, expired.ID, suspended.ID, first.ID)
	}},
	{"revokes no key in a second call", func(t *testing.T, s *store) {
		_, key := s.add()
		for _, want := range []int{1, 0} {
			if n, err := s.RevokeAll(t.Context(), key.Owner); n != want || err != nil {
				t.Fatalf("RevokeAll = %d, %v; want %d", n, err, want)
			}
		}
		if n, err := s.RevokeAll(t.Context(), "unknown"); n != 0 || err != nil {
			t.Errorf("RevokeAll of an owner without keys = %d, %v; want 0", n, err)
		}
	}},
	{"returns ErrInvalid for an owner that no key can have", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) { key.Owner = "" })
		for _, owner := range []string{"", "a\x00b", "\xff", huge()} {
			n, err := s.RevokeAll(t.Context(), owner)
			s.wantError("RevokeAll of the owner "+short(owner), err, apikey.ErrInvalid)
			if n != 0 {
				t.Errorf("RevokeAll of the owner %s = %d, want 0", short(owner), n)
			}
		}
		s.wantStored(d, key)
	}},
	{"revokes more keys than a page has", func(t *testing.T, s *store) {
		const n = 120
		var digests []apikey.Digest
		for range n {
			d, _ := s.add()
			digests = append(digests, d)
		}
		if got, err := s.RevokeAll(t.Context(), sample(1).Owner); got != n || err != nil {
			t.Fatalf("RevokeAll = %d, %v; want %d", got, err, n)
		}
		for i, d := range digests {
			if err := s.lookup(d).Check(time.Now()); err != apikey.ErrRevoked {
				t.Fatalf("key %d of %d is %v, want ErrRevoked", i+1, n, err)
			}
		}
		if auditor, ok := apikey.StoreAs[apikey.Auditor](s.KeyManager); ok {
			page, err := auditor.Audit(t.Context(), apikey.AuditOptions{Limit: 500})
			if err != nil || len(page.Entries) == 0 || !slices.Contains(page.Entries[0].Changes, apikey.FieldChange{Field: "count", New: "120"}) {
				t.Errorf("the newest entry is %+v, error %v; want the count of all keys", page.Entries[:min(1, len(page.Entries))], err)
			}
			for _, e := range page.Entries[1:] {
				if e.Action == "revoke_all" {
					t.Errorf("the call has two entries of its own")
				}
			}
		}
	}},
	{"writes an entry for each key and one with the count", func(t *testing.T, s *store) {
		auditor := s.auditor()
		_, one := s.add()
		_, two := s.add()
		if _, err := s.RevokeAll(apikey.WithActor(t.Context(), "ann"), one.Owner); err != nil {
			t.Fatal(err)
		}
		got := s.trail(auditor, "", 0)
		if all := actions(got); len(all) < 3 || all[0] != "ann revoke_all " || !slices.Contains(all, "ann revoke "+one.ID) || !slices.Contains(all, "ann revoke "+two.ID) {
			t.Fatalf("the trail is %q", all)
		}
		want := []apikey.FieldChange{{Field: "owner", New: one.Owner}, {Field: "count", New: "2"}}
		if !slices.Equal(got[0].Changes, want) {
			t.Errorf("the entry of the call has the changes %v, want %v", got[0].Changes, want)
		}
		for _, id := range []string{one.ID, two.ID} {
			e := s.trail(auditor, id, 0)[0]
			want := []apikey.FieldChange{{Field: "revoked", New: s.get(id).RevokedAt.Format(time.RFC3339Nano)}}
			if e.Action != "revoke" || !slices.Equal(e.Changes, want) {
				t.Errorf("the entry of %s is %s %v, want revoke %v", id, e.Action, e.Changes, want)
			}
		}
	}},
	{"Lookup, the ChangeFeed and subscribers see it at once", func(t *testing.T, s *store) {
		feed := s.feed()
		var digests []apikey.Digest
		for range 3 {
			d, _ := s.add()
			digests = append(digests, d)
		}
		head, err := feed.Changes(t.Context(), apikey.Version{})
		if err != nil {
			t.Fatal(err)
		}
		var told []apikey.Digest
		defer feed.Subscribe(func(d apikey.Digest, _ apikey.Version) { told = append(told, d) })()
		if _, err := s.RevokeAll(t.Context(), sample(1).Owner); err != nil {
			t.Fatal(err)
		}
		c, err := feed.Changes(t.Context(), head.Head)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range digests {
			if err := s.lookup(d).Check(time.Now()); err != apikey.ErrRevoked {
				t.Errorf("Lookup: the key is %v, want ErrRevoked", err)
			}
			if !c.Reset && !slices.Contains(c.Digests, d) {
				t.Error("Changes does not name a digest that was revoked")
			}
			if !slices.Contains(told, d) {
				t.Error("subscribers were not told of a digest that was revoked")
			}
		}
	}},
	{"revokes no key if the context is done", func(t *testing.T, s *store) {
		d, key := s.add()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		if n, err := s.RevokeAll(ctx, key.Owner); n != 0 || err == nil {
			t.Errorf("RevokeAll = %d, %v; want an error", n, err)
		}
		s.wantStored(d, key)
	}},
}

var selectRules = []rule{
	{"Scope selects the keys that have exactly this scope", func(t *testing.T, s *store) {
		scoped := func(scopes ...string) string {
			_, key := s.add(func(key *apikey.Key) { key.Scopes = scopes })
			return key.ID
		}
		alone, first, last := scoped("read"), scoped("read", "x"), scoped("x", "read")
		scoped()
		scoped("Read", "read:all", "thread", "rea", "a-read")
		s.wantSelected(apikey.ListOptions{Scope: "read"}, alone, first, last)
		s.wantSelected(apikey.ListOptions{Scope: "%"})
	}},
	{"ExpiresBefore selects the keys that expire before it", func(t *testing.T, s *store) {
		limit := time.Date(2099, 1, 1, 0, 0, 0, 0, time.UTC)
		s.add(expiring(time.Time{}))
		s.add(expiring(limit))
		_, before := s.add(expiring(limit.Add(-time.Microsecond)))
		_, gone := s.add(expiring(past))
		s.wantSelected(apikey.ListOptions{ExpiresBefore: limit}, before.ID, gone.ID)
		s.wantSelected(apikey.ListOptions{ExpiresBefore: limit, Status: apikey.StatusActive}, before.ID)
		s.wantSelected(apikey.ListOptions{ExpiresBefore: limit, Status: apikey.StatusExpired}, gone.ID)
		s.wantSelected(apikey.ListOptions{ExpiresBefore: limit, Owner: before.Owner}, before.ID, gone.ID)
	}},
	{"UnusedSince selects the old keys that were not used since", func(t *testing.T, s *store) {
		toucher := s.toucher()
		limit := time.Date(2026, 1, 1, 0, 0, 0, 0, time.UTC)
		_, never := s.add()
		d, long := s.add()
		toucher.Touch(d, apikey.Use{At: limit.Add(-time.Hour)})
		d, _ = s.add()
		toucher.Touch(d, apikey.Use{At: limit.Add(time.Hour)})
		s.add(func(key *apikey.Key) { key.CreatedAt = limit })
		s.flush()
		s.wantSelected(apikey.ListOptions{UnusedSince: limit}, never.ID, long.ID)
	}},
	{"applies all selections together, page by page", func(t *testing.T, s *store) {
		var want []string
		for i := range 12 {
			_, key := s.add(func(key *apikey.Key) {
				if i%2 == 0 {
					key.Scopes = []string{"other"}
				}
				if i%3 == 0 {
					key.ExpiresAt = time.Time{}
				}
			})
			if i%2 != 0 && i%3 != 0 {
				want = append(want, key.ID)
			}
		}
		o := apikey.ListOptions{Scope: "library:read", ExpiresBefore: future.Add(time.Hour), UnusedSince: future, Owner: "ada", Status: apikey.StatusActive, Search: "sample"}
		s.wantSelected(o, want...)
		o.Limit = 1
		s.wantSelected(o, want...)
	}},
	{"Count returns the number of keys that List returns", func(t *testing.T, s *store) {
		counter := optional[apikey.Counter](s, "a Counter")
		_, revoked := s.add()
		s.revoke(revoked.ID)
		_, suspended := s.add(func(key *apikey.Key) { key.Owner = "grace" })
		s.suspend(suspended.ID, true)
		s.add(expiring(past))
		s.add(expiring(time.Time{}))
		s.add(func(key *apikey.Key) { key.Scopes = []string{"other"} })
		for _, status := range []apikey.Status{"", apikey.StatusActive, apikey.StatusSuspended, apikey.StatusExpired, apikey.StatusRevoked} {
			for _, o := range []apikey.ListOptions{
				{}, {Owner: "ada"}, {Owner: "grace"}, {Owner: "unknown"}, {Scope: "library:read"}, {Search: "sample"},
				{ExpiresBefore: future.Add(time.Hour)}, {UnusedSince: future}, {Owner: "ada", ExpiresBefore: future.Add(time.Hour), Scope: "other"},
			} {
				o.Status = status
				want := apikey.Count{Keys: len(s.list(o))}
				if got, err := counter.Count(t.Context(), o); got != want || err != nil {
					t.Errorf("Count with %s= %+v, %v; want %+v", describe(o), got, err, want)
				}
			}
		}
		_, err := counter.Count(t.Context(), apikey.ListOptions{Scope: "two words"})
		s.wantError("Count with a Scope of two words", err, apikey.ErrInvalid)
	}},
	{"returns ErrInvalid for a selection out of its limits", func(t *testing.T, s *store) {
		for _, o := range []apikey.ListOptions{
			{Scope: "two words"}, {Scope: "a\x00"},
			{ExpiresBefore: time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)}, {UnusedSince: time.Date(1969, 1, 1, 0, 0, 0, 0, time.UTC)},
		} {
			_, err := s.List(t.Context(), o)
			s.wantError("List with "+describe(o), err, apikey.ErrInvalid)
		}
	}},
	{"returns ErrInvalid for the cursor of another selection", func(t *testing.T, s *store) {
		s.add()
		s.add()
		o := apikey.ListOptions{Scope: "library:read", Limit: 1}
		page, err := s.List(t.Context(), o)
		if err != nil || page.Next == "" {
			t.Fatalf("List = %d keys, Next %q, error %v; want a Next", len(page.Keys), page.Next, err)
		}
		for _, other := range []apikey.ListOptions{
			{}, {Scope: "library:write"}, {Scope: "library:read", ExpiresBefore: future}, {Scope: "library:read", UnusedSince: future},
		} {
			other.Cursor, other.Limit = page.Next, 1
			_, err := s.List(t.Context(), other)
			s.wantError("List with a cursor of another selection, "+describe(other), err, apikey.ErrInvalid)
		}
	}},
}
