package storetest

import (
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// revocation checks that a key was revoked between these times.
func (s *subject) revocation(key apikey.Key, from, to time.Time) {
	s.t.Helper()
	if at := key.RevokedAt; at.Before(from.Add(-slack)) || at.After(to.Add(slack)) {
		s.t.Errorf("RevokedAt is %v; want a time between %v and %v", at, from, to)
	}
}

var revokeRules = []rule{
	{"sets the time of now and nothing else", func(t *testing.T, s *subject) {
		d, key := s.add()
		before := time.Now()
		got := s.revoke(key.ID)
		s.revocation(got, before, time.Now())
		key.RevokedAt = got.RevokedAt
		s.check("Revoke", got, key)
		s.keeps(d, key)
	}},
	{"Lookup sees it at once", func(t *testing.T, s *subject) {
		d, key := s.add()
		s.find(d) // for stores that remember answers
		s.revoke(key.ID)
		if err := s.find(d).Check(time.Now()); err != apikey.ErrRevoked {
			t.Errorf("Lookup after Revoke: the key is %v, want ErrRevoked", err)
		}
	}},
	{"twice keeps the first time", func(t *testing.T, s *subject) {
		// With a time of long ago, or the second revocation might come within the
		// same tick of the clock.
		d, key := s.add(func(key *apikey.Key) { key.RevokedAt = past })
		s.check("Revoke of a revoked key", s.revoke(key.ID), key)
		s.keeps(d, key)
		d, key = s.add()
		first := s.revoke(key.ID)
		s.check("the second Revoke", s.revoke(key.ID), first)
		s.keeps(d, first)
	}},
	{"an expired key can be revoked", func(t *testing.T, s *subject) {
		d, key := s.add(expiring(past))
		key.RevokedAt = s.revoke(key.ID).RevokedAt
		s.keeps(d, key)
		if err := s.find(d).Check(time.Now()); err != apikey.ErrRevoked {
			t.Errorf("the key is %v, want ErrRevoked", err)
		}
	}},
	{"a replaced key can be revoked and its successor lives on", func(t *testing.T, s *subject) {
		d, old := s.add()
		fresh, successor := s.replace(old.ID, soon)
		s.keeps(d, s.revoke(old.ID))
		s.keeps(fresh, successor)
	}},
	{"other keys are left alone", func(t *testing.T, s *subject) {
		d1, one := s.add(named("twin"))
		_, two := s.add(named("twin"))
		d3, three := s.add(named("twin"))
		s.revoke(two.ID)
		s.keeps(d1, one)
		s.keeps(d3, three)
	}},
	{"an unknown or impossible ID is ErrNotFound", func(t *testing.T, s *subject) {
		d, key := s.add()
		for _, id := range append(impossibleIDs(), "nobody", "SAMPLE-1") {
			_, err := s.Revoke(t.Context(), id)
			s.refused("Revoke of the unknown ID "+short(id), err, apikey.ErrNotFound)
		}
		s.keeps(d, key)
	}},
	{"no write that follows undoes it", func(t *testing.T, s *subject) {
		d, key := s.add()
		revoked := s.revoke(key.ID)
		fresh, successor := s.next()
		_, err := s.Replace(t.Context(), key.ID, soon, fresh, successor)
		s.refused("Replace", err, apikey.ErrRevoked)
		s.refused("Create", s.Create(t.Context(), d, key), apikey.ErrExists)
		s.update(key.ID, apikey.Patch{ExpiresAt: new(time.Time)})
		s.update(key.ID, apikey.Patch{ExpiresAt: &key.ExpiresAt})
		if toucher, ok := apikey.StoreAs[apikey.Toucher](s.KeyManager); ok {
			toucher.Touch(d, time.Now())
			s.flush()
		}
		s.add()
		s.revoke(key.ID)
		s.keeps(d, revoked)
	}},
	{"what it hands out is a copy", func(t *testing.T, s *subject) {
		d, key := s.add()
		got := s.revoke(key.ID)
		want := got.Clone()
		scribble(got)
		s.keeps(d, want)
		scribble(s.revoke(key.ID))
		s.keeps(d, want)
	}},
}
