package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

var updateRules = []rule{
	{"sets the field of the Patch and no other", func(t *testing.T, s *store) {
		other := filled(t, 99)
		for _, field := range reflect.VisibleFields(reflect.TypeFor[apikey.Patch]()) {
			p, ok := patchOf(other, field.Name)
			if !ok {
				continue // see suspendRules
			}
			d, want := s.add()
			setField(&want, field.Name, reflect.ValueOf(other).FieldByName(field.Name).Interface())
			if field.Name == "Owner" {
				want.Origin = "moved_" + want.ID
			}
			s.wantKey("Update(key, Patch of "+field.Name+")", s.update(want.ID, p), want)
			s.wantStored(d, want)
		}
	}},
	{"the zero Patch changes nothing", func(t *testing.T, s *store) {
		want := filled(t, 1)
		s.create(digestOf(1), want)
		s.wantKey("Update(key)", s.update(want.ID, apikey.Patch{}), want)
		s.wantStored(digestOf(1), want)
	}},
	{"sets all fields of a Patch together", func(t *testing.T, s *store) {
		d, key := s.add()
		other := filled(t, 99)
		p := apikey.Patch{
			Name: &other.Name, Owner: &other.Owner, Scopes: &other.Scopes, Networks: &other.Networks, Limits: &other.Limits, Metadata: &other.Metadata,
			ExpiresAt: &other.ExpiresAt, Suspended: new(true),
		}
		key.Name, key.Owner, key.Scopes, key.Networks, key.Limits = other.Name, other.Owner, other.Scopes, other.Networks, other.Limits
		key.Metadata, key.ExpiresAt, key.Origin = other.Metadata, other.ExpiresAt, "moved_"+key.ID
		got := s.update(key.ID, p)
		if got.SuspendedAt.IsZero() {
			t.Error("Update(key): SuspendedAt is zero; want a time")
		}
		key.SuspendedAt = got.SuspendedAt
		s.wantKey("Update(key)", got, key)
		s.wantStored(d, key)
	}},
	{"clears Scopes and Metadata with empty values", func(t *testing.T, s *store) {
		for _, p := range []apikey.Patch{
			{Scopes: new([]string), Metadata: new(map[string]string)}, // pointers to nil
			{Scopes: &[]string{}, Metadata: &map[string]string{}},
		} {
			d, key := s.add()
			key.Scopes, key.Metadata = nil, nil
			s.wantKey("Update(key)", s.update(key.ID, p), key)
			s.wantStored(d, key)
		}
	}},
	{"removes the expiry with the zero time", func(t *testing.T, s *store) {
		d, key := s.add()
		key.ExpiresAt = time.Time{}
		s.wantKey("Update(key)", s.update(key.ID, apikey.Patch{ExpiresAt: new(time.Time)}), key)
		s.wantStored(d, key)
	}},
	{"stores times in UTC to the microsecond", func(t *testing.T, s *store) {
		d, key := s.add()
		at := time.Date(2099, 1, 1, 0, 0, 0, 123456789, time.FixedZone("Nowhere", -7*60*60))
		key.ExpiresAt = time.Date(2099, 1, 1, 7, 0, 0, 123456000, time.UTC)
		s.wantKey("Update(key)", s.update(key.ID, apikey.Patch{ExpiresAt: &at}), key)
		s.wantStored(d, key)
	}},
	{"extends an expired key", func(t *testing.T, s *store) {
		d, key := s.add(expiring(past))
		key.ExpiresAt = future
		s.update(key.ID, apikey.Patch{ExpiresAt: &key.ExpiresAt})
		s.wantStored(d, key)
	}},
	{"does not change RevokedAt", func(t *testing.T, s *store) {
		d, key := s.add()
		revoked := s.revoke(key.ID)
		name, scopes, metadata, never := "renamed", []string{"a"}, map[string]string{"b": "c"}, time.Time{}
		for _, p := range []apikey.Patch{{}, {Name: &name}, {Scopes: &scopes}, {Metadata: &metadata}, {ExpiresAt: &never}, {ExpiresAt: &future}} {
			got := s.update(key.ID, p)
			if !got.RevokedAt.Equal(revoked.RevokedAt) {
				t.Errorf("Update(revoked key): RevokedAt = %v; want %v", got.RevokedAt, revoked.RevokedAt)
			}
			s.wantStored(d, got)
		}
	}},
	{"Lookup sees the update at once", func(t *testing.T, s *store) {
		d, key := s.add()
		for _, name := range []string{"one", "two", "three"} {
			key.Name = name
			s.update(key.ID, apikey.Patch{Name: &name})
			s.wantKey("Lookup(digest) after Update", *s.lookup(d), key)
		}
	}},
	{"leaves other keys unchanged", func(t *testing.T, s *store) {
		d1, one := s.add(named("twin"))
		_, two := s.add(named("twin"))
		d3, three := s.add(named("twin"))
		s.update(two.ID, apikey.Patch{Name: new("renamed"), Scopes: new([]string)})
		s.wantStored(d1, one)
		s.wantStored(d3, three)
	}},
	{"returns ErrNotFound for an unknown or invalid ID", func(t *testing.T, s *store) {
		d, key := s.add()
		for _, id := range append(invalidIDs(), "unknown", "SAMPLE-1") {
			_, err := s.Update(t.Context(), id, apikey.Patch{Name: new("renamed")})
			s.wantError("Update(unknown ID "+short(id)+")", err, apikey.ErrNotFound)
		}
		s.wantStored(d, key)
	}},
	{"retains neither the Patch nor the returned key", func(t *testing.T, s *store) {
		d, want := s.add()
		want.Scopes, want.Metadata = []string{"x", "y"}, map[string]string{"k": "v"}
		mine := want.Clone()
		got := s.update(want.ID, apikey.Patch{Scopes: &mine.Scopes, Metadata: &mine.Metadata})
		overwrite(mine)
		s.wantStored(d, want)
		s.wantKey("the key that Update returned before its argument changed", got, want)
		overwrite(got)
		s.wantStored(d, want)
		overwrite(s.update(want.ID, apikey.Patch{}))
		s.wantStored(d, want)
	}},
}
