package storetest

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/netip"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
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

// version returns the Version of a lookup of an unknown digest.
func (s *store) version(stamped apikey.StampedStore) apikey.Version {
	s.t.Helper()
	key, at, err := stamped.LookupAt(s.t.Context(), digestOf(-1))
	wantNotFound(s.t, "LookupAt(unknown digest)", key, err)
	return at
}

var lookupAtRules = []rule{
	{"agrees with Lookup", func(t *testing.T, s *store) {
		stamped := s.stamped()
		keys := lookupKeys(t)
		for d, key := range keys {
			s.create(d, key)
		}
		for d, want := range keys {
			key, _, err := stamped.LookupAt(t.Context(), d)
			wantLookup(t, "LookupAt(digest of "+want.ID+")", key, err, want)
		}
		for _, d := range []apikey.Digest{digestOf(-1), {}} {
			key, _, err := stamped.LookupAt(t.Context(), d)
			wantNotFound(t, "LookupAt(unknown digest)", key, err)
		}
	}},
	{"sees every write at once", func(t *testing.T, s *store) {
		stamped := s.stamped()
		d, want := s.add()
		want.Name = "renamed"
		s.update(want.ID, apikey.Patch{Name: &want.Name})
		key, _, err := stamped.LookupAt(t.Context(), d)
		wantLookup(t, "LookupAt(digest) after Update", key, err, want)
		want = s.revoke(want.ID)
		key, _, err = stamped.LookupAt(t.Context(), d)
		wantLookup(t, "LookupAt(digest) after Revoke", key, err, want)
	}},
	{"returns a Version with ErrNotFound", func(t *testing.T, s *store) {
		stamped := s.stamped()
		if at := s.version(stamped); at == (apikey.Version{}) {
			t.Error("LookupAt(unknown digest) in an empty store returned the zero Version; want another one")
		}
		d, _ := s.add()
		_, known, err := stamped.LookupAt(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		unknown := s.version(stamped)
		if known.Epoch != unknown.Epoch || known.Revision != unknown.Revision {
			t.Errorf("LookupAt = Version %+v for a known digest, %+v for an unknown one; want the same without a write in between", known, unknown)
		}
	}},
	{"every write raises the revision", func(t *testing.T, s *store) {
		stamped := s.stamped()
		var d apikey.Digest
		var key apikey.Key
		before := s.version(stamped)
		for _, write := range []struct {
			name string
			do   func()
		}{
			{"Create", func() { d, key = s.add() }},
			{"Update", func() { s.update(key.ID, apikey.Patch{Name: new("renamed")}) }},
			{"Replace", func() { s.replace(key.ID, graceEnd) }},
			{"Revoke", func() { s.revoke(key.ID) }},
		} {
			write.do()
			_, known, err := stamped.LookupAt(t.Context(), d)
			if err != nil {
				t.Fatal(err)
			}
			for _, after := range []apikey.Version{known, s.version(stamped)} {
				if after.Epoch != before.Epoch || after.Revision <= before.Revision {
					t.Errorf("LookupAt after %s = Version %+v; want a larger Revision than %+v", write.name, after, before)
				}
			}
			before = known
		}
	}},
	{"the Version is not ahead of the feed", func(t *testing.T, s *store) {
		stamped, feed := s.stamped(), s.feed()
		for range 3 {
			at := s.version(stamped)
			if head := s.head(feed); at.Epoch != head.Epoch || at.Revision > head.Revision {
				t.Errorf("LookupAt = Version %+v; want at most the Head of Changes, %+v", at, head)
			}
			s.add()
		}
	}},
	{"the Version is not older than an announced write", func(t *testing.T, s *store) {
		stamped, feed := s.stamped(), s.feed()
		sub := s.subscribe(feed)
		d, key := s.add()
		s.revoke(key.ID)
		_, at, err := stamped.LookupAt(t.Context(), d)
		if err != nil {
			t.Fatal(err)
		}
		for _, a := range sub.all() {
			if at.Epoch != a.at.Epoch || at.Revision < a.at.Revision {
				t.Errorf("LookupAt = Version %+v; want at least %+v, which was announced before", at, a.at)
			}
		}
	}},
	{"the answer contains every change up to its Version", func(t *testing.T, s *store) {
		stamped, feed := s.stamped(), s.feed()
		sub := s.subscribe(feed)
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
					key, at, err := stamped.LookupAt(t.Context(), d)
					if err != nil || key == nil {
						t.Errorf("LookupAt during writes = %v, %v; want the key", key, err)
						return
					}
					answers[i] = append(answers[i], answer{key.Name, at.Revision})
				}
			})
		}
		revisions := []uint64{0} // revisions[n] is the first with name n
		for n := 1; n <= last; n++ {
			sub.reset()
			if _, err := s.Update(t.Context(), key.ID, apikey.Patch{Name: new(numbered(n))}); err != nil {
				t.Errorf("Update = %v; want nil", err)
				break
			}
			announced := revisions[n-1]
			for _, a := range sub.all() {
				announced = max(announced, a.at.Revision)
			}
			if announced == revisions[n-1] {
				t.Error("Update announced no new revision")
				break
			}
			revisions = append(revisions, announced)
		}
		done.Store(true)
		wg.Wait()
		for _, a := range slices.Concat(answers...) {
			n, found := slices.BinarySearch(revisions, a.revision)
			if !found {
				n--
			}
			// Leading zeros make names sort as their numbers do.
			if a.name < numbered(n) {
				t.Fatalf("LookupAt = revision %d, key named %q; want a name from %q on, which that revision contains", a.revision, a.name, numbered(n))
			}
		}
	}},
	{"does not return ErrNotFound because the context is done", func(t *testing.T, s *store) {
		stamped := s.stamped()
		d, want := s.add()
		ctx, cancel := context.WithCancel(t.Context())
		cancel()
		key, at, err := stamped.LookupAt(ctx, d)
		wantLookupOrError(t, "LookupAt(known digest) with a cancelled context", key, err, want)
		if _, _, err := stamped.LookupAt(ctx, digestOf(-1)); errors.Is(err, apikey.ErrNotFound) && at == (apikey.Version{}) {
			t.Error("LookupAt(unknown digest) with a cancelled context = ErrNotFound and the zero Version; want another one")
		}
	}},
}

func numbered(n int) string { return fmt.Sprintf("name %06d", n) }
