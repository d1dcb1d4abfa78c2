package storetest

import (
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// together runs f n times at once and waits.
func together(n int, f func(i int)) {
	var wg sync.WaitGroup
	start := make(chan struct{})
	for i := range n {
		wg.Go(func() {
			<-start
			f(i)
		})
	}
	close(start)
	wg.Wait()
}

var concurrencyRules = []rule{
	{"of creations with one ID exactly one wins", func(t *testing.T, s *subject) {
		const racers = 12
		errs := make([]error, racers)
		key := sample(0)
		together(racers, func(i int) {
			mine := key
			mine.Hint = sample(i).Hint
			errs[i] = s.Create(t.Context(), digestOf(i), mine)
		})
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("no creation won: %v", errs)
		}
		for i, err := range errs {
			if i != winner {
				s.refused("Create with an ID that another has won", err, apikey.ErrExists)
				found, err := s.Lookup(t.Context(), digestOf(i))
				isNotFound(t, "Lookup of a digest that has lost", found, err)
			}
		}
		key.Hint = sample(winner).Hint
		s.keeps(digestOf(winner), key)
	}},
	{"of creations with one digest exactly one wins", func(t *testing.T, s *subject) {
		const racers = 12
		errs := make([]error, racers)
		together(racers, func(i int) { errs[i] = s.Create(t.Context(), digestOf(0), sample(i)) })
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("no creation won: %v", errs)
		}
		for i, err := range errs {
			if i != winner {
				s.refused("Create with a digest that another has won", err, apikey.ErrExists)
			}
		}
		s.keeps(digestOf(0), sample(winner))
		s.lists(apikey.ListOptions{}, sample(winner).ID)
	}},
	{"revocations agree on one time", func(t *testing.T, s *subject) {
		d, key := s.add()
		times := make([]time.Time, 8)
		together(len(times), func(i int) {
			got, err := s.Revoke(t.Context(), key.ID)
			if err != nil {
				t.Errorf("Revoke among others: %v", err)
			}
			times[i] = got.RevokedAt
		})
		for _, at := range times {
			if !at.Equal(times[0]) || at.IsZero() {
				t.Errorf("RevokedAt is %v for one caller and %v for another", times[0], at)
			}
		}
		key.RevokedAt = times[0]
		s.keeps(d, key)
	}},
	{"updates of different keys are all kept", func(t *testing.T, s *subject) {
		digests, keys := make([]apikey.Digest, 8), make([]apikey.Key, 8)
		for i := range keys {
			digests[i], keys[i] = s.add()
		}
		together(len(keys), func(i int) {
			want := &keys[i]
			want.Name, want.Scopes = numbered(i), []string{numbered(i)[5:]}
			for _, p := range []apikey.Patch{{Name: &want.Name}, {Scopes: &want.Scopes}} {
				if _, err := s.Update(t.Context(), want.ID, p); err != nil {
					t.Errorf("Update among others: %v", err)
				}
			}
		})
		for i, want := range keys {
			s.keeps(digests[i], want)
		}
	}},
	{"updates of different fields of one key are all kept", func(t *testing.T, s *subject) {
		d, key := s.add()
		want := filled(t, 99)
		key.Name, key.Scopes, key.Metadata, key.ExpiresAt = want.Name, want.Scopes, want.Metadata, want.ExpiresAt
		patches := []apikey.Patch{{Name: &want.Name}, {Scopes: &want.Scopes}, {Metadata: &want.Metadata}, {ExpiresAt: &want.ExpiresAt}}
		together(len(patches), func(i int) {
			for range 5 {
				if _, err := s.Update(t.Context(), key.ID, patches[i]); err != nil {
					t.Errorf("Update among others: %v", err)
				}
			}
		})
		s.keeps(d, key)
	}},
	{"readers see whole keys while writers run", func(t *testing.T, s *subject) {
		version := func(n int) (name string, scopes []string, metadata map[string]string) {
			text := numbered(n)
			return text, []string{text[5:], "x" + text[5:]}, map[string]string{"version": text}
		}
		d, key := s.add(func(key *apikey.Key) { key.Name, key.Scopes, key.Metadata = version(0) })
		var done atomic.Bool
		whole := func(what string, got apikey.Key, err error) {
			if err != nil {
				t.Errorf("%s among writers: %v", what, err)
			} else if got.ID != key.ID || got.Owner != key.Owner || len(got.Scopes) != 2 || got.Metadata["version"] != got.Name ||
				got.Scopes[0] != got.Name[len(got.Name)-6:] || got.Scopes[1] != "x"+got.Scopes[0] {
				t.Errorf("%s among writers has parts of different writes: %+v", what, got)
			}
		}
		readers := []func(){
			func() {
				got, err := s.Lookup(t.Context(), d)
				if got == nil {
					got = new(apikey.Key)
				}
				whole("Lookup", *got, err)
			},
			func() {
				got, err := s.Get(t.Context(), key.ID)
				whole("Get", got, err)
			},
			func() {
				page, err := s.List(t.Context(), apikey.ListOptions{})
				whole("List", append(page.Keys, apikey.Key{})[0], err)
			},
		}
		together(1+len(readers), func(i int) {
			if i < len(readers) {
				for !done.Load() && !t.Failed() {
					readers[i]()
				}
				return
			}
			defer done.Store(true)
			for n := range 40 {
				name, scopes, metadata := version(n)
				got, err := s.Update(t.Context(), key.ID, apikey.Patch{Name: &name, Scopes: &scopes, Metadata: &metadata})
				whole("Update", got, err)
			}
		})
	}},
	{"an update at the time of a revocation does not undo it", func(t *testing.T, s *subject) {
		d, key := s.add()
		var revoked apikey.Key
		together(5, func(i int) {
			if i == 0 {
				var err error
				if revoked, err = s.Revoke(t.Context(), key.ID); err != nil {
					t.Errorf("Revoke among updates: %v", err)
				} else if found, err := s.Lookup(t.Context(), d); err != nil || found == nil || found.RevokedAt.IsZero() {
					t.Errorf("Lookup after Revoke among updates = %+v, %v; want the key, revoked", found, err)
				}
				return
			}
			for n := range 10 {
				if _, err := s.Update(t.Context(), key.ID, apikey.Patch{Name: new(numbered(n))}); err != nil {
					t.Errorf("Update among others: %v", err)
				}
			}
		})
		for what, got := range map[string]apikey.Key{"Get": s.get(key.ID), "Lookup": *s.find(d), "List": s.listed(key.ID)} {
			if !got.RevokedAt.Equal(revoked.RevokedAt) || got.RevokedAt.IsZero() {
				t.Errorf("%s: RevokedAt is %v, and Revoke returned %v", what, got.RevokedAt, revoked.RevokedAt)
			}
		}
	}},
	{"a replacement at the time of a revocation does not undo it", func(t *testing.T, s *subject) {
		for range 3 {
			d, key := s.add()
			fresh, successor := s.next()
			var revoking, replacing error
			together(2, func(i int) {
				if i == 0 {
					_, revoking = s.Revoke(t.Context(), key.ID)
				} else {
					_, replacing = s.Replace(t.Context(), key.ID, soon, fresh, successor)
				}
			})
			if revoking != nil || s.find(d).RevokedAt.IsZero() {
				t.Errorf("Revoke among others: %v, and the key was revoked at %v", revoking, s.find(d).RevokedAt)
			}
			if replacing == nil {
				s.get(successor.ID)
			} else if s.lacks(fresh, successor.ID); !errors.Is(replacing, apikey.ErrRevoked) {
				t.Errorf("Replace among others: %v, want nil or ErrRevoked", replacing)
			}
		}
	}},
	{"creations at the same time are all listed", func(t *testing.T, s *subject) {
		var want []string
		for i := range 12 {
			want = append(want, sample(i).ID)
		}
		together(len(want), func(i int) {
			if err := s.Create(t.Context(), digestOf(i), sample(i)); err != nil {
				t.Errorf("Create among others: %v", err)
			}
		})
		for _, sort := range sorts {
			s.selects(apikey.ListOptions{Sort: sort, Limit: 5}, want...)
		}
	}},
}
