package storetest

import (
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

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
	{"ExpiresBefore selects the keys that expire before that time", func(t *testing.T, s *store) {
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
	{"UnusedSince selects the keys that were created before that time and not used since", func(t *testing.T, s *store) {
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
