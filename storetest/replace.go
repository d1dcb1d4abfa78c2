package storetest

import (
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// soon is when replaced keys expire here.
var soon = future.Add(-24 * time.Hour)

var replaceRules = []rule{
	{"the old key expires at the given time", func(t *testing.T, s *subject) {
		d, old := s.add()
		s.replace(old.ID, soon)
		old.ExpiresAt = soon
		s.keeps(d, old)
	}},
	{"an old key that never expired gets an end", func(t *testing.T, s *subject) {
		d, old := s.add(expiring(time.Time{}))
		s.replace(old.ID, soon)
		old.ExpiresAt = soon
		s.keeps(d, old)
	}},
	{"the old key does not outlive its own expiry", func(t *testing.T, s *subject) {
		d, old := s.add(expiring(soon))
		s.replace(old.ID, future)
		s.keeps(d, old)
	}},
	{"an end in the past is at once", func(t *testing.T, s *subject) {
		d, old := s.add()
		s.replace(old.ID, past)
		if err := s.find(d).Check(time.Now()); err != apikey.ErrExpired {
			t.Errorf("the old key: %v, want ErrExpired", err)
		}
	}},
	{"the end is kept to the microsecond and in UTC", func(t *testing.T, s *subject) {
		d, old := s.add()
		s.replace(old.ID, time.Date(2099, 1, 1, 0, 0, 0, 123456789, time.FixedZone("Nowhere", 3600)))
		old.ExpiresAt = time.Date(2098, 12, 31, 23, 0, 0, 123456000, time.UTC)
		s.keeps(d, old)
	}},
	{"the successor has ID, Hint and times of its own and the rest from the old key", func(t *testing.T, s *subject) {
		_, old := s.add()
		successor := filled(t, 7)
		successor.ExpiresAt = soon
		got := s.must(s.Replace(t.Context(), old.ID, soon, digestOf(7), successor))
		want := apikey.Key{
			ID: successor.ID, Hint: successor.Hint, CreatedAt: successor.CreatedAt, ExpiresAt: soon,
			Name: old.Name, Owner: old.Owner, Scopes: old.Scopes, Metadata: old.Metadata, Replaces: old.ID,
		}
		s.check("Replace", got, want)
		s.keeps(digestOf(7), want)
		if at := s.get(want.ID).LastUsedAt; !at.IsZero() {
			t.Errorf("the successor was last used at %v before it was used", at)
		}
	}},
	{"the successor inherits what the old key is now", func(t *testing.T, s *subject) {
		_, old := s.add()
		name, scopes, metadata := "renamed", []string{"less"}, map[string]string{"system": "other"}
		s.update(old.ID, apikey.Patch{Name: &name, Scopes: &scopes, Metadata: &metadata})
		d, successor := s.next()
		successor.Scopes = old.Scopes // as whoever read the key before the Update has them
		got := s.must(s.Replace(t.Context(), old.ID, soon, d, successor))
		successor.Name, successor.Scopes, successor.Metadata, successor.Replaces = name, scopes, metadata, old.ID
		s.check("Replace", got, successor)
		s.keeps(d, successor)
	}},
	{"the successor may never expire", func(t *testing.T, s *subject) {
		_, old := s.add()
		d, successor := s.next()
		successor.ExpiresAt = time.Time{}
		got := s.must(s.Replace(t.Context(), old.ID, soon, d, successor))
		if !got.ExpiresAt.IsZero() || !s.find(d).ExpiresAt.IsZero() {
			t.Errorf("the successor expires at %v, want never", got.ExpiresAt)
		}
	}},
	{"the successor can be replaced in turn", func(t *testing.T, s *subject) {
		_, first := s.add()
		d2, second := s.replace(first.ID, soon)
		d3, third := s.replace(second.ID, soon)
		second.ExpiresAt = soon
		s.keeps(d2, second)
		s.keeps(d3, third)
		if third.Replaces != second.ID {
			t.Errorf("the third key replaces %q, want %q", third.Replaces, second.ID)
		}
	}},
	{"other keys are left alone", func(t *testing.T, s *subject) {
		d, other := s.add()
		_, old := s.add()
		s.replace(old.ID, soon)
		s.keeps(d, other)
	}},
	{"a revoked key is ErrRevoked and has no successor", func(t *testing.T, s *subject) {
		d, old := s.add()
		revoked := s.revoke(old.ID)
		fresh, successor := s.next()
		_, err := s.Replace(t.Context(), old.ID, soon, fresh, successor)
		s.refused("Replace of a revoked key", err, apikey.ErrRevoked)
		s.keeps(d, revoked)
		s.lacks(fresh, successor.ID)
	}},
	{"an expired key is ErrExpired and has no successor", func(t *testing.T, s *subject) {
		d, old := s.add(expiring(past))
		fresh, successor := s.next()
		_, err := s.Replace(t.Context(), old.ID, soon, fresh, successor)
		s.refused("Replace of an expired key", err, apikey.ErrExpired)
		s.keeps(d, old)
		s.lacks(fresh, successor.ID)
	}},
	{"an unknown or impossible ID is ErrNotFound and has no successor", func(t *testing.T, s *subject) {
		s.add()
		d, successor := s.next()
		for _, id := range append(impossibleIDs(), "nobody", successor.ID) {
			_, err := s.Replace(t.Context(), id, soon, d, successor)
			s.refused("Replace of the unknown ID "+short(id), err, apikey.ErrNotFound)
		}
		s.lacks(d, successor.ID)
	}},
	{"a taken ID or digest is ErrExists and leaves both keys alone", func(t *testing.T, s *subject) {
		d, old := s.add()
		otherDigest, other := s.add()
		fresh, successor := s.next()
		for what, taken := range map[string]struct {
			digest apikey.Digest
			id     string
		}{
			"another key's ID":     {fresh, other.ID},
			"another key's digest": {otherDigest, successor.ID},
			"the old key's ID":     {fresh, old.ID},
			"the old key's digest": {d, successor.ID},
		} {
			key := successor
			key.ID = taken.id
			_, err := s.Replace(t.Context(), old.ID, soon, taken.digest, key)
			s.refused("Replace with "+what, err, apikey.ErrExists)
			s.keeps(d, old)
			s.keeps(otherDigest, other)
		}
		s.lacks(fresh, successor.ID)
	}},
	{"an invalid successor or end is ErrInvalid and changes nothing", func(t *testing.T, s *subject) {
		d, old := s.add()
		fresh, successor := s.next()
		for _, f := range flaws() {
			switch f.field {
			case "ID", "Hint", "CreatedAt", "ExpiresAt":
				key := successor
				setField(&key, f.field, f.value)
				_, err := s.Replace(t.Context(), old.ID, soon, fresh, key)
				s.refused("Replace by a key with "+f.String(), err, apikey.ErrInvalid)
			}
		}
		for _, end := range []time.Time{{}, time.Unix(-1, 0)} {
			_, err := s.Replace(t.Context(), old.ID, end, fresh, successor)
			s.refused("Replace with the end "+short(end), err, apikey.ErrInvalid)
		}
		s.keeps(d, old)
		s.lacks(fresh, successor.ID)
	}},
	{"what it hands out is a copy", func(t *testing.T, s *subject) {
		d, old := s.add()
		fresh, successor := s.replace(old.ID, soon)
		want := successor.Clone()
		scribble(successor)
		old.ExpiresAt = soon
		s.keeps(d, old)
		s.keeps(fresh, want)
	}},
}
