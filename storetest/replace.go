package storetest

import (
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// graceEnd is when most replaced keys expire in these rules.
var graceEnd = future.Add(-24 * time.Hour)

var replaceRules = []rule{
	{"the old key expires at expiresAt", func(t *testing.T, s *store) {
		d, old := s.add()
		s.replace(old.ID, graceEnd)
		old.ExpiresAt = graceEnd
		s.wantStored(d, old)
	}},
	{"an old key without expiry expires at expiresAt", func(t *testing.T, s *store) {
		d, old := s.add(expiring(time.Time{}))
		s.replace(old.ID, graceEnd)
		old.ExpiresAt = graceEnd
		s.wantStored(d, old)
	}},
	{"the old key keeps an earlier expiry", func(t *testing.T, s *store) {
		d, old := s.add(expiring(graceEnd))
		s.replace(old.ID, future)
		s.wantStored(d, old)
	}},
	{"the old key is revoked if expiresAt is past", func(t *testing.T, s *store) {
		from := time.Now().Add(-maxClockSkew)
		d, old := s.add()
		s.replace(old.ID, past)
		got := s.lookup(d)
		if got.RevokedAt.Before(from) || got.RevokedAt.After(time.Now().Add(maxClockSkew)) {
			t.Errorf("old key: RevokedAt = %v; want the current time", got.RevokedAt)
		}
		old.RevokedAt = got.RevokedAt
		s.wantStored(d, old)
	}},
	{"stores expiresAt in UTC to the microsecond", func(t *testing.T, s *store) {
		d, old := s.add()
		s.replace(old.ID, time.Date(2099, 1, 1, 0, 0, 0, 123456789, time.FixedZone("Nowhere", 3600)))
		old.ExpiresAt = time.Date(2098, 12, 31, 23, 0, 0, 123456000, time.UTC)
		s.wantStored(d, old)
	}},
	{"the successor inherits everything except ID, Hint and times", func(t *testing.T, s *store) {
		_, old := s.add()
		successor := filled(t, 7)
		successor.ExpiresAt = graceEnd
		got := s.replaceBy(old.ID, graceEnd, digestOf(7), successor)
		want := apikey.Key{
			ID: successor.ID, Hint: successor.Hint, CreatedAt: successor.CreatedAt, ExpiresAt: graceEnd,
			Name: old.Name, Owner: old.Owner, Scopes: old.Scopes, Metadata: old.Metadata, Replaces: old.ID, Origin: old.ID,
		}
		s.wantKey("Replace(key)", got, want)
		s.wantStored(digestOf(7), want)
		if at := s.get(want.ID).LastUsedAt; !at.IsZero() {
			t.Errorf("successor: LastUsedAt = %v; want zero", at)
		}
	}},
	{"the successor inherits the current values of the old key", func(t *testing.T, s *store) {
		_, old := s.add()
		name, scopes, metadata := "renamed", []string{"less"}, map[string]string{"system": "other"}
		s.update(old.ID, apikey.Patch{Name: &name, Scopes: &scopes, Metadata: &metadata})
		d, successor := s.next()
		successor.Scopes = old.Scopes // the caller read the key before the Update
		got := s.replaceBy(old.ID, graceEnd, d, successor)
		successor.Name, successor.Scopes, successor.Metadata, successor.Replaces, successor.Origin = name, scopes, metadata, old.ID, old.ID
		s.wantKey("Replace(key)", got, successor)
		s.wantStored(d, successor)
	}},
	{"the successor of a key that never expires never expires", func(t *testing.T, s *store) {
		_, old := s.add(expiring(time.Time{}))
		d, successor := s.next()
		successor.ExpiresAt = time.Time{}
		got := s.replaceBy(old.ID, graceEnd, d, successor)
		if !got.ExpiresAt.IsZero() || !s.lookup(d).ExpiresAt.IsZero() {
			t.Errorf("successor: ExpiresAt = %v; want zero", got.ExpiresAt)
		}
	}},
	{"the successor has the lifetime of the old key", func(t *testing.T, s *store) {
		_, old := s.add()
		d, successor := s.next()
		successor.ExpiresAt = time.Time{}
		successor.ExpiresAt = s.replaceBy(old.ID, graceEnd, d, successor).ExpiresAt
		want := successor.CreatedAt.Add(old.ExpiresAt.Sub(old.CreatedAt))
		if got := s.lookup(d).ExpiresAt; !got.Equal(want) || !got.Equal(successor.ExpiresAt) {
			t.Errorf("successor: ExpiresAt = %v; want %v", got, want)
		}
	}},
	{"the successor does not outlive its given ExpiresAt", func(t *testing.T, s *store) {
		for _, end := range []time.Time{future, {}} {
			_, old := s.add(expiring(end))
			d, successor := s.next()
			successor.ExpiresAt = graceEnd
			got := s.replaceBy(old.ID, graceEnd, d, successor)
			if !got.ExpiresAt.Equal(graceEnd) {
				t.Errorf("successor of a key that expires at %v: ExpiresAt = %v; want %v", end, got.ExpiresAt, graceEnd)
			}
		}
	}},
	{"a second Replace returns ErrReplaced with the first successor", func(t *testing.T, s *store) {
		d, old := s.add()
		d1, first := s.replace(old.ID, graceEnd)
		fresh, second := s.next()
		_, err := s.Replace(t.Context(), old.ID, future, fresh, second)
		s.wantReplaced(first.ID, err)
		old.ExpiresAt = graceEnd
		s.wantStored(d, old)
		s.wantStored(d1, first)
		s.wantAbsent(fresh, second.ID)
	}},
	{"a second Replace of a revoked key returns ErrReplaced and ErrRevoked", func(t *testing.T, s *store) {
		_, old := s.add()
		_, first := s.replace(old.ID, past)
		fresh, second := s.next()
		_, err := s.Replace(t.Context(), old.ID, graceEnd, fresh, second)
		s.wantReplaced(first.ID, err)
		s.wantError("Replace(key that a rotation revoked)", err, apikey.ErrRevoked)
		s.wantAbsent(fresh, second.ID)
	}},
	{"an expired successor counts, because an Update can extend it", func(t *testing.T, s *store) {
		_, old := s.add()
		_, first := s.replace(old.ID, graceEnd)
		s.update(first.ID, apikey.Patch{ExpiresAt: &past})
		fresh, second := s.next()
		_, err := s.Replace(t.Context(), old.ID, graceEnd, fresh, second)
		s.wantReplaced(first.ID, err)
	}},
	{"a revoked successor can be replaced with the original lifetime", func(t *testing.T, s *store) {
		for _, end := range []time.Time{future, {}} {
			_, old := s.add(expiring(end))
			_, first := s.replace(old.ID, graceEnd)
			s.revoke(first.ID)
			_, second := s.replace(old.ID, graceEnd)
			s.revoke(second.ID)
			d, third := s.next()
			third.ExpiresAt = time.Time{}
			got := s.replaceBy(old.ID, graceEnd, d, third)
			var want time.Time
			if !end.IsZero() {
				want = third.CreatedAt.Add(end.Sub(old.CreatedAt))
			}
			if !got.ExpiresAt.Equal(want) || got.Replaces != old.ID {
				t.Errorf("third successor: Replaces = %q, ExpiresAt = %v; want %q, %v", got.Replaces, got.ExpiresAt, old.ID, want)
			}
			fresh, fourth := s.next()
			_, err := s.Replace(t.Context(), old.ID, graceEnd, fresh, fourth)
			s.wantReplaced(third.ID, err)
		}
	}},
	{"the successor of a revoked successor counts", func(t *testing.T, s *store) {
		_, old := s.add()
		_, first := s.replace(old.ID, graceEnd)
		_, second := s.replace(first.ID, past) // revokes the first successor
		fresh, third := s.next()
		_, err := s.Replace(t.Context(), old.ID, graceEnd, fresh, third)
		s.wantReplaced(second.ID, err)
		s.revoke(second.ID)
		s.replaceBy(old.ID, graceEnd, fresh, third)
	}},
	{"the successor can be replaced in turn", func(t *testing.T, s *store) {
		_, first := s.add()
		d2, second := s.replace(first.ID, graceEnd)
		d3, third := s.replace(second.ID, graceEnd)
		second.ExpiresAt = graceEnd
		s.wantStored(d2, second)
		s.wantStored(d3, third)
		if third.Replaces != second.ID {
			t.Errorf("third key: Replaces = %q; want %q", third.Replaces, second.ID)
		}
	}},
	{"leaves other keys unchanged", func(t *testing.T, s *store) {
		d, other := s.add()
		_, old := s.add()
		s.replace(old.ID, graceEnd)
		s.wantStored(d, other)
	}},
	{"returns ErrRevoked for a revoked key", func(t *testing.T, s *store) {
		d, old := s.add()
		revoked := s.revoke(old.ID)
		fresh, successor := s.next()
		_, err := s.Replace(t.Context(), old.ID, graceEnd, fresh, successor)
		s.wantError("Replace(revoked key)", err, apikey.ErrRevoked)
		s.wantStored(d, revoked)
		s.wantAbsent(fresh, successor.ID)
	}},
	{"returns ErrExpired for an expired key", func(t *testing.T, s *store) {
		d, old := s.add(expiring(past))
		fresh, successor := s.next()
		_, err := s.Replace(t.Context(), old.ID, graceEnd, fresh, successor)
		s.wantError("Replace(expired key)", err, apikey.ErrExpired)
		s.wantStored(d, old)
		s.wantAbsent(fresh, successor.ID)
	}},
	{"returns ErrNotFound for an unknown or invalid ID", func(t *testing.T, s *store) {
		s.add()
		d, successor := s.next()
		for _, id := range append(invalidIDs(), "unknown", successor.ID) {
			_, err := s.Replace(t.Context(), id, graceEnd, d, successor)
			s.wantError("Replace(unknown ID "+short(id)+")", err, apikey.ErrNotFound)
		}
		s.wantAbsent(d, successor.ID)
	}},
	{"returns ErrExists for a taken ID or digest and changes nothing", func(t *testing.T, s *store) {
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
			_, err := s.Replace(t.Context(), old.ID, graceEnd, taken.digest, key)
			s.wantError("Replace(successor with "+what+")", err, apikey.ErrExists)
			s.wantStored(d, old)
			s.wantStored(otherDigest, other)
		}
		s.wantAbsent(fresh, successor.ID)
	}},
	{"returns ErrInvalid for an invalid successor or expiresAt and changes nothing", func(t *testing.T, s *store) {
		d, old := s.add()
		fresh, successor := s.next()
		for _, f := range invalidValues() {
			switch f.field {
			case "ID", "Hint", "CreatedAt", "ExpiresAt":
				key := successor
				setField(&key, f.field, f.value)
				_, err := s.Replace(t.Context(), old.ID, graceEnd, fresh, key)
				s.wantError("Replace(successor with "+f.String()+")", err, apikey.ErrInvalid)
			}
		}
		for _, end := range []time.Time{{}, time.Unix(-1, 0)} {
			_, err := s.Replace(t.Context(), old.ID, end, fresh, successor)
			s.wantError("Replace(expiresAt "+short(end)+")", err, apikey.ErrInvalid)
		}
		s.wantStored(d, old)
		s.wantAbsent(fresh, successor.ID)
	}},
	{"returns a copy", func(t *testing.T, s *store) {
		d, old := s.add()
		fresh, successor := s.replace(old.ID, graceEnd)
		want := successor.Clone()
		overwrite(successor)
		old.ExpiresAt = graceEnd
		s.wantStored(d, old)
		s.wantStored(fresh, want)
	}},
}
