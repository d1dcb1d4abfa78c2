package storetest

import (
	"errors"
	"maps"
	"testing"

	"github.com/latchkey-dev/apikey"
)

var successorRules = []rule{
	{"returns the successor of each rotated key and no other", func(t *testing.T, s *store) {
		finder := s.finder()
		_, old := s.add()
		_, other := s.add()
		next := s.rotate(old.ID)
		last := s.rotate(next)
		s.wantSuccessors(finder, map[string]string{old.ID: next, next: last}, old.ID, next, last, other.ID, "unknown", "", "a b", "é")
		s.wantSuccessors(finder, nil)
	}},
	{"prefers the successor that is not revoked", func(t *testing.T, s *store) {
		finder := s.finder()
		_, old := s.add()
		first := s.rotate(old.ID)
		s.revoke(first)
		s.wantSuccessors(finder, map[string]string{old.ID: first}, old.ID)
		second := s.rotate(old.ID)
		s.wantSuccessors(finder, map[string]string{old.ID: second}, old.ID)
		s.revoke(second)
		s.wantSuccessors(finder, map[string]string{old.ID: second}, old.ID)
	}},
	{"returns ErrInvalid for more than MaxSuccessors IDs", func(t *testing.T, s *store) {
		finder := s.finder()
		if _, err := finder.Successors(t.Context(), make([]string, apikey.MaxSuccessors)); err != nil {
			t.Errorf("Successors(%d IDs) = %v; want nil", apikey.MaxSuccessors, err)
		}
		if _, err := finder.Successors(t.Context(), make([]string, apikey.MaxSuccessors+1)); !errors.Is(err, apikey.ErrInvalid) {
			t.Errorf("Successors(%d IDs) = %v; want ErrInvalid", apikey.MaxSuccessors+1, err)
		}
	}},
}

// rotate replaces a key and returns the ID of its successor.
func (s *store) rotate(id string) string {
	s.t.Helper()
	d, _ := s.replace(id, graceEnd)
	return s.lookup(d).ID
}

// wantSuccessors checks the result of Successors for these IDs.
func (s *store) wantSuccessors(finder apikey.SuccessorFinder, want map[string]string, ids ...string) {
	s.t.Helper()
	got, err := finder.Successors(s.t.Context(), ids)
	if err != nil || !maps.Equal(got, want) {
		s.t.Errorf("Successors(%q) = %v, %v; want %v", ids, got, err, want)
	}
}
