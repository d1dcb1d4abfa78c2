package storetest

import (
	"fmt"
	"testing"

	"github.com/latchkey-dev/apikey"
)

var searchRules = []rule{
	{"Search looks in Name, ID and Hint and nowhere else", func(t *testing.T, s *subject) {
		_, inName := s.add(named("has needle in it"))
		_, inID := s.add(func(key *apikey.Key) { key.ID = "x-needle-x" })
		_, inHint := s.add(func(key *apikey.Key) { key.Hint = "ak_…needle" })
		s.add(func(key *apikey.Key) {
			key.Owner, key.Replaces = "needle", "needle"
			key.Scopes, key.Metadata = []string{"needle"}, map[string]string{"needle": "needle"}
		})
		s.selects(apikey.ListOptions{Search: "needle"}, inName.ID, inID.ID, inHint.ID)
		s.selects(apikey.ListOptions{Search: "HAS needle in it"}, inName.ID)
		s.selects(apikey.ListOptions{Search: "has needle"}, inName.ID)
		s.selects(apikey.ListOptions{Search: "needle in it "})
		s.selects(apikey.ListOptions{Search: "inneedle"})
	}},
	{"Search goes without case", func(t *testing.T, s *subject) {
		_, key := s.add(named("Nightly BACKUP"), func(key *apikey.Key) { key.ID, key.Hint = "AbC-9", "Ak_…QwErTy" })
		s.add(named("other"))
		for _, text := range []string{"nightly backup", "NIGHTLY", "Backup", "abc-9", "ABC-9", "qwerty", "QWERTY"} {
			s.selects(apikey.ListOptions{Search: text}, key.ID)
		}
	}},
	{"Search goes without case outside ASCII too", func(t *testing.T, s *subject) {
		_, cafe := s.add(named("CAFÉ am Ärmel"))
		_, klyuch := s.add(named("Ключ"))
		for _, text := range []string{"café", "CAFÉ", "ärmel", "ÄRMEL"} {
			s.selects(apikey.ListOptions{Search: text}, cafe.ID)
		}
		s.selects(apikey.ListOptions{Search: "КЛЮЧ"}, klyuch.ID)
		s.selects(apikey.ListOptions{Search: "cafe"}) // É is not E
	}},
	{"Search has no wildcards", func(t *testing.T, s *subject) {
		signs := []string{"%", "_", `\`, "!", "*", "?", "[a]", "^", "'", `"`, "`", "%%", "!%", `\%`, `\_`, "!_", `\\`, "!!", "#", "--", ";", "a", "$$", "|", ".*", "(", "?1", "$1", ":a"}
		want := make(map[string]string)
		for _, sign := range signs {
			_, key := s.add(named(fmt.Sprintf("wild %s card", sign)))
			want[sign] = key.ID
		}
		for _, sign := range signs {
			s.selects(apikey.ListOptions{Search: "wild " + sign + " c"}, want[sign])
		}
	}},
	{"Search is combined with Owner and Status", func(t *testing.T, s *subject) {
		mine := func(key *apikey.Key) { key.Owner = "eve" }
		_, active := s.add(named("Door one"), mine)
		_, expired := s.add(named("Door two"), mine, expiring(past))
		_, revoked := s.add(named("Door three"), mine)
		s.revoke(revoked.ID)
		s.add(named("Door four"))
		s.add(named("Window"), mine)
		s.selects(apikey.ListOptions{Owner: "eve", Search: "door"}, active.ID, expired.ID, revoked.ID)
		s.selects(apikey.ListOptions{Owner: "eve", Search: "door", Status: apikey.StatusActive}, active.ID)
		s.selects(apikey.ListOptions{Owner: "eve", Search: "door", Status: apikey.StatusExpired}, expired.ID)
		s.selects(apikey.ListOptions{Owner: "eve", Search: "door", Status: apikey.StatusRevoked}, revoked.ID)
		s.selects(apikey.ListOptions{Owner: "ada", Search: "window"})
	}},
	{"pages of a Search have every key once in every sort", func(t *testing.T, s *subject) {
		var want []string
		for i := range 10 {
			_, key := s.add(named([]string{"a door", "window", "A Door", "gate", "door"}[i%5]))
			if i%5%2 == 0 {
				want = append(want, key.ID)
			}
		}
		for _, sort := range sorts {
			for _, limit := range []int{1, 2, 500} {
				s.selects(apikey.ListOptions{Search: "DOOR", Sort: sort, Limit: limit}, want...)
			}
		}
	}},
	{"Search and the sort by name follow a renaming", func(t *testing.T, s *subject) {
		_, key := s.add(named("a before"))
		_, other := s.add(named("b"))
		s.update(key.ID, apikey.Patch{Name: new("C After")})
		s.selects(apikey.ListOptions{Search: "after"}, key.ID)
		s.selects(apikey.ListOptions{Search: "before"})
		s.lists(apikey.ListOptions{Sort: apikey.SortName}, other.ID, key.ID)
	}},
	{"a Search for what no key can hold finds nothing", func(t *testing.T, s *subject) {
		s.add()
		for _, text := range []string{"\x00", "a\x00", "\xff", "Sample\xff", "\xed\xa0\x80", "\n"} {
			s.nothingOrInvalid(apikey.ListOptions{Search: text})
		}
	}},
}
