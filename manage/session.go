package manage

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/latchkey-dev/apikey"
)

// A Session manages keys with an [Access]. It is safe for concurrent use. Make one for each request,
// because it does not notice when the caller's permissions change.
//
// A method returns [apikey.ErrNotFound] for a key that the session may not see, a [*RefusedError] for
// a change that breaks a rule of the Access, and otherwise the errors of the [apikey.Issuer]. A rule is
// checked in the transaction of the change. After an error nothing has changed, unless the error wraps
// [apikey.ErrUncertain]. RevokeAll is the exception: it may have revoked some of the keys.
type Session struct {
	desk   *Desk
	access Access
}

// Access returns a copy of the Access of the session.
func (s *Session) Access() Access {
	a := s.access
	a.Scopes, a.Networks, a.Limits = slices.Clone(a.Scopes), slices.Clone(a.Networks), slices.Clone(a.Limits)
	return a
}

// List returns a page of the keys that the session may see; see [apikey.KeyManager]. In the session of an
// owner, the list of another Owner is empty.
func (s *Session) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	o, visible := s.selection(o)
	if !visible {
		return apikey.Page{}, nil
	}
	return s.desk.store.List(ctx, o)
}

// Count returns the number of keys that the options select, as [apikey.Counter] describes. For a store
// that is not a Counter, it returns 0 keys and More, which means that there may be keys.
func (s *Session) Count(ctx context.Context, o apikey.ListOptions) (apikey.Count, error) {
	o, visible := s.selection(o)
	if !visible {
		return apikey.Count{}, nil
	}
	counter, ok := apikey.StoreAs[apikey.Counter](s.desk.store)
	if !ok {
		return apikey.Count{More: true}, nil
	}
	return counter.Count(ctx, o)
}

// Get returns the key with this ID.
func (s *Session) Get(ctx context.Context, id string) (apikey.Key, error) {
	return s.visible(s.desk.store.Get(ctx, id))
}

// Identify returns the key of a secret, even if it is expired or revoked.
func (s *Session) Identify(ctx context.Context, secret apikey.Secret) (apikey.Key, error) {
	return s.visible(s.desk.issuer.Identify(ctx, secret))
}

// Successors maps the ID of each rotated key that the session sees to the ID of its successor; see
// [apikey.SuccessorFinder]. It omits successors that the session does not see. It is empty for a store
// that does not find successors. The error wraps [apikey.ErrInvalid] for more than
// [apikey.MaxSuccessors] keys.
func (s *Session) Successors(ctx context.Context, keys []apikey.Key) (map[string]string, error) {
	found, err := s.anySuccessors(ctx, keys)
	if err != nil || s.access.AllOwners {
		return found, err
	}
	for old, successor := range found {
		switch _, err := s.Get(ctx, successor); {
		case errors.Is(err, apikey.ErrNotFound):
			delete(found, old)
		case err != nil:
			return nil, fmt.Errorf("manage: successor of %s: %w", old, err)
		}
	}
	return found, nil
}

// anySuccessors is like Successors, but includes successors that the session does not see.
func (s *Session) anySuccessors(ctx context.Context, keys []apikey.Key) (map[string]string, error) {
	finder, ok := apikey.StoreAs[apikey.SuccessorFinder](s.manager())
	if !ok {
		return nil, nil
	}
	var ids []string
	for _, key := range keys {
		if s.sees(key) {
			ids = append(ids, key.ID)
		}
	}
	return finder.Successors(ctx, ids)
}

func (s *Session) manager() apikey.KeyManager { return s.desk.store }

// visible returns a key that was read, or ErrNotFound if the session does not see it.
func (s *Session) visible(key apikey.Key, err error) (apikey.Key, error) {
	if err != nil {
		return apikey.Key{}, err
	}
	if !s.sees(key) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	return key, nil
}

// selection restricts options to the keys that the session may see.
func (s *Session) selection(o apikey.ListOptions) (_ apikey.ListOptions, visible bool) {
	if s.access.AllOwners {
		return o, true
	}
	if o.Owner != "" && o.Owner != s.access.Owner {
		return o, false
	}
	o.Owner = s.access.Owner
	return o, true
}

func invalid(field, format string, args ...any) error {
	return fmt.Errorf("manage: %w", &apikey.InvalidError{Field: field, Problem: fmt.Sprintf(format, args...)})
}
