package storetest

import (
	"context"
	"errors"
	"math/rand/v2"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A keyStoreRule is a rule of stores that only look keys up. The store holds keys.
type keyStoreRule struct {
	name string
	test func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key)
}

// catalogue returns keys of every kind, with digests that a store might read wrongly.
func catalogue(t *testing.T) map[apikey.Digest]apikey.Key {
	t.Helper()
	keys := make(map[apikey.Digest]apikey.Key)
	for i, d := range oddDigests() {
		key := sample(i)
		if i%3 == 0 {
			key = filled(t, i)
		}
		switch i % 5 {
		case 1:
			key = apikey.Key{ID: key.ID, Name: key.Name} // as little as there can be
		case 2:
			key.RevokedAt = past
		case 3:
			key.ExpiresAt = past
		}
		key.LastUsedAt = time.Time{}
		for _, at := range []*time.Time{&key.CreatedAt, &key.ExpiresAt, &key.RevokedAt} {
			*at = at.Truncate(time.Second)
		}
		keys[d] = key
	}
	return keys
}

// oddDigests returns digests with bytes that end strings, quote, escape, or are padded
// away, and pairs that are the same but for the first, the last or a middle byte.
func oddDigests() []apikey.Digest {
	var all []apikey.Digest
	for _, b := range []byte{0x00, 0xFF, 0x20, 0x27, 0x5C, 0x25, 0x0A, 0x80} {
		for _, at := range [][]int{{0}, {31}, {15, 16}} {
			d := digestOf(0)
			for _, i := range at {
				d[i] = b
			}
			all = append(all, d)
		}
		if b != 0x00 { // the zero Digest is nobody's
			var d apikey.Digest
			for i := range d {
				d[i] = b
			}
			all = append(all, d)
		}
	}
	return all
}

// isNotFound checks the answer about a digest that nobody has.
func isNotFound(t *testing.T, what string, key *apikey.Key, err error) {
	t.Helper()
	switch {
	case !errors.Is(err, apikey.ErrNotFound):
		t.Errorf("%s = %v, %v; want an error that is ErrNotFound", what, key, err)
	case key != nil:
		t.Errorf("%s: a key, %+v, comes with ErrNotFound", what, *key)
	}
}

// isKey checks the answer about a digest that is known.
func isKey(t *testing.T, what string, key *apikey.Key, err error, want apikey.Key) {
	t.Helper()
	if err != nil || key == nil {
		t.Errorf("%s = %v, %v; want the key %s", what, key, err, want.ID)
	} else if problem := difference(*key, want); problem != "" {
		t.Errorf("%s: %s", what, problem)
	}
}

// isKeyOrOutage checks an answer whose context was done: it may be what it would have been
// otherwise, or an error, but never that the key does not exist, which would be a 401.
func isKeyOrOutage(t *testing.T, what string, key *apikey.Key, err error, want apikey.Key) {
	t.Helper()
	if errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("%s: ErrNotFound (%v) of a key that exists", what, err)
	} else if err == nil {
		isKey(t, what, key, err, want)
	}
}

var keyStoreRules = []keyStoreRule{
	{"every key is found under its digest with every field", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		for d, want := range keys {
			key, err := s.Lookup(t.Context(), d)
			isKey(t, "Lookup of "+want.ID, key, err, want)
		}
	}},
	{"a revoked key is returned as it is", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		for d, want := range keys {
			if !want.RevokedAt.IsZero() {
				key, err := s.Lookup(t.Context(), d)
				isKey(t, "Lookup of the revoked key "+want.ID, key, err, want)
			}
		}
	}},
	{"an expired key is returned as it is", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		for d, want := range keys {
			if want.RevokedAt.IsZero() && want.Check(time.Now()) != nil {
				key, err := s.Lookup(t.Context(), d)
				isKey(t, "Lookup of the expired key "+want.ID, key, err, want)
			}
		}
	}},
	{"an unknown digest is ErrNotFound and no key", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		key, err := s.Lookup(t.Context(), digestOf(-1))
		isNotFound(t, "Lookup of an unknown digest", key, err)
	}},
	{"the zero digest is unknown", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		key, err := s.Lookup(t.Context(), apikey.Digest{})
		isNotFound(t, "Lookup of the zero digest", key, err)
	}},
	{"a digest that differs in one bit is unknown", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		known := oddDigests()[0]
		for bit := range 8 * len(known) {
			d := known
			d[bit/8] ^= 1 << (bit % 8)
			if _, exists := keys[d]; !exists {
				key, err := s.Lookup(t.Context(), d)
				isNotFound(t, "Lookup of a digest with one bit changed", key, err)
			}
		}
	}},
	{"the same digest is the same key again", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		for range 2 {
			for d, want := range keys {
				key, err := s.Lookup(t.Context(), d)
				isKey(t, "one of two lookups of "+want.ID, key, err, want)
			}
			key, err := s.Lookup(t.Context(), digestOf(-1))
			isNotFound(t, "one of two lookups of an unknown digest", key, err)
		}
	}},
	{"lookups at the same time do not mix", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		var wg sync.WaitGroup
		for d, want := range keys {
			wg.Go(func() {
				for range 5 {
					key, err := s.Lookup(t.Context(), d)
					isKey(t, "Lookup among others", key, err, want)
				}
				key, err := s.Lookup(t.Context(), digestOf(-1))
				isNotFound(t, "Lookup among others", key, err)
			})
		}
		wg.Wait()
	}},
	{"a context that is done is not ErrNotFound", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithDeadline(t.Context(), past)
		defer cancel()
		for d, want := range keys {
			key, err := s.Lookup(cancelled, d)
			isKeyOrOutage(t, "Lookup with a cancelled context", key, err, want)
			key, err = s.Lookup(late, d)
			isKeyOrOutage(t, "Lookup past its deadline", key, err, want)
		}
	}},
	{"lookups that are cancelled at any moment get no key of another", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		var wg sync.WaitGroup
		for d, want := range keys {
			wg.Go(func() {
				for range 5 {
					ctx, cancel := context.WithCancel(t.Context())
					wg.Go(func() {
						for range rand.IntN(20) {
							runtime.Gosched()
						}
						cancel()
					})
					key, err := s.Lookup(ctx, d)
					isKeyOrOutage(t, "Lookup that is cancelled", key, err, want)
				}
			})
		}
		wg.Wait()
		for d, want := range keys {
			key, err := s.Lookup(t.Context(), d)
			isKey(t, "Lookup after others were cancelled", key, err, want)
		}
	}},
}

// lookupRules are those of any store, and those that take a manager.
func lookupRules() []rule {
	var rules []rule
	for _, r := range keyStoreRules {
		rules = append(rules, rule{r.name, func(t *testing.T, s *subject) {
			keys := catalogue(t)
			for d, key := range keys {
				s.create(d, key)
			}
			r.test(t, s.KeyManager, keys)
		}})
	}
	return append(rules,
		rule{"an empty store knows no digest", func(t *testing.T, s *subject) {
			for _, d := range []apikey.Digest{digestOf(0), {}} {
				key, err := s.Lookup(t.Context(), d)
				isNotFound(t, "Lookup in an empty store", key, err)
			}
		}},
		rule{"a key that was handed out is never written to", func(t *testing.T, s *subject) {
			d, want := s.add()
			handedOut := s.find(d)
			before := handedOut.Clone()
			name, scopes, metadata, never := "renamed", []string{"a", "b"}, map[string]string{"system": "other"}, time.Time{}
			s.update(want.ID, apikey.Patch{Name: &name, Scopes: &scopes, Metadata: &metadata, ExpiresAt: &never})
			s.replace(want.ID, future)
			s.revoke(want.ID)
			s.check("the key of a lookup before the writes", *handedOut, before)
		}})
}
