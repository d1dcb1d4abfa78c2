package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// doneContexts returns contexts that are already done.
func doneContexts(t *testing.T) map[string]context.Context {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), past)
	t.Cleanup(cancel)
	return map[string]context.Context{"cancelled": cancelled, "past its deadline": late}
}

// contextRules let a store answer or return an error when the context is done. A wrong answer is not
// allowed, above all ErrNotFound for a key that exists.
var contextRules = []rule{
	{"Get does not return ErrNotFound because the context is done", func(t *testing.T, s *store) {
		_, want := s.add()
		for what, ctx := range doneContexts(t) {
			got, err := s.Get(ctx, want.ID)
			wantLookupOrError(t, "Get(known ID) with a context "+what, &got, err, want)
		}
	}},
	{"List does not return an empty page because the context is done", func(t *testing.T, s *store) {
		_, want := s.add()
		for what, ctx := range doneContexts(t) {
			for _, sort := range sorts {
				page, err := s.List(ctx, apikey.ListOptions{Sort: sort})
				if err == nil && !slices.Equal(ids(page.Keys), []string{want.ID}) {
					t.Errorf("List with a context %s = %q, nil; want the key or an error", what, ids(page.Keys))
				} else if errors.Is(err, apikey.ErrInvalid) {
					t.Errorf("List with a context %s = %v; want another error", what, err)
				}
			}
		}
	}},
	{"Create with a done context writes everything or nothing", func(t *testing.T, s *store) {
		for what, ctx := range doneContexts(t) {
			d, key := s.next()
			err := s.Create(ctx, d, key)
			if _, missing := s.Get(t.Context(), key.ID); err == nil || missing == nil {
				s.wantStored(d, key) // a failed write may have happened, but never in part
			} else {
				s.wantAbsent(d, key.ID)
			}
			s.wantNoAnswer("Create(key) with a context "+what, err)
		}
	}},
	{"Update with a done context writes everything or nothing", func(t *testing.T, s *store) {
		for what, ctx := range doneContexts(t) {
			d, key := s.add()
			other := filled(t, s.added)
			_, err := s.Update(ctx, key.ID, apikey.Patch{Name: &other.Name, Scopes: &other.Scopes})
			if err == nil || s.get(key.ID).Name == other.Name {
				key.Name, key.Scopes = other.Name, other.Scopes
			}
			s.wantStored(d, key)
			s.wantNoAnswer("Update(key) with a context "+what, err)
		}
	}},
	{"Replace with a done context writes everything or nothing", func(t *testing.T, s *store) {
		for what, ctx := range doneContexts(t) {
			d, old := s.add()
			fresh, successor := s.next()
			_, err := s.Replace(ctx, old.ID, graceEnd, fresh, successor)
			if _, missing := s.Get(t.Context(), successor.ID); err == nil || missing == nil {
				old.ExpiresAt, successor.Replaces, successor.Name = graceEnd, old.ID, old.Name
				s.wantStored(fresh, successor)
			} else {
				s.wantAbsent(fresh, successor.ID)
			}
			s.wantStored(d, old)
			s.wantNoAnswer("Replace(key) with a context "+what, err)
		}
	}},
	{"Revoke with a done context revokes or fails and can be repeated", func(t *testing.T, s *store) {
		for what, ctx := range doneContexts(t) {
			d, key := s.add()
			_, err := s.Revoke(ctx, key.ID)
			if err == nil && s.lookup(d).RevokedAt.IsZero() {
				t.Errorf("Revoke with a context %s = nil, but the key is not revoked", what)
			}
			s.wantNoAnswer("Revoke(key) with a context "+what, err)
			s.wantStored(d, s.revoke(key.ID))
		}
	}},
}

// wantNoAnswer checks the error of a valid write with a done context. The store has not examined the
// write, so the error must not claim a reason such as ErrExists.
func (s *store) wantNoAnswer(call string, err error) {
	s.t.Helper()
	for _, answer := range []error{apikey.ErrNotFound, apikey.ErrExists, apikey.ErrInvalid, apikey.ErrRevoked, apikey.ErrExpired} {
		if errors.Is(err, answer) {
			s.t.Errorf("%s = %v; want nil or another error", call, err)
		}
	}
}
