package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

var limitRules = []rule{
	{"returns limits in their order", func(t *testing.T, s *store) {
		d, key := s.next()
		key.Limits = []apikey.Limit{
			{Name: "second", Requests: 10, Per: time.Second, Burst: 20},
			{Name: "month", Requests: 1_000_000_000, Calendar: "month"},
			{Name: "day", Requests: 1, Calendar: "day"},
			{Name: "odd", Requests: 7, Per: 90*time.Minute + time.Microsecond},
		}
		s.create(d, key)
		s.wantStored(d, key)
	}},
	{"accepts 8 limits with the longest text", func(t *testing.T, s *store) {
		d, key := s.next()
		for i := range 8 {
			key.Limits = append(key.Limits, apikey.Limit{
				Name: fmt.Sprintf("name-of-a-limit-with-30-char-%d", i), Requests: 1_000_000_000, Per: 366*24*time.Hour - time.Microsecond, Burst: 1_000_000_000,
			})
		}
		s.create(d, key)
		s.wantStored(d, key)
	}},
	{"an empty Patch.Limits removes the limits", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) { key.Limits = []apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}} })
		key.Limits = nil
		s.update(key.ID, apikey.Patch{Limits: &[]apikey.Limit{}})
		s.wantStored(d, key)
	}},
	{"the successor of a key has its limits", func(t *testing.T, s *store) {
		_, key := s.add(func(key *apikey.Key) { key.Limits = []apikey.Limit{{Name: "rate", Requests: 1, Per: time.Second}} })
		if _, successor := s.replace(key.ID, graceEnd); !slices.Equal(successor.Limits, key.Limits) {
			t.Errorf("successor: Limits = %v; want %v", successor.Limits, key.Limits)
		}
	}},
	{"a key that gets another owner leaves its series", func(t *testing.T, s *store) {
		_, first := s.add()
		_, second := s.replace(first.ID, graceEnd)
		seen := map[string]bool{first.ID: true}
		for _, id := range []string{first.ID, second.ID} {
			key := s.update(id, apikey.Patch{Owner: new("other")})
			if seen[key.Origin] || key.Origin == "" {
				t.Errorf("key %s: Origin = %q; want another one than its old series", id, key.Origin)
			}
			seen[key.Origin] = true
			if again := s.update(id, apikey.Patch{Owner: new("other")}); again.Origin != key.Origin {
				t.Errorf("key %s, with the same owner again: Origin = %q; want %q", id, again.Origin, key.Origin)
			}
		}
	}},
	{"every successor has the Origin of the first key", func(t *testing.T, s *store) {
		_, first := s.add()
		_, second := s.replace(first.ID, graceEnd)
		d, third := s.replace(second.ID, graceEnd)
		for _, key := range []apikey.Key{second, third, *s.lookup(d)} {
			if key.Origin != first.ID {
				t.Errorf("key %s: Origin = %q; want %q", key.ID, key.Origin, first.ID)
			}
		}
	}},
}
