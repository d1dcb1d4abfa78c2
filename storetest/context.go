package storetest

import (
	"context"
	"errors"
	"slices"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// done returns contexts that are done already.
func done(t *testing.T) map[string]context.Context {
	cancelled, cancel := context.WithCancel(t.Context())
	cancel()
	late, cancel := context.WithDeadline(t.Context(), past)
	t.Cleanup(cancel)
	return map[string]context.Context{"cancelled": cancelled, "past its deadline": late}
}

// A store may answer all the same, if it can do so without waiting. It must not answer
// wrongly, above all not that what it did not look for does not exist.
var contextRules = []rule{
	{"Get with one that is done is not ErrNotFound", func(t *testing.T, s *subject) {
		_, want := s.add()
		for what, ctx := range done(t) {
			got, err := s.Get(ctx, want.ID)
			isKeyOrOutage(t, "Get with a context "+what, &got, err, want)
		}
	}},
	{"List with one that is done is not empty", func(t *testing.T, s *subject) {
		_, want := s.add()
		for what, ctx := range done(t) {
			for _, sort := range sorts {
				page, err := s.List(ctx, apikey.ListOptions{Sort: sort})
				if err == nil && !slices.Equal(ids(page.Keys), []string{want.ID}) {
					t.Errorf("List with a context %s: %q and no error", what, ids(page.Keys))
				} else if errors.Is(err, apikey.ErrInvalid) {
					t.Errorf("List with a context %s: %v", what, err)
				}
			}
		}
	}},
	{"Create with one that is done writes all or fails", func(t *testing.T, s *subject) {
		for what, ctx := range done(t) {
			d, key := s.next()
			err := s.Create(ctx, d, key)
			if _, missing := s.Get(t.Context(), key.ID); err == nil || missing == nil {
				s.keeps(d, key) // a failed write may have happened, but not in part
			} else {
				s.lacks(d, key.ID)
			}
			s.plainly("Create with a context "+what, err)
		}
	}},
	{"Update with one that is done writes all or fails", func(t *testing.T, s *subject) {
		for what, ctx := range done(t) {
			d, key := s.add()
			other := filled(t, s.added)
			_, err := s.Update(ctx, key.ID, apikey.Patch{Name: &other.Name, Scopes: &other.Scopes})
			if err == nil || s.get(key.ID).Name == other.Name {
				key.Name, key.Scopes = other.Name, other.Scopes
			}
			s.keeps(d, key)
			s.plainly("Update with a context "+what, err)
		}
	}},
	{"Replace with one that is done writes all or fails", func(t *testing.T, s *subject) {
		for what, ctx := range done(t) {
			d, old := s.add()
			fresh, successor := s.next()
			_, err := s.Replace(ctx, old.ID, soon, fresh, successor)
			if _, missing := s.Get(t.Context(), successor.ID); err == nil || missing == nil {
				old.ExpiresAt, successor.Replaces, successor.Name = soon, old.ID, old.Name
				s.keeps(fresh, successor)
			} else {
				s.lacks(fresh, successor.ID)
			}
			s.keeps(d, old)
			s.plainly("Replace with a context "+what, err)
		}
	}},
	{"Revoke with one that is done revokes or fails, and can be repeated", func(t *testing.T, s *subject) {
		for what, ctx := range done(t) {
			d, key := s.add()
			_, err := s.Revoke(ctx, key.ID)
			if err == nil && s.find(d).RevokedAt.IsZero() {
				t.Errorf("Revoke with a context %s returned nil, and the key is not revoked", what)
			}
			s.plainly("Revoke with a context "+what, err)
			s.keeps(d, s.revoke(key.ID))
		}
	}},
}

// plainly checks that an error of a write whose context was done, if there is one, is not
// an answer: the write was right, and nobody has looked.
func (s *subject) plainly(what string, err error) {
	s.t.Helper()
	for _, answer := range []error{apikey.ErrNotFound, apikey.ErrExists, apikey.ErrInvalid, apikey.ErrRevoked, apikey.ErrExpired} {
		if errors.Is(err, answer) {
			s.t.Errorf("%s: %v", what, err)
		}
	}
}
