package storetest

import (
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-dev/apikey"
)

// wantList checks that options select the keys with these IDs, in this order.
func (s *store) wantList(o apikey.ListOptions, want ...string) {
	s.t.Helper()
	if got := ids(s.list(o)); !slices.Equal(got, want) {
		s.t.Errorf("List(%s) = %q; want %q", describe(o), got, want)
	}
}

// wantSelected checks that options select the keys with these IDs, in any order.
func (s *store) wantSelected(o apikey.ListOptions, want ...string) {
	s.t.Helper()
	got := ids(s.list(o))
	slices.Sort(got)
	slices.Sort(want)
	if !slices.Equal(got, want) {
		s.t.Errorf("List(%s) = %q; want %q in any order", describe(o), got, want)
	}
}

// wantKey checks a key that a call returned.
func (s *store) wantKey(call string, got, want apikey.Key) {
	s.t.Helper()
	if problem := difference(got, want); problem != "" {
		s.t.Errorf("%s: %s", call, problem)
	}
	if problem := notUTC(got); problem != "" {
		s.t.Errorf("%s: %s", call, problem)
	}
}

// wantStored checks that Get, Lookup and List return a key.
func (s *store) wantStored(d apikey.Digest, want apikey.Key) {
	s.t.Helper()
	if got, err := s.Get(s.t.Context(), want.ID); err != nil {
		s.t.Errorf("Get(%.80q) = %v; want nil", want.ID, err)
	} else {
		s.wantKey(fmt.Sprintf("Get(%.80q)", want.ID), got, want)
	}
	if got, err := s.Lookup(s.t.Context(), d); err != nil || got == nil {
		s.t.Errorf("Lookup(digest of %.80q) = %v, %v; want the key", want.ID, got, err)
	} else {
		s.wantKey(fmt.Sprintf("Lookup(digest of %.80q)", want.ID), *got, want)
	}
	s.wantKey(fmt.Sprintf("List(), key %.80q", want.ID), s.listed(want.ID), want)
}

// wantAbsent checks that the store has no key with this digest and no key with this ID.
func (s *store) wantAbsent(d apikey.Digest, id string) {
	s.t.Helper()
	_, err := s.Get(s.t.Context(), id)
	s.wantError("Get(ID that was not written)", err, apikey.ErrNotFound)
	key, err := s.Lookup(s.t.Context(), d)
	wantNotFound(s.t, "Lookup(digest that was not written)", key, err)
	if slices.Contains(ids(s.list(apikey.ListOptions{})), id) {
		s.t.Errorf("List() has the key %.80q, which was not written", id)
	}
}

// wantError checks the error of a call.
func (s *store) wantError(call string, err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Errorf("%s = %s; want %s", call, errorName(err), errorName(want))
	}
}

// errorName returns the name of an error of package apikey, or the text of another error.
func errorName(err error) string {
	switch err {
	case nil:
		return "nil"
	case apikey.ErrNotFound:
		return "ErrNotFound"
	case apikey.ErrExists:
		return "ErrExists"
	case apikey.ErrInvalid:
		return "ErrInvalid"
	case apikey.ErrReplaced:
		return "ErrReplaced"
	case apikey.ErrRevoked:
		return "ErrRevoked"
	case apikey.ErrSuspended:
		return "ErrSuspended"
	case apikey.ErrExpired:
		return "ErrExpired"
	case apikey.ErrTooManyKeys:
		return "ErrTooManyKeys"
	}
	return err.Error()
}

// wantReplaced checks that the error of Replace names the successor that a key has.
func (s *store) wantReplaced(successor string, err error) {
	s.t.Helper()
	var replaced *apikey.ReplacedError
	if !errors.As(err, &replaced) {
		s.t.Errorf("Replace(key with a successor) = %s; want a *ReplacedError", errorName(err))
		return
	}
	s.wantError("Replace(key with a successor)", err, apikey.ErrReplaced)
	if replaced.Successor != successor {
		s.t.Errorf("Replace(key with a successor): ReplacedError.Successor = %q; want %q", replaced.Successor, successor)
	}
}
