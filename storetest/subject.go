package storetest

import (
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Moments that are past and future whatever the clock says.
var (
	past   = time.Date(2024, 2, 29, 12, 34, 56, 123456000, time.UTC)
	future = time.Date(2100, 2, 28, 12, 34, 56, 654321000, time.UTC)
)

// slack is how far the clock of a store may be from ours.
const slack = time.Minute

// A subject is the store under test, and what has been put into it.
type subject struct {
	apikey.KeyManager
	t     *testing.T
	added int
}

// sample returns a key like many others, which has not expired.
func sample(n int) apikey.Key {
	return apikey.Key{
		ID:        fmt.Sprintf("sample-%d", n),
		Name:      fmt.Sprintf("Sample %d", n),
		Owner:     "ada",
		Scopes:    []string{"library:write", "library:read"},
		Metadata:  map[string]string{"system": "backup", "room": "4"},
		Hint:      fmt.Sprintf("ak_…%04d", n),
		CreatedAt: past.Add(time.Duration(n) * time.Second),
		ExpiresAt: future,
	}
}

// digestOf returns the digest that sample n has.
func digestOf(n int) apikey.Digest {
	return sha256.Sum256(fmt.Appendf(nil, "storetest %d", n))
}

// next returns a key that is not in the store yet, and its digest.
func (s *subject) next() (apikey.Digest, apikey.Key) {
	s.added++
	return digestOf(s.added), sample(s.added)
}

// add creates the next sample, edited.
func (s *subject) add(edits ...func(*apikey.Key)) (apikey.Digest, apikey.Key) {
	s.t.Helper()
	d, key := s.next()
	for _, edit := range edits {
		edit(&key)
	}
	s.create(d, key)
	return d, key
}

// named is an edit for add.
func named(name string) func(*apikey.Key) {
	return func(key *apikey.Key) { key.Name = name }
}

// expiring is an edit for add.
func expiring(at time.Time) func(*apikey.Key) {
	return func(key *apikey.Key) { key.ExpiresAt = at }
}

func (s *subject) create(d apikey.Digest, key apikey.Key) {
	s.t.Helper()
	if err := s.Create(s.t.Context(), d, key.Clone()); err != nil {
		s.t.Fatalf("Create of %.80q: %v", key.ID, err)
	}
}

func (s *subject) get(id string) apikey.Key {
	s.t.Helper()
	return s.must(s.Get(s.t.Context(), id))
}

func (s *subject) find(d apikey.Digest) *apikey.Key {
	s.t.Helper()
	key, err := s.Lookup(s.t.Context(), d)
	if err != nil || key == nil {
		s.t.Fatalf("Lookup of a digest that exists = %v, %v", key, err)
	}
	return key
}

func (s *subject) update(id string, p apikey.Patch) apikey.Key {
	s.t.Helper()
	return s.must(s.Update(s.t.Context(), id, p))
}

func (s *subject) revoke(id string) apikey.Key {
	s.t.Helper()
	key := s.must(s.Revoke(s.t.Context(), id))
	if key.RevokedAt.IsZero() {
		s.t.Fatalf("Revoke of %.80q returned the key as never revoked", id)
	}
	return key
}

// replace rotates key id to the next sample and returns its digest as well.
func (s *subject) replace(id string, expiresAt time.Time) (apikey.Digest, apikey.Key) {
	s.t.Helper()
	d, successor := s.next()
	return d, s.must(s.Replace(s.t.Context(), id, expiresAt, d, successor))
}

// must returns the key of a call that has to succeed.
func (s *subject) must(key apikey.Key, err error) apikey.Key {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("a call that has to succeed: %v", err)
	}
	return key
}

// check compares a key that the store returned.
func (s *subject) check(what string, got, want apikey.Key) {
	s.t.Helper()
	if problem := difference(got, want); problem != "" {
		s.t.Errorf("%s: %s", what, problem)
	}
	if problem := zoned(got); problem != "" {
		s.t.Errorf("%s: %s", what, problem)
	}
}

// keeps checks that the store has a key, as Get, Lookup and List tell.
func (s *subject) keeps(d apikey.Digest, want apikey.Key) {
	s.t.Helper()
	if got, err := s.Get(s.t.Context(), want.ID); err != nil {
		s.t.Errorf("Get of %.80q: %v", want.ID, err)
	} else {
		s.check("Get", got, want)
	}
	if got, err := s.Lookup(s.t.Context(), d); err != nil || got == nil {
		s.t.Errorf("Lookup of the key %.80q = %v, %v", want.ID, got, err)
	} else {
		s.check("Lookup", *got, want)
	}
	s.check("List", s.listed(want.ID), want)
}

// lacks checks that the store has no key with this digest or this ID.
func (s *subject) lacks(d apikey.Digest, id string) {
	s.t.Helper()
	_, err := s.Get(s.t.Context(), id)
	s.refused("Get of a key that was not written", err, apikey.ErrNotFound)
	key, err := s.Lookup(s.t.Context(), d)
	s.refused("Lookup of a key that was not written", err, apikey.ErrNotFound)
	if key != nil {
		s.t.Errorf("Lookup of a key that was not written returned %+v", *key)
	}
	if slices.Contains(ids(s.list(apikey.ListOptions{})), id) {
		s.t.Errorf("List has the key %.80q, which was not written", id)
	}
}

// refused checks for the error that a call has to return.
func (s *subject) refused(what string, err, want error) {
	s.t.Helper()
	if !errors.Is(err, want) {
		s.t.Errorf("%s: error %v, want %v", what, err, want)
	}
}

// toucher returns the Toucher of the store, or skips the test. So do the following.
func (s *subject) toucher() apikey.Toucher { return ability[apikey.Toucher](s, "a Toucher") }

func (s *subject) stamped() apikey.StampedStore {
	return ability[apikey.StampedStore](s, "a StampedStore")
}

func (s *subject) feed() apikey.ChangeFeed { return ability[apikey.ChangeFeed](s, "a ChangeFeed") }

func (s *subject) auditor() apikey.Auditor { return ability[apikey.Auditor](s, "an Auditor") }

func ability[T any](s *subject, what string) T {
	s.t.Helper()
	store, ok := apikey.StoreAs[T](s.KeyManager)
	if !ok {
		s.t.Skip("the store is not " + what)
	}
	return store
}

// flush has the store write the last uses that it collected.
func (s *subject) flush() {
	s.t.Helper()
	type flusher interface{ Flush(context.Context) error }
	if f, ok := apikey.StoreAs[flusher](s.KeyManager); ok {
		if err := f.Flush(s.t.Context()); err != nil {
			s.t.Fatalf("Flush: %v", err)
		}
	}
}
