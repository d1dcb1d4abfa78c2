package storetest

import (
	"context"
	"errors"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// version returns the Version of a lookup of an unknown digest.
func (s *store) version(stamped apikey.StampedStore) apikey.Version {
	s.t.Helper()
	key, at, err := stamped.LookupAt(s.t.Context(), digestOf(-1))
	wantNotFound(s.t, "LookupAt(unknown digest)", key, err)
	return at
}

var lookupAtRules = []rule{
	{"agrees with Lookup", func(t *testing.T, s *store) {
		stamped := s.stamped()
		keys := lookupKeys(t)
		for d, key := range keys {
			s.create(d, key)
		}
		for d, want := range keys {
			key, _, err := stamped.LookupAt(t.Context(), d)
			wantLookup(t, "LookupAt(digest of "+want.ID+")", key, err, want)
		}
		for _, d := range []apikey.Digest{digestOf(-1), {}} {
			key, _, err := stamped.LookupAt(t.Context(), d)
			wantNotFound(t, "LookupAt(unknown digest)", key, err)
		}
	}},
	{"sees every write at once", func(t *testing.T, s *store) {
		stamped := s.stamped()
		d, want := s.add()
		want.Name = "renamed"
		s.update(want.ID, apikey.Patch{Name: &want.Name})
		key, _, err := stamped.LookupAt(t.Context(), d)
		wantLookup(t, "LookupAt(digest) after Update", key, err, want)
		want = s.revoke(want.ID)
		key, _, err = stamped.LookupAt(t.Context(), d)
		wantLookup(t, "LookupAt(digest) after Revoke", key, err, want)
	}},
	{"returns a Version with ErrNotFound", func(t *testing.T, s *store) {
		stamped := s.stamped()
		if at := s.version(stamped); at == (apikey.Version{}) {
			t.Error("LookupAt(unknown digest) in an empty store returned the zero Version; want another one")
		}
		d, _ := s.add()
		_, known, err := stamped.LookupAt(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		unknown := s.version(stamped)
		if known.Epoch != unknown.Epoch || known.Revision != unknown.Revision {
			t.Errorf("LookupAt = Version %+v for a known digest, %+v for an unknown one; want the same without a write in between", known, unknown)
		}
	}},
	{"every write raises the revision", func(t *testing.T, s *store) {
		stamped := s.stamped()
		var d apikey.Digest
		var key apikey.Key
		before := s.version(stamped)
		for _, write := range []struct {
			name string
			do   func()
		}{
			{"Create", func() { d, key = s.add() }},
			{"Update", func() { s.update(key.ID, apikey.Patch{Name: new("renamed")}) }},
			{"Replace", func() { s.replace(key.ID, graceEnd) }},
			{"Revoke", func() { s.revoke(key.ID) }},
		} {
			write.do()
			_, known, err := stamped.LookupAt(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			for _, after := range []apikey.Version{known, s.version(stamped)} {
				if after.Epoch != before.Epoch || after.Revision <= before.Revision {
					t.Errorf("LookupAt after %s = Version %+v; want a larger Revision than %+v", write.name, after, before)
				}
			}
			before = known
		}
	}},
	{"the Version is not ahead of the feed", func(t *testing.T, s *store) {
		stamped, feed := s.stamped(), s.feed()
		for range 3 {
			at := s.version(stamped)
			if head := s.head(feed); at.Epoch != head.Epoch || at.Revision > head.Revision {
				t.Errorf("LookupAt = Version %+v; want at most the Head of Changes, %+v", at, head)
			}
			s.add()
		}
	}},
	{"the Version is not older than an announced write", func(t *testing.T, s *store) {
		stamped, feed := s.stamped(), s.feed()
		sub := s.subscribe(feed)
		d, key := s.add()
		s.revoke(key.ID)
		_, at, err := stamped.LookupAt(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range sub.all() {
			if at.Epoch != a.at.Epoch || at.Revision < a.at.Revision {
				t.Errorf("LookupAt = Version %+v; want at least %+v, which was announced before", at, a.at)
			}
		}
	}},
	{"the answer contains every change up to its Version", func(t *testing.T, s *store) {
		stamped, feed := s.stamped(), s.feed()
		sub := s.subscribe(feed)
		const last = 40
		d, key := s.add(named(numbered(0)))
		type answer struct {
			name     string
			revision uint64
		}
		var done atomic.Bool
		answers := make([][]answer, 2)
		var wg sync.WaitGroup
		for i := range answers {
			wg.Go(func() {
				for !done.Load() {
					key, at, err := stamped.LookupAt(t.Context(), d)
					if err != nil || key == nil {
						t.Errorf("LookupAt during writes = %v, %v; want the key", key, err)
						return
					}
					answers[i] = append(answers[i], answer{key.Name, at.Revision})
				}
			})
		}
		revisions := []uint64{0} // revisions[n] is the first with name n
		for n := 1; n <= last; n++ {
			sub.reset()
			if _, err := s.Update(t.Context(), key.ID, apikey.Patch{Name: new(numbered(n))}); err != nil {
				t.Errorf("Update = %v; want nil", err)
				break
			}
			announced := revisions[n-1]
			for _, a := range sub.all() {
				announced = max(announced, a.at.Revision)
			}
			if announced == revisions[n-1] {
				t.Error("Update announced no new revision")
				break
			}
			revisions = append(revisions, announced)
		}
		done.Store(true)
		wg.Wait()
		for _, a := range slices.Concat(answers...) {
			n, found := slices.BinarySearch(revisions, a.revision)
			if !found {
				n--
			}
			// Leading zeros make names sort as their numbers do.
			if a.name < numbered(n) {
				t.Fatalf("LookupAt = revision %d, key named %q; want a name from %q on, which that revision contains", a.revision, a.name, numbered(n))
			}
		}
	}},
	{"does not return ErrNotFound because the context is done", func(t *testing.T, s *store) {
		stamped := s.stamped()
		d, want := s.add()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		key, at, err := stamped.LookupAt(ctx, d)
		wantLookupOrError(t, "LookupAt(known digest) with a cancelled context", key, err, want)
		if _, _, err := stamped.LookupAt(ctx, digestOf(-1)); errors.Is(err, apikey.ErrNotFound) && at == (apikey.Version{}) {
			t.Error("LookupAt(unknown digest) with a cancelled context = ErrNotFound and the zero Version; want another one")
		}
	}},
}
