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

// concurrently runs f for 0 to n-1 at the same time and waits for all.
func concurrently(n int, f func(i int)) {
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
	{"one of several creations with one ID succeeds", func(t *testing.T, s *store) {
		const racers = 12
		errs := make([]error, racers)
		key := sample(0)
		concurrently(racers, func(i int) {
			mine := key
			mine.Hint = sample(i).Hint
			errs[i] = s.Create(t.Context(), digestOf(i), mine)
		})
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("concurrent Create = %v; want one nil", errs)
		}
		for i, err := range errs {
			if i != winner {
				s.wantError("concurrent Create(taken ID)", err, apikey.ErrExists)
				found, err := s.Lookup(t.Context(), digestOf(i))
				wantNotFound(t, "Lookup(digest of a refused key)", found, err)
			}
		}
		key.Hint = sample(winner).Hint
		s.wantStored(digestOf(winner), key)
	}},
	{"one of several creations with one digest succeeds", func(t *testing.T, s *store) {
		const racers = 12
		errs := make([]error, racers)
		concurrently(racers, func(i int) { errs[i] = s.Create(t.Context(), digestOf(0), sample(i)) })
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("concurrent Create = %v; want one nil", errs)
		}
		for i, err := range errs {
			if i != winner {
				s.wantError("concurrent Create(taken digest)", err, apikey.ErrExists)
			}
		}
		s.wantStored(digestOf(0), sample(winner))
		s.wantList(apikey.ListOptions{}, sample(winner).ID)
	}},
	{"concurrent revocations return one RevokedAt", func(t *testing.T, s *store) {
		d, key := s.add()
		times := make([]time.Time, 8)
		concurrently(len(times), func(i int) {
			got, err := s.Revoke(t.Context(), key.ID)
			if err != nil {
				t.Errorf("concurrent Revoke = %v; want nil", err)
			}
			times[i] = got.RevokedAt
		})
		for _, at := range times {
			if !at.Equal(times[0]) || at.IsZero() {
				t.Errorf("concurrent Revoke: RevokedAt = %v and %v; want one time", times[0], at)
			}
		}
		key.RevokedAt = times[0]
		s.wantStored(d, key)
	}},
	{"updates of different keys are all stored", func(t *testing.T, s *store) {
		digests, keys := make([]apikey.Digest, 8), make([]apikey.Key, 8)
		for i := range keys {
			digests[i], keys[i] = s.add()
		}
		concurrently(len(keys), func(i int) {
			want := &keys[i]
			want.Name, want.Scopes = numbered(i), []string{numbered(i)[5:]}
			for _, p := range []apikey.Patch{{Name: &want.Name}, {Scopes: &want.Scopes}} {
				if _, err := s.Update(t.Context(), want.ID, p); err != nil {
					t.Errorf("concurrent Update = %v; want nil", err)
				}
			}
		})
		for i, want := range keys {
			s.wantStored(digests[i], want)
		}
	}},
	{"updates of different fields of one key are all stored", func(t *testing.T, s *store) {
		d, key := s.add()
		want := filled(t, 99)
		key.Name, key.Scopes, key.Metadata, key.ExpiresAt = want.Name, want.Scopes, want.Metadata, want.ExpiresAt
		patches := []apikey.Patch{{Name: &want.Name}, {Scopes: &want.Scopes}, {Metadata: &want.Metadata}, {ExpiresAt: &want.ExpiresAt}}
		concurrently(len(patches), func(i int) {
			for range 5 {
				if _, err := s.Update(t.Context(), key.ID, patches[i]); err != nil {
					t.Errorf("concurrent Update = %v; want nil", err)
				}
			}
		})
		s.wantStored(d, key)
	}},
	{"readers never see a partial write", func(t *testing.T, s *store) {
		version := func(n int) (name string, scopes []string, metadata map[string]string) {
			text := numbered(n)
			return text, []string{text[5:], "x" + text[5:]}, map[string]string{"version": text}
		}
		d, key := s.add(func(key *apikey.Key) { key.Name, key.Scopes, key.Metadata = version(0) })
		var done atomic.Bool
		wantWhole := func(call string, got apikey.Key, err error) {
			if err != nil {
				t.Errorf("%s during writes = %v; want nil", call, err)
			} else if got.ID != key.ID || got.Owner != key.Owner || len(got.Scopes) != 2 || got.Metadata["version"] != got.Name ||
				got.Scopes[0] != got.Name[len(got.Name)-6:] || got.Scopes[1] != "x"+got.Scopes[0] {
				t.Errorf("%s during writes = %+v; want all fields from one write", call, got)
			}
		}
		readers := []func(){
			func() {
				got, err := s.Lookup(t.Context(), d)
				if got == nil {
					got = new(apikey.Key)
				}
				wantWhole("Lookup", *got, err)
			},
			func() {
				got, err := s.Get(t.Context(), key.ID)
				wantWhole("Get", got, err)
			},
			func() {
				page, err := s.List(t.Context(), apikey.ListOptions{})
				wantWhole("List", append(page.Keys, apikey.Key{})[0], err)
			},
		}
		concurrently(1+len(readers), func(i int) {
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
				wantWhole("Update", got, err)
			}
		})
	}},
	{"a concurrent update does not undo a revocation", func(t *testing.T, s *store) {
		d, key := s.add()
		var revoked apikey.Key
		concurrently(5, func(i int) {
			if i == 0 {
				var err error
				if revoked, err = s.Revoke(t.Context(), key.ID); err != nil {
					t.Errorf("Revoke during updates = %v; want nil", err)
				} else if found, err := s.Lookup(t.Context(), d); err != nil || found == nil || found.RevokedAt.IsZero() {
					t.Errorf("Lookup after Revoke during updates = %+v, %v; want the revoked key", found, err)
				}
				return
			}
			for n := range 10 {
				if _, err := s.Update(t.Context(), key.ID, apikey.Patch{Name: new(numbered(n))}); err != nil {
					t.Errorf("concurrent Update = %v; want nil", err)
				}
			}
		})
		for call, got := range map[string]apikey.Key{"Get": s.get(key.ID), "Lookup": *s.lookup(d), "List": s.listed(key.ID)} {
			if !got.RevokedAt.Equal(revoked.RevokedAt) || got.RevokedAt.IsZero() {
				t.Errorf("%s: RevokedAt = %v, Revoke returned %v; want the same time, not zero", call, got.RevokedAt, revoked.RevokedAt)
			}
		}
	}},
	{"a concurrent replacement does not undo a revocation", func(t *testing.T, s *store) {
		for range 3 {
			d, key := s.add()
			fresh, successor := s.next()
			var revoking, replacing error
			concurrently(2, func(i int) {
				if i == 0 {
					_, revoking = s.Revoke(t.Context(), key.ID)
				} else {
					_, replacing = s.Replace(t.Context(), key.ID, graceEnd, fresh, successor)
				}
			})
			if revoking != nil || s.lookup(d).RevokedAt.IsZero() {
				t.Errorf("Revoke during Replace = %v, RevokedAt = %v; want nil and a time", revoking, s.lookup(d).RevokedAt)
			}
			if replacing == nil {
				s.get(successor.ID)
			} else if s.wantAbsent(fresh, successor.ID); !errors.Is(replacing, apikey.ErrRevoked) {
				t.Errorf("Replace during Revoke = %v; want nil or ErrRevoked", replacing)
			}
		}
	}},
	{"one of several replacements succeeds and the others return its successor", func(t *testing.T, s *store) {
		const racers = 12
		_, old := s.add()
		digests, keys := make([]apikey.Digest, racers), make([]apikey.Key, racers)
		for i := range racers {
			digests[i], keys[i] = s.next()
		}
		errs := make([]error, racers)
		concurrently(racers, func(i int) { _, errs[i] = s.Replace(t.Context(), old.ID, graceEnd, digests[i], keys[i]) })
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("concurrent Replace = %v; want one nil", errs)
		}
		for i, err := range errs {
			if i != winner {
				s.wantReplaced(keys[winner].ID, err)
				s.wantAbsent(digests[i], keys[i].ID)
			}
		}
		s.get(keys[winner].ID)
	}},
	{"concurrent creations are all listed", func(t *testing.T, s *store) {
		var want []string
		for i := range 12 {
			want = append(want, sample(i).ID)
		}
		concurrently(len(want), func(i int) {
			if err := s.Create(t.Context(), digestOf(i), sample(i)); err != nil {
				t.Errorf("concurrent Create = %v; want nil", err)
			}
		})
		for _, sort := range sorts {
			s.wantSelected(apikey.ListOptions{Sort: sort, Limit: 5}, want...)
		}
	}},
}
