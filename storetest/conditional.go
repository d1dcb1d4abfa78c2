package storetest

import (
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// errRefused is the error of a Check. It is not an error of this module, and it wraps an error that a
// store must not mistake for an outage or for an error of its own.
var errRefused = fmt.Errorf("refused by the test: %w", errors.ErrUnsupported)

// withCondition returns a view of the store with a Condition.
func (s *store) withCondition(c apikey.Condition) apikey.KeyManager {
	s.t.Helper()
	view := optional[apikey.Conditional](s, "a Conditional").If(c)
	if view == nil {
		s.t.Fatal("If returned nil; want a view of the store")
	}
	return view
}

// refusing returns a view whose Check refuses every change.
func (s *store) refusing() apikey.KeyManager {
	s.t.Helper()
	return s.withCondition(apikey.Condition{Check: func(apikey.Key) error { return errRefused }})
}

// A conditionalChange is a change of a key through a view.
type conditionalChange struct {
	name string
	do   func(m apikey.KeyManager, id string) (apikey.Key, error)
}

// conditionalChanges are the changes for which Check is called.
func (s *store) conditionalChanges() []conditionalChange {
	name := "changed"
	return []conditionalChange{
		{"Update", func(m apikey.KeyManager, id string) (apikey.Key, error) {
			return m.Update(s.t.Context(), id, apikey.Patch{Name: &name})
		}},
		{"Replace", func(m apikey.KeyManager, id string) (apikey.Key, error) {
			d, successor := s.next()
			return m.Replace(s.t.Context(), id, graceEnd, d, successor)
		}},
		{"Revoke", func(m apikey.KeyManager, id string) (apikey.Key, error) { return m.Revoke(s.t.Context(), id) }},
	}
}

// unwritten returns a function that checks that nothing was written since the call of unwritten: no key,
// no audit entry and no revision.
func (s *store) unwritten() func(what string) {
	s.t.Helper()
	keys := s.list(apikey.ListOptions{Sort: apikey.SortNewest})
	auditor, audits := apikey.StoreAs[apikey.Auditor](s.KeyManager)
	feed, feeds := apikey.StoreAs[apikey.ChangeFeed](s.KeyManager)
	entries, head := 0, apikey.Version{}
	if audits {
		entries = len(s.trail(auditor, "", 0))
	}
	headOf := func() apikey.Version {
		c, err := feed.Changes(s.t.Context(), apikey.Version{})
		if err != nil {
			s.t.Fatalf("Changes = %v; want nil", err)
		}
		return c.Head
	}
	if feeds {
		head = headOf()
	}
	return func(what string) {
		s.t.Helper()
		now := s.list(apikey.ListOptions{Sort: apikey.SortNewest})
		if !slices.Equal(ids(now), ids(keys)) {
			s.t.Errorf("%s: the store has the keys %q; want %q", what, ids(now), ids(keys))
			return
		}
		for i := range now {
			s.wantKey(what, now[i], keys[i])
		}
		if audits {
			if n := len(s.trail(auditor, "", 0)); n != entries {
				s.t.Errorf("%s wrote %d audit entries; want none", what, n-entries)
			}
		}
		if feeds {
			if now := headOf(); now != head {
				s.t.Errorf("%s moved the head from %v to %v", what, head, now)
			}
		}
	}
}

// wantSame checks that a call returned exactly this error.
func (s *store) wantSame(call string, err, want error) {
	s.t.Helper()
	if err != want {
		s.t.Errorf("%s = %s; want the error of Check itself, %s", call, errorName(err), errorName(want))
	}
}

var checkRules = []rule{
	{"the zero Condition permits every change", func(t *testing.T, s *store) {
		view := s.withCondition(apikey.Condition{})
		s.add()
		d, key := s.next()
		if err := view.Create(t.Context(), d, key); err != nil {
			t.Fatalf("Create = %v; want nil", err)
		}
		s.wantStored(d, key)
		for _, change := range s.conditionalChanges() {
			_, key := s.add()
			if _, err := change.do(view, key.ID); err != nil {
				t.Errorf("%s = %v; want nil", change.name, err)
			}
		}
	}},
	{"a view reads the keys of the store", func(t *testing.T, s *store) {
		view := s.refusing()
		d, key := s.add()
		got, err := view.Get(t.Context(), key.ID)
		s.wantKey("Get of a view", s.must("Get of a view", got, err), key)
		found, err := view.Lookup(t.Context(), d)
		if err != nil || found == nil || found.ID != key.ID {
			t.Errorf("Lookup of a view = %v, %v; want the key", found, err)
		}
		if page, err := view.List(t.Context(), apikey.ListOptions{}); err != nil || !slices.Equal(ids(page.Keys), []string{key.ID}) {
			t.Errorf("List of a view = %q, %v; want the key", ids(page.Keys), err)
		}
	}},
	{"Check gets the current key", func(t *testing.T, s *store) {
		for _, change := range s.conditionalChanges() {
			_, key := s.add()
			key.Name = "current"
			s.update(key.ID, apikey.Patch{Name: &key.Name})
			var seen []apikey.Key
			view := s.withCondition(apikey.Condition{Check: func(k apikey.Key) error {
				seen = append(seen, k)
				return nil
			}})
			if _, err := change.do(view, key.ID); err != nil {
				t.Fatalf("%s = %v; want nil", change.name, err)
			}
			if len(seen) != 1 {
				t.Fatalf("%s called Check %d times; want once", change.name, len(seen))
			}
			s.wantKey("Check of "+change.name, seen[0], key)
		}
	}},
	{"a change that Check refuses writes nothing", func(t *testing.T, s *store) {
		view := s.refusing()
		for _, change := range s.conditionalChanges() {
			_, key := s.add()
			wantUnwritten := s.unwritten()
			_, err := change.do(view, key.ID)
			s.wantSame(change.name, err, errRefused)
			wantUnwritten(change.name)
		}
	}},
	{"the error of Check comes before other reasons", func(t *testing.T, s *store) {
		view := s.refusing()
		_, revoked := s.add()
		s.revoke(revoked.ID)
		_, old := s.add()
		s.replace(old.ID, graceEnd)
		wantUnwritten := s.unwritten()
		invalid := "\x00"
		_, err := view.Update(t.Context(), old.ID, apikey.Patch{Name: &invalid})
		s.wantSame("Update(invalid name)", err, errRefused)
		for name, key := range map[string]apikey.Key{"key with a successor": old, "revoked key": revoked} {
			d, successor := s.next()
			_, err = view.Replace(t.Context(), key.ID, graceEnd, d, successor)
			s.wantSame("Replace("+name+")", err, errRefused)
		}
		_, err = view.Revoke(t.Context(), revoked.ID)
		s.wantSame("Revoke(revoked key)", err, errRefused)
		wantUnwritten("a refused change")
	}},
	{"an unknown ID is ErrNotFound without a Check", func(t *testing.T, s *store) {
		view := s.withCondition(apikey.Condition{Check: func(key apikey.Key) error {
			t.Errorf("Check got the key %+v", key)
			return errRefused
		}})
		for _, change := range s.conditionalChanges() {
			_, err := change.do(view, "unknown")
			s.wantError(change.name+"(unknown ID)", err, apikey.ErrNotFound)
		}
	}},
	{"Check cannot change the key", func(t *testing.T, s *store) {
		d, key := s.add()
		view := s.withCondition(apikey.Condition{Check: func(k apikey.Key) error {
			k.Scopes[0], k.Metadata["system"] = "admin", "changed"
			return nil
		}})
		key.Name = "renamed"
		if _, err := view.Update(t.Context(), key.ID, apikey.Patch{Name: &key.Name}); err != nil {
			t.Fatal(err)
		}
		s.wantStored(d, key)
	}},
	{"the store works after a Check that panics", func(t *testing.T, s *store) {
		_, key := s.add()
		view := s.withCondition(apikey.Condition{Check: func(apikey.Key) error { panic("in Check") }})
		for _, change := range s.conditionalChanges() {
			wantUnwritten := s.unwritten()
			func() {
				defer func() { recover() }()
				change.do(view, key.ID)
				t.Errorf("%s did not panic", change.name)
			}()
			wantUnwritten(change.name)
		}
		s.revoke(key.ID)
	}},
	{"one of several changes of the same version succeeds", func(t *testing.T, s *store) {
		const racers = 12
		d, key := s.add()
		errs := make([]error, racers)
		views := make([]apikey.KeyManager, racers)
		for i := range views {
			views[i] = s.withCondition(apikey.Condition{Check: func(k apikey.Key) error {
				if k.Name != key.Name {
					return errRefused
				}
				return nil
			}})
		}
		concurrently(racers, func(i int) {
			name := numbered(i)
			_, errs[i] = views[i].Update(t.Context(), key.ID, apikey.Patch{Name: &name})
		})
		winner := slices.Index(errs, nil)
		if winner < 0 {
			t.Fatalf("concurrent Update = %v; want one nil", errs)
		}
		for i, err := range errs {
			if i != winner {
				s.wantSame("concurrent Update", err, errRefused)
			}
		}
		key.Name = numbered(winner)
		s.wantStored(d, key)
	}},
}
