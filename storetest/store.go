package storetest

import (
	"cmp"
	"crypto/sha256"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// past and future do not depend on the clock.
var (
	past   = time.Date(2024, 2, 29, 12, 34, 56, 123456000, time.UTC)
	future = time.Date(2100, 2, 28, 12, 34, 56, 654321000, time.UTC)
)

// maxClockSkew is how far the clock of a store may differ from the clock of the test.
const maxClockSkew = time.Minute

// A store is the store under test. It counts the keys that were created in it.
type store struct {
	apikey.KeyManager
	t     *testing.T
	added int
}

// sample returns typical key number n. It has not expired.
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

// digestOf returns the digest of sample n.
func digestOf(n int) apikey.Digest {
	return sha256.Sum256(fmt.Appendf(nil, "storetest %d", n))
}

// next returns a sample that is not in the store yet, and its digest.
func (s *store) next() (apikey.Digest, apikey.Key) {
	s.added++
	return digestOf(s.added), sample(s.added)
}

// add edits the next sample and creates it.
func (s *store) add(edits ...func(*apikey.Key)) (apikey.Digest, apikey.Key) {
	s.t.Helper()
	d, key := s.next()
	for _, edit := range edits {
		edit(&key)
	}
	s.create(d, key)
	return d, key
}

// named returns an edit for add.
func named(name string) func(*apikey.Key) {
	return func(key *apikey.Key) { key.Name = name }
}

// expiring returns an edit for add.
func expiring(at time.Time) func(*apikey.Key) {
	return func(key *apikey.Key) { key.ExpiresAt = at }
}

// create creates a key. Like get, lookup, update and revoke, it fails the test on an error.
func (s *store) create(d apikey.Digest, key apikey.Key) {
	s.t.Helper()
	if err := s.Create(s.t.Context(), d, key.Clone()); err != nil {
		s.t.Fatalf("Create(%.80q) = %v; want nil", key.ID, err)
	}
}

func (s *store) get(id string) apikey.Key {
	s.t.Helper()
	key, err := s.Get(s.t.Context(), id)
	return s.must(fmt.Sprintf("Get(%.80q)", id), key, err)
}

func (s *store) lookup(d apikey.Digest) *apikey.Key {
	s.t.Helper()
	key, err := s.Lookup(s.t.Context(), d)
	if err != nil || key == nil {
		s.t.Fatalf("Lookup(known digest) = %v, %v; want the key", key, err)
	}
	return key
}

func (s *store) update(id string, p apikey.Patch) apikey.Key {
	s.t.Helper()
	key, err := s.Update(s.t.Context(), id, p)
	return s.must(fmt.Sprintf("Update(%.80q)", id), key, err)
}

func (s *store) revoke(id string) apikey.Key {
	s.t.Helper()
	key, err := s.Revoke(s.t.Context(), id)
	s.must(fmt.Sprintf("Revoke(%.80q)", id), key, err)
	if key.RevokedAt.IsZero() {
		s.t.Fatalf("Revoke(%.80q): RevokedAt is zero; want a time", id)
	}
	return key
}

// replace rotates a key to the next sample and returns the successor with its digest.
func (s *store) replace(id string, expiresAt time.Time) (apikey.Digest, apikey.Key) {
	s.t.Helper()
	d, successor := s.next()
	return d, s.replaceBy(id, expiresAt, d, successor)
}

// replaceBy rotates a key to a given successor.
func (s *store) replaceBy(id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) apikey.Key {
	s.t.Helper()
	key, err := s.Replace(s.t.Context(), id, expiresAt, d, successor)
	return s.must(fmt.Sprintf("Replace(%.80q)", id), key, err)
}

// must returns the key of a call that has to succeed.
func (s *store) must(call string, key apikey.Key, err error) apikey.Key {
	s.t.Helper()
	if err != nil {
		s.t.Fatalf("%s = %v; want nil", call, err)
	}
	return key
}

// list returns the keys on all pages of a list.
func (s *store) list(o apikey.ListOptions) []apikey.Key {
	s.t.Helper()
	return s.walk(o, func(apikey.Page) {})
}

// maxPages exceeds the pages of every list here, even in a store that searches one row a page.
const maxPages = 1000

// walk is list with a function that runs after each page. It follows Next after short and empty pages,
// because a store may search within a budget.
func (s *store) walk(o apikey.ListOptions, afterPage func(apikey.Page)) []apikey.Key {
	s.t.Helper()
	var all []apikey.Key
	seen := make(map[string]bool)
	for range maxPages {
		page, err := s.List(s.t.Context(), o)
		if err != nil {
			s.t.Fatalf("List(%s) = %v; want nil", describe(o), err)
		}
		if limit := cmp.Or(o.Limit, 50); len(page.Keys) > limit {
			s.t.Fatalf("List(%s) = a page of %d keys; want at most the Limit of %d", describe(o), len(page.Keys), limit)
		}
		all = append(all, page.Keys...)
		afterPage(page)
		if page.Next == "" {
			return all
		}
		if seen[page.Next] {
			s.t.Fatalf("List(%s) returned the same Next twice; want pages that advance", describe(o))
		}
		seen[page.Next] = true
		o.Cursor = page.Next
	}
	s.t.Fatalf("List(%s) has more than %d pages", describe(o), maxPages)
	return nil
}

// listed returns the key with this ID as List returns it.
func (s *store) listed(id string) apikey.Key {
	s.t.Helper()
	for _, key := range s.list(apikey.ListOptions{}) {
		if key.ID == id {
			return key
		}
	}
	s.t.Fatalf("List() lacks the key %.80q", id)
	return apikey.Key{}
}

func ids(keys []apikey.Key) []string {
	var all []string
	for _, key := range keys {
		all = append(all, key.ID)
	}
	return all
}

// describe formats the options that are set.
func describe(o apikey.ListOptions) string {
	var fields []string
	for _, f := range []struct{ name, value string }{
		{"Owner", o.Owner}, {"Search", o.Search}, {"Status", string(o.Status)}, {"Sort", string(o.Sort)}, {"Scope", o.Scope}, {"Cursor", o.Cursor},
	} {
		if f.value != "" {
			fields = append(fields, f.name+": "+short(f.value))
		}
	}
	if o.Limit != 0 {
		fields = append(fields, "Limit: "+short(o.Limit))
	}
	return strings.Join(fields, ", ")
}
