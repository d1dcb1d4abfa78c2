package storetest

import (
	"context"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

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
				t.Errorf("RevokeAll of the owner %s = %d; want 0", short(owner), n)
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
				t.Fatalf("key %d of %d: Check() = %v; want ErrRevoked", i+1, n, err)
			}
		}
		if auditor, ok := apikey.StoreAs[apikey.Auditor](s.KeyManager); ok {
			page, err := auditor.Audit(t.Context(), apikey.AuditOptions{Limit: 500})
			if err != nil || len(page.Entries) == 0 || !slices.Contains(page.Entries[0].Changes, apikey.FieldChange{Field: "count", New: "120"}) {
				t.Errorf("newest audit entry = %+v, %v; want the count of all keys", page.Entries[:min(1, len(page.Entries))], err)
			}
			for _, e := range page.Entries[1:] {
				if e.Action == "revoke_all" {
					t.Errorf("the audit trail has two entries of the call; want one")
				}
			}
		}
	}},
	{"writes an audit entry for each key and one with the count", func(t *testing.T, s *store) {
		auditor := s.auditor()
		_, one := s.add()
		_, two := s.add()
		if _, err := s.RevokeAll(apikey.WithActor(t.Context(), "ann"), one.Owner); err != nil {
			t.Fatal(err)
		}
		got := s.trail(auditor, "", 0)
		if all := actions(got); len(all) < 3 || all[0] != "ann revoke_all " || !slices.Contains(all, "ann revoke "+one.ID) || !slices.Contains(all, "ann revoke "+two.ID) {
			t.Fatalf("Audit() = %q; want the entry of the call first, and one for each key", all)
		}
		want := []apikey.FieldChange{{Field: "owner", New: one.Owner}, {Field: "count", New: "2"}}
		if !slices.Equal(got[0].Changes, want) {
			t.Errorf("entry of the call: Changes = %v; want %v", got[0].Changes, want)
		}
		for _, id := range []string{one.ID, two.ID} {
			e := s.trail(auditor, id, 0)[0]
			want := []apikey.FieldChange{{Field: "revoked", New: s.get(id).RevokedAt.Format(time.RFC3339Nano)}}
			if e.Action != "revoke" || !slices.Equal(e.Changes, want) {
				t.Errorf("entry of %s = %s %v; want revoke %v", id, e.Action, e.Changes, want)
			}
		}
	}},
	{"Lookup, the ChangeFeed and subscribers see the revocations at once", func(t *testing.T, s *store) {
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
		var announced []apikey.Digest
		defer feed.Subscribe(func(d apikey.Digest, _ apikey.Version) { announced = append(announced, d) })()
		if _, err := s.RevokeAll(t.Context(), sample(1).Owner); err != nil {
			t.Fatal(err)
		}
		c, err := feed.Changes(t.Context(), head.Head)
		if err != nil {
			t.Fatal(err)
		}
		for _, d := range digests {
			if err := s.lookup(d).Check(time.Now()); err != apikey.ErrRevoked {
				t.Errorf("Lookup: Check() = %v; want ErrRevoked", err)
			}
			if !c.Reset && !slices.Contains(c.Digests, d) {
				t.Error("Changes does not list the digest of a revoked key")
			}
			if !slices.Contains(announced, d) {
				t.Error("the subscriber did not get the digest of a revoked key")
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
