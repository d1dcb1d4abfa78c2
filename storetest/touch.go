package storetest

import (
	"sync"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// used checks that Get and List tell of this last use, to the second.
func (s *subject) used(id string, at time.Time) {
	s.t.Helper()
	s.flush()
	for what, key := range map[string]apikey.Key{"Get": s.get(id), "List": s.listed(id)} {
		if got := key.LastUsedAt; got.Before(at.Truncate(time.Second)) || got.After(at) {
			s.t.Errorf("%s: the key %s was last used at %v; want %v, to the second", what, id, got, at)
		}
		if problem := zoned(key); problem != "" {
			s.t.Errorf("%s: %s", what, problem)
		}
	}
}

// Uses are an hour apart, so that a store which writes one use in so many minutes takes
// each of them.
var touchRules = []rule{
	{"Get and List tell the last use", func(t *testing.T, s *subject) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(d, past.Local())
		s.used(key.ID, past)
		s.keeps(d, key) // and nothing else has changed
	}},
	{"a key that was not used was never used", func(t *testing.T, s *subject) {
		toucher := s.toucher()
		d, _ := s.add()
		_, other := s.add()
		toucher.Touch(d, past)
		s.flush()
		if got, listed := s.get(other.ID).LastUsedAt, s.listed(other.ID).LastUsedAt; !got.IsZero() || !listed.IsZero() {
			t.Errorf("a key was last used at %v (Get) and %v (List) when another was", got, listed)
		}
	}},
	{"the latest use is kept", func(t *testing.T, s *subject) {
		toucher := s.toucher()
		d, key := s.add()
		for hours := range 3 {
			toucher.Touch(d, past.Add(time.Duration(hours)*time.Hour))
		}
		s.used(key.ID, past.Add(2*time.Hour))
		toucher.Touch(d, past.Add(3*time.Hour))
		s.used(key.ID, past.Add(3*time.Hour))
	}},
	{"an earlier use does not go back", func(t *testing.T, s *subject) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(d, past)
		toucher.Touch(d, past.Add(-time.Hour))
		s.used(key.ID, past)
		toucher.Touch(d, past.Add(-2*time.Hour))
		s.used(key.ID, past)
	}},
	{"each key has its own last use", func(t *testing.T, s *subject) {
		toucher := s.toucher()
		var keys []apikey.Key
		for i := range 4 {
			d, key := s.add()
			toucher.Touch(d, past.Add(time.Duration(i)*time.Hour))
			keys = append(keys, key)
		}
		for i, key := range keys {
			s.used(key.ID, past.Add(time.Duration(i)*time.Hour))
		}
	}},
	{"an unknown digest is ignored", func(t *testing.T, s *subject) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(digestOf(-1), past)
		toucher.Touch(apikey.Digest{}, past)
		toucher.Touch(d, past)
		s.used(key.ID, past) // with it, the others were not lost
		s.lists(apikey.ListOptions{}, key.ID)
		// Whoever gets that digest later was not used before.
		_, late := s.next()
		s.create(digestOf(-1), late)
		s.flush()
		if at := s.get(late.ID).LastUsedAt; !at.IsZero() {
			t.Errorf("a new key was last used at %v, before it was made", at)
		}
	}},
	{"a use outlasts the writes that follow it", func(t *testing.T, s *subject) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(d, past)
		s.used(key.ID, past)
		s.update(key.ID, apikey.Patch{Name: new("renamed")})
		s.used(key.ID, past)
		s.replace(key.ID, soon)
		s.used(key.ID, past)
		s.revoke(key.ID)
		s.used(key.ID, past)
	}},
	{"a use of a revoked key does not bring it back", func(t *testing.T, s *subject) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(d, past)
		revoked := s.revoke(key.ID)
		s.flush()
		s.keeps(d, revoked)
		toucher.Touch(d, past.Add(time.Hour))
		s.flush()
		s.keeps(d, revoked)
	}},
	{"uses at the time of a revocation do not undo it", func(t *testing.T, s *subject) {
		toucher := s.toucher()
		d, key := s.add()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 50 {
					toucher.Touch(d, past.Add(time.Duration(8*j+i)*time.Hour))
				}
			})
		}
		revoked := s.revoke(key.ID)
		s.flush()
		wg.Wait()
		s.used(key.ID, past.Add(399*time.Hour))
		s.keeps(d, revoked)
	}},
}
