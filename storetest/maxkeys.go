package storetest

import (
	"math"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// limited returns a view with a limit of living keys.
func (s *store) limited(most int) apikey.KeyManager {
	s.t.Helper()
	return s.withCondition(apikey.Condition{MaxKeys: most})
}

var maxKeysRules = []rule{
	{"counts the keys of the owner that are neither revoked nor expired", func(t *testing.T, s *store) {
		view := s.limited(3)
		s.add(expiring(past))
		s.add(func(key *apikey.Key) { key.RevokedAt = past })
		s.add(expiring(past), func(key *apikey.Key) { key.SuspendedAt = past })
		for _, owner := range []string{"", "Ada", "ada "} {
			for range 4 {
				s.add(func(key *apikey.Key) { key.Owner = owner })
			}
		}
		s.add(expiring(time.Time{}))
		s.add(func(key *apikey.Key) { key.SuspendedAt = past })
		d, third := s.next()
		if err := view.Create(t.Context(), d, third); err != nil {
			t.Fatalf("Create(third living key) = %v; want nil", err)
		}
		s.wantStored(d, third)
		wantUnwritten := s.unwritten()
		d, fourth := s.next()
		s.wantError("Create(fourth living key)", view.Create(t.Context(), d, fourth), apikey.ErrTooManyKeys)
		wantUnwritten("Create of a key too many")
		s.revoke(third.ID)
		if err := view.Create(t.Context(), d, fourth); err != nil {
			t.Errorf("Create after a revocation = %v; want nil", err)
		}
	}},
	{"a key that cannot be used does not count", func(t *testing.T, s *store) {
		s.add()
		view := s.limited(1)
		for name, edit := range map[string]func(*apikey.Key){
			"an expired key":         expiring(past),
			"a revoked key":          func(key *apikey.Key) { key.RevokedAt = past },
			"a key without an owner": func(key *apikey.Key) { key.Owner = "" },
		} {
			d, key := s.next()
			edit(&key)
			if err := view.Create(t.Context(), d, key); err != nil {
				t.Errorf("Create(%s) = %v; want nil", name, err)
			}
		}
	}},
	{"limits an Update that adds a living key to an owner", func(t *testing.T, s *store) {
		_, first := s.add()
		_, expired := s.add(expiring(past))
		_, other := s.add(func(key *apikey.Key) { key.Owner = "grace" })
		view := s.limited(1)
		for name, change := range map[string]struct {
			id string
			p  apikey.Patch
		}{
			"revives": {expired.ID, apikey.Patch{ExpiresAt: new(future)}},
			"moves":   {other.ID, apikey.Patch{Owner: &first.Owner}},
		} {
			wantUnwritten := s.unwritten()
			_, err := view.Update(t.Context(), change.id, change.p)
			s.wantError("Update that "+name+" a key", err, apikey.ErrTooManyKeys)
			wantUnwritten("Update that " + name + " a key too many")
		}
		if _, err := s.limited(2).Update(t.Context(), expired.ID, apikey.Patch{ExpiresAt: new(future)}); err != nil {
			t.Errorf("Update that revives a key within the limit = %v; want nil", err)
		}
	}},
	{"does not limit a change that adds no key", func(t *testing.T, s *store) {
		_, first := s.add()
		_, second := s.add(func(key *apikey.Key) { key.SuspendedAt = past })
		view := s.limited(1)
		name := "renamed"
		for what, change := range map[string]struct {
			id string
			p  apikey.Patch
		}{
			"renames a key":  {first.ID, apikey.Patch{Name: &name}},
			"prolongs a key": {first.ID, apikey.Patch{ExpiresAt: new(time.Time)}},
			"resumes a key":  {second.ID, apikey.Patch{Suspended: new(false)}},
			"sets an expiry": {second.ID, apikey.Patch{ExpiresAt: new(future)}},
		} {
			if _, err := view.Update(t.Context(), change.id, change.p); err != nil {
				t.Errorf("Update that %s = %v; want nil", what, err)
			}
		}
		if _, err := view.Revoke(t.Context(), second.ID); err != nil {
			t.Errorf("Revoke = %v; want nil", err)
		}
	}},
	{"counts both keys of a Replace until the old one ends", func(t *testing.T, s *store) {
		_, key := s.add()
		view := s.limited(1)
		wantUnwritten := s.unwritten()
		d, successor := s.next()
		_, err := view.Replace(t.Context(), key.ID, graceEnd, d, successor)
		s.wantError("Replace with a grace period", err, apikey.ErrTooManyKeys)
		wantUnwritten("Replace with a key too many")
		if _, err := s.limited(2).Replace(t.Context(), key.ID, graceEnd, d, successor); err != nil {
			t.Errorf("Replace within the limit = %v; want nil", err)
		}
		d, next := s.next()
		if _, err := view.Replace(t.Context(), successor.ID, past, d, next); err != nil {
			t.Errorf("Replace that revokes the old key = %v; want nil", err)
		}
	}},
	{"the largest int permits every change", func(t *testing.T, s *store) {
		_, key := s.add()
		view := s.limited(math.MaxInt)
		d, second := s.next()
		if err := view.Create(t.Context(), d, second); err != nil {
			t.Errorf("Create = %v; want nil", err)
		}
		d, successor := s.next()
		if _, err := view.Replace(t.Context(), key.ID, graceEnd, d, successor); err != nil {
			t.Errorf("Replace = %v; want nil", err)
		}
	}},
	{"ErrExists and ErrReplaced come before ErrTooManyKeys", func(t *testing.T, s *store) {
		_, key := s.add()
		_, successor := s.replace(key.ID, graceEnd)
		view := s.limited(1)
		d, again := s.next()
		again.ID = key.ID
		s.wantError("Create(taken ID)", view.Create(t.Context(), d, again), apikey.ErrExists)
		d, next := s.next()
		_, err := view.Replace(t.Context(), key.ID, graceEnd, d, next)
		s.wantReplaced(successor.ID, err)
		next.ID = key.ID
		_, err = view.Replace(t.Context(), successor.ID, graceEnd, d, next)
		s.wantError("Replace(taken ID)", err, apikey.ErrExists)
	}},
	{"20 concurrent creations with a limit of 5 make 5 keys", func(t *testing.T, s *store) {
		const racers, limit = 20, 5
		view := s.limited(limit)
		errs := make([]error, racers)
		concurrently(racers, func(i int) { errs[i] = view.Create(t.Context(), digestOf(i), sample(i)) })
		made := 0
		for _, err := range errs {
			if err == nil {
				made++
			} else {
				s.wantError("concurrent Create", err, apikey.ErrTooManyKeys)
			}
		}
		if stored := len(s.list(apikey.ListOptions{})); made != limit || stored != limit {
			t.Errorf("%d creations succeeded and the store has %d keys; want %d", made, stored, limit)
		}
	}},
}
