package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A keyStoreRule is a test that every KeyStore passes. The store holds exactly the given keys.
type keyStoreRule struct {
	name string
	test func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key)
}

// lookupKeys returns keys of every kind, with digests that a store might misread.
func lookupKeys(t *testing.T) map[apikey.Digest]apikey.Key {
	t.Helper()
	keys := make(map[apikey.Digest]apikey.Key)
	for i, d := range oddDigests() {
		key := sample(i)
		if i%3 == 0 {
			key = filled(t, i)
		}
		switch i % 5 {
		case 1:
			key = apikey.Key{ID: key.ID, Name: key.Name} // the smallest valid key
		case 2:
			key.RevokedAt = past
		case 3:
			key.ExpiresAt = past
		}
		key.LastUsedAt, key.LastUsedAddr = time.Time{}, netip.Addr{}
		for _, at := range []*time.Time{&key.CreatedAt, &key.ExpiresAt, &key.RevokedAt} {
			*at = at.Truncate(time.Second)
		}
		keys[d] = key
	}
	return keys
}

// oddDigests returns digests with bytes that end, quote, escape or pad strings. Some differ from
// another one only in the first, the last or the middle bytes.
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
		if b != 0x00 { // the zero Digest stays unknown
			var d apikey.Digest
			for i := range d {
				d[i] = b
			}
			all = append(all, d)
		}
	}
	return all
}

// wantNotFound checks the result of a lookup of an unknown digest.
func wantNotFound(t *testing.T, call string, key *apikey.Key, err error) {
	t.Helper()
	if !errors.Is(err, apikey.ErrNotFound) || key != nil {
		t.Errorf("%s = %+v, %v; want nil, ErrNotFound", call, key, err)
	}
}

// wantLookup checks the result of a lookup of a known digest.
func wantLookup(t *testing.T, call string, key *apikey.Key, err error, want apikey.Key) {
	t.Helper()
	if err != nil || key == nil {
		t.Errorf("%s = %v, %v; want the key %s", call, key, err, want.ID)
	} else if problem := difference(*key, want); problem != "" {
		t.Errorf("%s: %s", call, problem)
	}
}

// wantLookupOrError checks the result of a lookup of a known digest with a done context. It may be
// the key or an error, but not ErrNotFound, because the Middleware would respond with 401.
func wantLookupOrError(t *testing.T, call string, key *apikey.Key, err error, want apikey.Key) {
	t.Helper()
	if errors.Is(err, apikey.ErrNotFound) {
		t.Errorf("%s = %v; want the key or an error other than ErrNotFound", call, err)
	} else if err == nil {
		wantLookup(t, call, key, err, want)
	}
}

var keyStoreRules = []keyStoreRule{
	{"returns every field of the key with the digest", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		for d, want := range keys {
			key, err := s.Lookup(t.Context(), d)
			wantLookup(t, "Lookup(digest of "+want.ID+")", key, err, want)
		}
	}},
	{"returns a revoked key", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		for d, want := range keys {
			if !want.RevokedAt.IsZero() {
				key, err := s.Lookup(t.Context(), d)
				wantLookup(t, "Lookup(digest of the revoked key "+want.ID+")", key, err, want)
			}
		}
	}},
	{"returns an expired key", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		for d, want := range keys {
			if want.RevokedAt.IsZero() && want.Check(time.Now()) != nil {
				key, err := s.Lookup(t.Context(), d)
				wantLookup(t, "Lookup(digest of the expired key "+want.ID+")", key, err, want)
			}
		}
	}},
	{"returns ErrNotFound and no key for an unknown digest", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		key, err := s.Lookup(t.Context(), digestOf(-1))
		wantNotFound(t, "Lookup(unknown digest)", key, err)
	}},
	{"returns ErrNotFound for the zero digest", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		key, err := s.Lookup(t.Context(), apikey.Digest{})
		wantNotFound(t, "Lookup(zero digest)", key, err)
	}},
	{"returns ErrNotFound for a digest with one bit changed", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		known := oddDigests()[0]
		for bit := range 8 * len(known) {
			d := known
			d[bit/8] ^= 1 << (bit % 8)
			if _, exists := keys[d]; !exists {
				key, err := s.Lookup(t.Context(), d)
				wantNotFound(t, "Lookup(known digest with one bit changed)", key, err)
			}
		}
	}},
	{"returns the same answer again", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		for range 2 {
			for d, want := range keys {
				key, err := s.Lookup(t.Context(), d)
				wantLookup(t, "one of two Lookup(digest of "+want.ID+")", key, err, want)
			}
			key, err := s.Lookup(t.Context(), digestOf(-1))
			wantNotFound(t, "one of two Lookup(unknown digest)", key, err)
		}
	}},
	{"concurrent lookups return their own keys", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		var wg sync.WaitGroup
		for d, want := range keys {
			wg.Go(func() {
				for range 5 {
					key, err := s.Lookup(t.Context(), d)
					wantLookup(t, "concurrent Lookup(digest of "+want.ID+")", key, err, want)
				}
				key, err := s.Lookup(t.Context(), digestOf(-1))
				wantNotFound(t, "concurrent Lookup(unknown digest)", key, err)
			})
		}
		wg.Wait()
	}},
	{"does not return ErrNotFound because the context is done", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
		cancelled, cancel := context.WithCancel(t.Context())
		cancel()
		late, cancel := context.WithDeadline(t.Context(), past)
		defer cancel()
		for d, want := range keys {
			key, err := s.Lookup(cancelled, d)
			wantLookupOrError(t, "Lookup(known digest) with a cancelled context", key, err, want)
			key, err = s.Lookup(late, d)
			wantLookupOrError(t, "Lookup(known digest) past its deadline", key, err, want)
		}
	}},
	{"a cancelled lookup does not affect other lookups", func(t *testing.T, s apikey.KeyStore, keys map[apikey.Digest]apikey.Key) {
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
					wantLookupOrError(t, "Lookup(known digest) cancelled during the call", key, err, want)
				}
			})
		}
		wg.Wait()
		for d, want := range keys {
			key, err := s.Lookup(t.Context(), d)
			wantLookup(t, "Lookup(digest of "+want.ID+") after cancelled lookups", key, err, want)
		}
	}},
}

// lookupRules are the rules of every KeyStore and further rules that need a KeyManager.
func lookupRules() []rule {
	var rules []rule
	for _, r := range keyStoreRules {
		rules = append(rules, rule{r.name, func(t *testing.T, s *store) {
			keys := lookupKeys(t)
			for d, key := range keys {
				s.create(d, key)
			}
			r.test(t, s.KeyManager, keys)
		}})
	}
	return append(rules,
		rule{"returns ErrNotFound in an empty store", func(t *testing.T, s *store) {
			for _, d := range []apikey.Digest{digestOf(0), {}} {
				key, err := s.Lookup(t.Context(), d)
				wantNotFound(t, "Lookup(digest) in an empty store", key, err)
			}
		}},
		rule{"never modifies a returned key", func(t *testing.T, s *store) {
			d, want := s.add()
			returned := s.lookup(d)
			before := returned.Clone()
			name, scopes, metadata, never := "renamed", []string{"a", "b"}, map[string]string{"system": "other"}, time.Time{}
			s.update(want.ID, apikey.Patch{Name: &name, Scopes: &scopes, Metadata: &metadata, ExpiresAt: &never})
			s.replace(want.ID, future)
			s.revoke(want.ID)
			s.wantKey("the key that Lookup returned before the writes", *returned, before)
		}})
}

// numbered returns a name that sorts by n.
func numbered(n int) string { return fmt.Sprintf("name %06d", n) }
