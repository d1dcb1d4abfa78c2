package storetest

import (
	"strings"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// impossibleIDs returns what strangers write where an ID belongs. No key has such an ID,
// so asking for one is no outage, whatever a database thinks of the text.
func impossibleIDs() []string {
	return []string{"", " ", "%", "_", "sample-_", "sample-%", "*", "'", `\`, "a\x00b", "\xff\xfe", "\u202e", "../x", "' OR '1'='1", strings.Repeat("x", 65), strings.Repeat("é", 1<<16)}
}

var getRules = []rule{
	{"an unknown ID is ErrNotFound", func(t *testing.T, s *subject) {
		_, err := s.Get(t.Context(), "nobody")
		s.refused("Get of an unknown ID in an empty store", err, apikey.ErrNotFound)
		s.add()
		_, err = s.Get(t.Context(), "nobody")
		s.refused("Get of an unknown ID", err, apikey.ErrNotFound)
	}},
	{"an impossible ID is ErrNotFound", func(t *testing.T, s *subject) {
		s.add()
		for _, id := range impossibleIDs() {
			if _, err := s.Get(t.Context(), id); err != nil {
				s.refused("Get of an ID that no key can have", err, apikey.ErrNotFound)
			} else {
				t.Errorf("Get of the ID %.80q found a key", id)
			}
		}
	}},
	{"IDs are compared exactly", func(t *testing.T, s *subject) {
		_, key := s.add(func(key *apikey.Key) { key.ID = "Exact-1" })
		for _, id := range []string{"exact-1", "EXACT-1", "Exact-1 ", " Exact-1", "Exact-1\x00", "Exact-", "Exact-11", "Exact_1", "Éxact-1"} {
			_, err := s.Get(t.Context(), id)
			s.refused("Get of an ID that is almost one", err, apikey.ErrNotFound)
		}
		s.check("Get", s.get(key.ID), key)
	}},
	{"what it hands out is a copy", func(t *testing.T, s *subject) {
		d, want := s.add()
		scribble(s.get(want.ID))
		s.keeps(d, want)
	}},
}
