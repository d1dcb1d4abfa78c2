package storetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

var updateRules = []rule{
	{"each field of a Patch sets that field and no other", func(t *testing.T, s *subject) {
		other := filled(t, 99)
		for _, field := range reflect.VisibleFields(reflect.TypeFor[apikey.Patch]()) {
			d, want := s.add()
			p, _ := patchOf(other, field.Name)
			setField(&want, field.Name, reflect.ValueOf(other).FieldByName(field.Name).Interface())
			s.check("Update of "+field.Name, s.update(want.ID, p), want)
			s.keeps(d, want)
		}
	}},
	{"the zero Patch changes nothing", func(t *testing.T, s *subject) {
		want := filled(t, 1)
		s.create(digestOf(1), want)
		s.check("Update", s.update(want.ID, apikey.Patch{}), want)
		s.keeps(digestOf(1), want)
	}},
	{"all fields of a Patch are set together", func(t *testing.T, s *subject) {
		d, key := s.add()
		other := filled(t, 99)
		p := apikey.Patch{Name: &other.Name, Scopes: &other.Scopes, Metadata: &other.Metadata, ExpiresAt: &other.ExpiresAt}
		key.Name, key.Scopes, key.Metadata, key.ExpiresAt = other.Name, other.Scopes, other.Metadata, other.ExpiresAt
		s.check("Update", s.update(key.ID, p), key)
		s.keeps(d, key)
	}},
	{"a Patch with empty Scopes and Metadata clears them", func(t *testing.T, s *subject) {
		for _, p := range []apikey.Patch{
			{Scopes: new([]string), Metadata: new(map[string]string)}, // pointers to nil
			{Scopes: &[]string{}, Metadata: &map[string]string{}},
		} {
			d, key := s.add()
			key.Scopes, key.Metadata = nil, nil
			s.check("Update", s.update(key.ID, p), key)
			s.keeps(d, key)
		}
	}},
	{"a Patch with the zero time is for never", func(t *testing.T, s *subject) {
		d, key := s.add()
		key.ExpiresAt = time.Time{}
		s.check("Update", s.update(key.ID, apikey.Patch{ExpiresAt: new(time.Time)}), key)
		s.keeps(d, key)
	}},
	{"times are kept to the microsecond and in UTC", func(t *testing.T, s *subject) {
		d, key := s.add()
		at := time.Date(2099, 1, 1, 0, 0, 0, 123456789, time.FixedZone("Nowhere", -7*60*60))
		key.ExpiresAt = time.Date(2099, 1, 1, 7, 0, 0, 123456000, time.UTC)
		s.check("Update", s.update(key.ID, apikey.Patch{ExpiresAt: &at}), key)
		s.keeps(d, key)
	}},
	{"an expired key can be given a new end", func(t *testing.T, s *subject) {
		d, key := s.add(expiring(past))
		key.ExpiresAt = future
		s.update(key.ID, apikey.Patch{ExpiresAt: &key.ExpiresAt})
		s.keeps(d, key)
	}},
	{"a revoked key stays revoked with its first time", func(t *testing.T, s *subject) {
		d, key := s.add()
		revoked := s.revoke(key.ID)
		name, scopes, metadata, never := "renamed", []string{"a"}, map[string]string{"b": "c"}, time.Time{}
		for _, p := range []apikey.Patch{{}, {Name: &name}, {Scopes: &scopes}, {Metadata: &metadata}, {ExpiresAt: &never}, {ExpiresAt: &future}} {
			got := s.update(key.ID, p)
			if !got.RevokedAt.Equal(revoked.RevokedAt) {
				t.Errorf("RevokedAt is %v after Update; want %v", got.RevokedAt, revoked.RevokedAt)
			}
			s.keeps(d, got)
		}
	}},
	{"Lookup sees it at once", func(t *testing.T, s *subject) {
		d, key := s.add()
		for _, name := range []string{"one", "two", "three"} {
			key.Name = name
			s.update(key.ID, apikey.Patch{Name: &name})
			s.check("Lookup after Update", *s.find(d), key)
		}
	}},
	{"other keys are left alone", func(t *testing.T, s *subject) {
		d1, one := s.add(named("twin"))
		_, two := s.add(named("twin"))
		d3, three := s.add(named("twin"))
		s.update(two.ID, apikey.Patch{Name: new("renamed"), Scopes: new([]string)})
		s.keeps(d1, one)
		s.keeps(d3, three)
	}},
	{"an unknown or impossible ID is ErrNotFound", func(t *testing.T, s *subject) {
		d, key := s.add()
		for _, id := range append(impossibleIDs(), "nobody", "SAMPLE-1") {
			_, err := s.Update(t.Context(), id, apikey.Patch{Name: new("renamed")})
			s.refused("Update of the unknown ID "+short(id), err, apikey.ErrNotFound)
		}
		s.keeps(d, key)
	}},
	{"no memory is shared with the Patch or with what it hands out", func(t *testing.T, s *subject) {
		d, want := s.add()
		want.Scopes, want.Metadata = []string{"x", "y"}, map[string]string{"k": "v"}
		mine := want.Clone()
		got := s.update(want.ID, apikey.Patch{Scopes: &mine.Scopes, Metadata: &mine.Metadata})
		scribble(mine)
		s.keeps(d, want)
		s.check("what Update returned before its argument changed", got, want)
		scribble(got)
		s.keeps(d, want)
		scribble(s.update(want.ID, apikey.Patch{}))
		s.keeps(d, want)
	}},
}
