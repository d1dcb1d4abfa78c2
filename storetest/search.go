package storetest

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

var searchRules = []rule{
	{"Search finds text in Name, ID, Hint, Owner and Scopes only", func(t *testing.T, s *store) {
		_, inName := s.add(named("has needle in it"))
		_, inID := s.add(func(key *apikey.Key) { key.ID = "x-needle-x" })
		_, inHint := s.add(func(key *apikey.Key) { key.Hint = "ak_…needle" })
		_, inOwner := s.add(func(key *apikey.Key) { key.Owner = "Éva Needle" })
		_, inScopes := s.add(func(key *apikey.Key) { key.Scopes = []string{"a", "x:NEEDLE", "b"} })
		s.add(func(key *apikey.Key) {
			key.Replaces, key.Metadata = "needle", map[string]string{"needle": "needle"}
		})
		s.wantSelected(apikey.ListOptions{Search: "needle"}, inName.ID, inID.ID, inHint.ID, inOwner.ID, inScopes.ID)
		s.wantSelected(apikey.ListOptions{Search: "éva n"}, inOwner.ID)
		s.wantSelected(apikey.ListOptions{Search: "a x:needle b"}, inScopes.ID)
		s.wantSelected(apikey.ListOptions{Search: "HAS needle in it"}, inName.ID)
		s.wantSelected(apikey.ListOptions{Search: "has needle"}, inName.ID)
		s.wantSelected(apikey.ListOptions{Search: "needle in it "})
		s.wantSelected(apikey.ListOptions{Search: "inneedle"})
	}},
	{"Search ignores case", func(t *testing.T, s *store) {
		_, key := s.add(named("Nightly BACKUP"), func(key *apikey.Key) { key.ID, key.Hint = "AbC-9", "Ak_…QwErTy" })
		s.add(named("other"))
		for _, text := range []string{"nightly backup", "NIGHTLY", "Backup", "abc-9", "ABC-9", "qwerty", "QWERTY"} {
			s.wantSelected(apikey.ListOptions{Search: text}, key.ID)
		}
	}},
	{"Search ignores case outside ASCII", func(t *testing.T, s *store) {
		_, cafe := s.add(named("CAFÉ am Ärmel"))
		_, klyuch := s.add(named("Ключ"))
		for _, text := range []string{"café", "CAFÉ", "ärmel", "ÄRMEL"} {
			s.wantSelected(apikey.ListOptions{Search: text}, cafe.ID)
		}
		s.wantSelected(apikey.ListOptions{Search: "КЛЮЧ"}, klyuch.ID)
		s.wantSelected(apikey.ListOptions{Search: "cafe"}) // É is not E
	}},
	{"Search has no wildcards", func(t *testing.T, s *store) {
		symbols := []string{"%", "_", `\`, "!", "*", "?", "[a]", "^", "'", `"`, "`", "%%", "!%", `\%`, `\_`, "!_", `\\`, "!!", "#", "--", ";", "a", "$$", "|", ".*", "(", "?1", "$1", ":a"}
		want := make(map[string]string)
		for _, symbol := range symbols {
			_, key := s.add(named(fmt.Sprintf("wild %s card", symbol)))
			want[symbol] = key.ID
		}
		for _, symbol := range symbols {
			s.wantSelected(apikey.ListOptions{Search: "wild " + symbol + " c"}, want[symbol])
		}
	}},
	{"Search combines with Owner and Status", func(t *testing.T, s *store) {
		mine := func(key *apikey.Key) { key.Owner = "eve" }
		_, active := s.add(named("Door one"), mine)
		_, expired := s.add(named("Door two"), mine, expiring(past))
		_, revoked := s.add(named("Door three"), mine)
		s.revoke(revoked.ID)
		s.add(named("Door four"))
		s.add(named("Window"), mine)
		s.wantSelected(apikey.ListOptions{Owner: "eve", Search: "door"}, active.ID, expired.ID, revoked.ID)
		s.wantSelected(apikey.ListOptions{Owner: "eve", Search: "door", Status: apikey.StatusActive}, active.ID)
		s.wantSelected(apikey.ListOptions{Owner: "eve", Search: "door", Status: apikey.StatusExpired}, expired.ID)
		s.wantSelected(apikey.ListOptions{Owner: "eve", Search: "door", Status: apikey.StatusRevoked}, revoked.ID)
		s.wantSelected(apikey.ListOptions{Owner: "ada", Search: "window"})
	}},
	{"pages of a Search list every key once in every sort", func(t *testing.T, s *store) {
		var want []string
		for i := range 10 {
			_, key := s.add(named([]string{"a door", "window", "A Door", "gate", "door"}[i%5]))
			if i%5%2 == 0 {
				want = append(want, key.ID)
			}
		}
		for _, sort := range sorts {
			for _, limit := range []int{1, 2, 500} {
				s.wantSelected(apikey.ListOptions{Search: "DOOR", Sort: sort, Limit: limit}, want...)
			}
		}
	}},
	{"Search and the sort by name follow a rename", func(t *testing.T, s *store) {
		_, key := s.add(named("a before"))
		_, other := s.add(named("b"))
		s.update(key.ID, apikey.Patch{Name: new("C After")})
		s.wantSelected(apikey.ListOptions{Search: "after"}, key.ID)
		s.wantSelected(apikey.ListOptions{Search: "before"})
		s.wantList(apikey.ListOptions{Sort: apikey.SortName}, other.ID, key.ID)
	}},
	{"a Search for invalid text finds nothing", func(t *testing.T, s *store) {
		s.add()
		for _, text := range []string{"\x00", "a\x00", "\xff", "Sample\xff", "\xed\xa0\x80", "\n"} {
			s.wantNothingOrInvalid(apikey.ListOptions{Search: text})
		}
	}},
}

var filterRules = []rule{
	{"every key has exactly one Status", func(t *testing.T, s *store) {
		_, never := s.add(expiring(time.Time{}))
		_, later := s.add(expiring(future))
		_, gone := s.add(expiring(past))
		_, ended := s.add(expiring(future))
		s.revoke(ended.ID)
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusActive}, never.ID, later.ID)
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusExpired}, gone.ID)
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusRevoked}, ended.ID)
		s.wantSelected(apikey.ListOptions{}, never.ID, later.ID, gone.ID, ended.ID)
	}},
	{"a revoked and expired key has the Status revoked", func(t *testing.T, s *store) {
		_, key := s.add(expiring(past))
		s.revoke(key.ID)
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusRevoked}, key.ID)
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusExpired})
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusActive})
	}},
	{"Status follows every change of a key", func(t *testing.T, s *store) {
		_, key := s.add(expiring(past))
		s.update(key.ID, apikey.Patch{ExpiresAt: &future})
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusActive}, key.ID)
		s.update(key.ID, apikey.Patch{ExpiresAt: &past})
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusExpired}, key.ID)
		s.wantSelected(apikey.ListOptions{Status: apikey.StatusActive})
	}},
	{"pages of one Status list every key once in every sort", func(t *testing.T, s *store) {
		var active, expired []string
		for _, key := range s.addMixed() {
			if key.ExpiresAt.Equal(past) {
				expired = append(expired, key.ID)
			} else {
				active = append(active, key.ID)
			}
		}
		for _, sort := range sorts {
			for _, limit := range []int{1, 2} {
				s.wantSelected(apikey.ListOptions{Status: apikey.StatusActive, Sort: sort, Limit: limit}, active...)
				s.wantSelected(apikey.ListOptions{Status: apikey.StatusExpired, Sort: sort, Limit: limit}, expired...)
			}
		}
	}},
	{"compares Owner exactly", func(t *testing.T, s *store) {
		// Padding collations ignore trailing spaces, and é has two encodings.
		for _, owner := range []string{"Ada", "ada", "ada ", " ada", "ad", "adam", "ad_", "%", "'ada'", "\u00e9", "e\u0301", "e"} {
			s.wantSelected(apikey.ListOptions{Owner: owner})
			_, key := s.add(func(key *apikey.Key) { key.Owner = owner })
			s.wantSelected(apikey.ListOptions{Owner: owner}, key.ID)
		}
		s.wantSelected(apikey.ListOptions{Owner: "unknown"})
	}},
	{"pages of one Owner list every key once in every sort", func(t *testing.T, s *store) {
		var owned []string
		for i := range 7 {
			_, key := s.add(named("twin"), func(key *apikey.Key) {
				if i%2 == 1 {
					key.Owner = "eve"
				}
			})
			if i%2 == 1 {
				owned = append(owned, key.ID)
			}
		}
		for _, sort := range sorts {
			s.wantSelected(apikey.ListOptions{Owner: "eve", Sort: sort, Limit: 1}, owned...)
		}
	}},
	{"an invalid Owner selects nothing", func(t *testing.T, s *store) {
		s.add()
		for _, owner := range []string{"a\x00b", "\xff", "ada\x00", "\u202e", string(make([]byte, 5000))} {
			s.wantNothingOrInvalid(apikey.ListOptions{Owner: owner})
		}
	}},
}

// wantNothingOrInvalid checks that invalid text from a client selects nothing or returns ErrInvalid.
// Any other error would look like an outage.
func (s *store) wantNothingOrInvalid(o apikey.ListOptions) {
	s.t.Helper()
	page, err := s.List(s.t.Context(), o)
	if err != nil {
		s.wantError("List("+describe(o)+")", err, apikey.ErrInvalid)
	} else if len(page.Keys) > 0 {
		s.t.Errorf("List(%s) = %q; want no keys", describe(o), ids(page.Keys))
	}
}

// otherKeys is the number of keys that a list does not select. It exceeds the number of keys that a store
// of this module examines for one page of a search.
const otherKeys = 6_000

var crowdedRules = []rule{
	{"a list does not depend on other keys", func(t *testing.T, s *store) {
		if testing.Short() {
			t.Skipf("the rule writes %d keys", otherKeys)
		}
		// Alice's keys come after all others in each order.
		alice := func(key *apikey.Key) { key.Owner, key.Name = "alice", "zz "+key.ID }
		_, first := s.add(alice)
		_, second := s.add(alice, func(key *apikey.Key) { key.ExpiresAt = key.ExpiresAt.AddDate(1, 0, 0) })
		for i := range otherKeys {
			s.add(expiring(past), named(fmt.Sprintf("aa %d", i)))
		}
		for _, sort := range sorts {
			for _, o := range []apikey.ListOptions{
				{Owner: "alice"}, {Owner: "alice", Status: apikey.StatusActive}, {Owner: "alice", Limit: 2},
			} {
				o.Sort = sort
				s.wantFirstPage(o, first.ID, second.ID)
			}
			s.wantFirstPage(apikey.ListOptions{Owner: "bob", Sort: sort})
			s.wantSelected(apikey.ListOptions{Owner: "alice", Search: "ZZ", Sort: sort}, first.ID, second.ID)
		}
		s.wantFirstPage(apikey.ListOptions{Status: apikey.StatusActive, Sort: apikey.SortExpires}, first.ID, second.ID)
		s.wantFirstPage(apikey.ListOptions{Status: apikey.StatusRevoked, Sort: apikey.SortExpires})
	}},
}

// wantFirstPage checks that the first page of a list has exactly these keys. They are in the order of
// their creation, and SortNewest reverses it.
func (s *store) wantFirstPage(o apikey.ListOptions, want ...string) {
	s.t.Helper()
	page, err := s.List(s.t.Context(), o)
	if err != nil {
		s.t.Errorf("List(%s) = %v; want nil", describe(o), err)
		return
	}
	if o.Sort == "" || o.Sort == apikey.SortNewest {
		want = reversed(want)
	}
	if got := ids(page.Keys); fmt.Sprint(got) != fmt.Sprint(want) || page.Next != "" {
		s.t.Errorf("List(%s) = %q, Next %.20q; want %q and no Next", describe(o), got, page.Next, want)
	}
}

func reversed(list []string) []string {
	c := slices.Clone(list)
	slices.Reverse(c)
	return c
}
