package storetest

import (
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
				t.Errorf("suspended %v: Check() of the key that Lookup returns = %v; want %v", suspended, err, want)
			}
		}
	}},
	{"suspending sets SuspendedAt to the current time, and resuming clears it", func(t *testing.T, s *store) {
		d, key := s.add()
		before := time.Now()
		got := s.suspend(key.ID, true)
		if at := got.SuspendedAt; at.Before(before.Add(-maxClockSkew)) || at.After(time.Now().Add(maxClockSkew)) {
			t.Errorf("SuspendedAt = %v; want about %v", at, before)
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
				t.Errorf("suspended %v: Check() = %v; want ErrRevoked", suspended, err)
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
	{"the ChangeFeed lists the digest of a suspended and of a resumed key", func(t *testing.T, s *store) {
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
				t.Errorf("suspended %v: Changes = %d digests, %v; want them to include the digest of the key", suspended, len(c.Digests), err)
			}
		}
	}},
}
