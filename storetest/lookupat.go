package storetest

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// stamp returns the state that an unknown digest was looked up in.
func (s *subject) stamp(store apikey.StampedStore) apikey.Cursor {
	s.t.Helper()
	key, at, err := store.LookupAt(s.t.Context(), digestOf(-1))
	isNotFound(s.t, "LookupAt of an unknown digest", key, err)
	return at
}

var lookupAtRules = []rule{
	{"agrees with Lookup", func(t *testing.T, s *subject) {
		store := s.stamped()
		keys := catalogue(t)
		for d, key := range keys {
			s.create(d, key)
		}
		for d, want := range keys {
			key, _, err := store.LookupAt(t.Context(), d)
			isKey(t, "LookupAt of "+want.ID, key, err, want)
		}
		for _, d := range []apikey.Digest{digestOf(-1), {}} {
			key, _, err := store.LookupAt(t.Context(), d)
			isNotFound(t, "LookupAt of an unknown digest", key, err)
		}
	}},
	{"sees every write at once", func(t *testing.T, s *subject) {
		store := s.stamped()
		d, want := s.add()
		want.Name = "renamed"
		s.update(want.ID, apikey.Patch{Name: &want.Name})
		key, _, err := store.LookupAt(t.Context(), d)
		isKey(t, "LookupAt after Update", key, err, want)
		want = s.revoke(want.ID)
		key, _, err = store.LookupAt(t.Context(), d)
		isKey(t, "LookupAt after Revoke", key, err, want)
	}},
	{"tells the state of an unknown digest too", func(t *testing.T, s *subject) {
		store := s.stamped()
		if at := s.stamp(store); at == (apikey.Cursor{}) {
			t.Error("the zero Cursor comes with ErrNotFound from an empty store")
		}
		d, _ := s.add()
		_, known, err := store.LookupAt(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		unknown := s.stamp(store)
		if known.Epoch != unknown.Epoch || known.Revision != unknown.Revision {
			t.Errorf("the state is %+v with a key and %+v without, and nothing was written in between", known, unknown)
		}
	}},
	{"the revision grows with each write", func(t *testing.T, s *subject) {
		store := s.stamped()
		var d apikey.Digest
		var key apikey.Key
		before := s.stamp(store)
		for _, write := range []struct {
			what string
			do   func()
		}{
			{"Create", func() { d, key = s.add() }},
			{"Update", func() { s.update(key.ID, apikey.Patch{Name: new("renamed")}) }},
			{"Replace", func() { s.replace(key.ID, soon) }},
			{"Revoke", func() { s.revoke(key.ID) }},
		} {
			write.do()
			_, known, err := store.LookupAt(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			for _, after := range []apikey.Cursor{known, s.stamp(store)} {
				if after.Epoch != before.Epoch || after.Revision <= before.Revision {
					t.Errorf("the state is %+v before %s and %+v after it", before, write.what, after)
				}
			}
			before = known
		}
	}},
	{"the state is not ahead of the feed's", func(t *testing.T, s *subject) {
		store, feed := s.stamped(), s.feed()
		for range 3 {
			at := s.stamp(store)
			if head := s.head(feed); at.Epoch != head.Epoch || at.Revision > head.Revision {
				t.Errorf("LookupAt tells the state %+v, and Changes has the head %+v", at, head)
			}
			s.add()
		}
	}},
	{"the state is not older than what was announced", func(t *testing.T, s *subject) {
		store, feed := s.stamped(), s.feed()
		heard := s.listen(feed)
		d, key := s.add()
		s.revoke(key.ID)
		_, at, err := store.LookupAt(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range heard.all() {
			if at.Epoch != a.at.Epoch || at.Revision < a.at.Revision {
				t.Errorf("LookupAt after the writes tells the state %+v, and %+v was announced before", at, a.at)
			}
		}
	}},
	{"every change up to its state is in the answer while writers run", func(t *testing.T, s *subject) {
		store, feed := s.stamped(), s.feed()
		heard := s.listen(feed)
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
					key, at, err := store.LookupAt(t.Context(), d)
					if err != nil || key == nil {
						t.Errorf("LookupAt among writers = %v, %v", key, err)
						return
					}
					answers[i] = append(answers[i], answer{key.Name, at.Revision})
				}
			})
		}
		revisions := []uint64{0} // in which the key has each name, in turn
		for n := 1; n <= last; n++ {
			heard.forget()
			if _, err := s.Update(t.Context(), key.ID, apikey.Patch{Name: new(numbered(n))}); err != nil {
				t.Errorf("Update: %v", err)
				break
			}
			told := revisions[n-1]
			for _, a := range heard.all() {
				told = max(told, a.at.Revision)
			}
			if told == revisions[n-1] {
				t.Error("Update announced no new revision")
				break
			}
			revisions = append(revisions, told)
		}
		done.Store(true)
		wg.Wait()
		for _, a := range slices.Concat(answers...) {
			n, found := slices.BinarySearch(revisions, a.revision)
			if !found {
				n--
			}
			// The zeros in them make the order of names that of numbers.
			if a.name < numbered(n) {
				t.Fatalf("LookupAt tells the revision %d, in which the key was named %q already, with the key as %q", a.revision, numbered(n), a.name)
			}
		}
	}},
	{"a context that is done is not ErrNotFound", func(t *testing.T, s *subject) {
		store := s.stamped()
		d, want := s.add()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		key, at, err := store.LookupAt(ctx, d)
		isKeyOrOutage(t, "LookupAt with a cancelled context", key, err, want)
		if _, _, err := store.LookupAt(ctx, digestOf(-1)); errors.Is(err, apikey.ErrNotFound) && at == (apikey.Cursor{}) {
			t.Error("LookupAt with a cancelled context: ErrNotFound without a state")
		}
	}},
}

func numbered(n int) string { return fmt.Sprintf("name %06d", n) }
