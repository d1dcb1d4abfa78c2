package storetest

import (
	"strings"
	"testing"

	"github.com/latchkey-dev/apikey"
)

// invalidIDs returns texts that a client may send as an ID and that no key can have. A store returns
// ErrNotFound for them, even if its database refuses the text.
func invalidIDs() []string {
	return []string{"", " ", "%", "_", "sample-_", "sample-%", "*", "'", `\`, "a\x00b", "\xff\xfe", "\u202e", "../x", "' OR '1'='1", strings.Repeat("x", 65), strings.Repeat("é", 1<<16)}
}

var getRules = []rule{
	{"returns ErrNotFound for an unknown ID", func(t *testing.T, s *store) {
		_, err := s.Get(t.Context(), "unknown")
		s.wantError("Get(unknown ID) in an empty store", err, apikey.ErrNotFound)
		s.add()
		_, err = s.Get(t.Context(), "unknown")
		s.wantError("Get(unknown ID)", err, apikey.ErrNotFound)
	}},
	{"returns ErrNotFound for an invalid ID", func(t *testing.T, s *store) {
		s.add()
		for _, id := range invalidIDs() {
			_, err := s.Get(t.Context(), id)
			s.wantError("Get(invalid ID "+short(id)+")", err, apikey.ErrNotFound)
		}
	}},
	{"compares IDs exactly", func(t *testing.T, s *store) {
		_, key := s.add(func(key *apikey.Key) { key.ID = "Exact-1" })
		for _, id := range []string{"exact-1", "EXACT-1", "Exact-1 ", " Exact-1", "Exact-1\x00", "Exact-", "Exact-11", "Exact_1", "Éxact-1"} {
			_, err := s.Get(t.Context(), id)
			s.wantError("Get("+short(id)+") of a store with the key Exact-1", err, apikey.ErrNotFound)
		}
		s.wantKey("Get(ID)", s.get(key.ID), key)
	}},
	{"returns a copy", func(t *testing.T, s *store) {
		d, want := s.add()
		overwrite(s.get(want.ID))
		s.wantStored(d, want)
	}},
}
