package storetest

import (
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// wantRevokedBetween checks that a key was revoked between two times, give or take maxClockSkew.
func (s *store) wantRevokedBetween(key apikey.Key, from, to time.Time) {
	s.t.Helper()
	if at := key.RevokedAt; at.Before(from.Add(-maxClockSkew)) || at.After(to.Add(maxClockSkew)) {
		s.t.Errorf("RevokedAt = %v; want a time between %v and %v", at, from, to)
	}
}

var revokeRules = []rule{
	{"sets RevokedAt to the current time and nothing else", func(t *testing.T, s *store) {
		d, key := s.add()
		before := time.Now()
		got := s.revoke(key.ID)
		s.wantRevokedBetween(got, before, time.Now())
		key.RevokedAt = got.RevokedAt
		s.wantKey("Revoke(key)", got, key)
		s.wantStored(d, key)
	}},
	{"Lookup sees the revocation at once", func(t *testing.T, s *store) {
		d, key := s.add()
		s.lookup(d) // a store may cache the answer
		s.revoke(key.ID)
		if err := s.lookup(d).Check(time.Now()); err != apikey.ErrRevoked {
			t.Errorf("Lookup(digest) after Revoke: Check() = %v; want ErrRevoked", err)
		}
	}},
	{"a second Revoke keeps the first RevokedAt", func(t *testing.T, s *store) {
		// RevokedAt is long ago, because two calls of Revoke may fall into the same microsecond.
		d, key := s.add(func(key *apikey.Key) { key.RevokedAt = past })
		s.wantKey("Revoke(revoked key)", s.revoke(key.ID), key)
		s.wantStored(d, key)
		d, key = s.add()
		first := s.revoke(key.ID)
		s.wantKey("second Revoke(key)", s.revoke(key.ID), first)
		s.wantStored(d, first)
	}},
	{"revokes an expired key", func(t *testing.T, s *store) {
		d, key := s.add(expiring(past))
		key.RevokedAt = s.revoke(key.ID).RevokedAt
		s.wantStored(d, key)
		if err := s.lookup(d).Check(time.Now()); err != apikey.ErrRevoked {
			t.Errorf("Lookup(digest) after Revoke: Check() = %v; want ErrRevoked", err)
		}
	}},
	{"revokes a replaced key and not its successor", func(t *testing.T, s *store) {
		d, old := s.add()
		fresh, successor := s.replace(old.ID, graceEnd)
		s.wantStored(d, s.revoke(old.ID))
		s.wantStored(fresh, successor)
	}},
	{"leaves other keys unchanged", func(t *testing.T, s *store) {
		d1, one := s.add(named("twin"))
		_, two := s.add(named("twin"))
		d3, three := s.add(named("twin"))
		s.revoke(two.ID)
		s.wantStored(d1, one)
		s.wantStored(d3, three)
	}},
	{"returns ErrNotFound for an unknown or invalid ID", func(t *testing.T, s *store) {
		d, key := s.add()
		for _, id := range append(invalidIDs(), "unknown", "SAMPLE-1") {
			_, err := s.Revoke(t.Context(), id)
			s.wantError("Revoke(unknown ID "+short(id)+")", err, apikey.ErrNotFound)
		}
		s.wantStored(d, key)
	}},
	{"no later write undoes a revocation", func(t *testing.T, s *store) {
		d, key := s.add()
		revoked := s.revoke(key.ID)
		fresh, successor := s.next()
		_, err := s.Replace(t.Context(), key.ID, graceEnd, fresh, successor)
		s.wantError("Replace(revoked key)", err, apikey.ErrRevoked)
		s.wantError("Create(revoked key)", s.Create(t.Context(), d, key), apikey.ErrExists)
		s.update(key.ID, apikey.Patch{ExpiresAt: new(time.Time)})
		s.update(key.ID, apikey.Patch{ExpiresAt: &key.ExpiresAt})
		if toucher, ok := apikey.StoreAs[apikey.Toucher](s.KeyManager); ok {
			toucher.Touch(d, apikey.Use{At: time.Now()})
			s.flush()
		}
		s.add()
		s.revoke(key.ID)
		s.wantStored(d, revoked)
	}},
	{"returns a copy", func(t *testing.T, s *store) {
		d, key := s.add()
		got := s.revoke(key.ID)
		want := got.Clone()
		overwrite(got)
		s.wantStored(d, want)
		overwrite(s.revoke(key.ID))
		s.wantStored(d, want)
	}},
}
