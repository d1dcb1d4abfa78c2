package storetest

import (
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

var filterRules = []rule{
	{"every key is active, expired or revoked", func(t *testing.T, s *subject) {
		_, never := s.add(expiring(time.Time{}))
		_, later := s.add(expiring(future))
		_, gone := s.add(expiring(past))
		_, ended := s.add(expiring(future))
		s.revoke(ended.ID)
		s.selects(apikey.ListOptions{Status: apikey.StatusActive}, never.ID, later.ID)
		s.selects(apikey.ListOptions{Status: apikey.StatusExpired}, gone.ID)
		s.selects(apikey.ListOptions{Status: apikey.StatusRevoked}, ended.ID)
		s.selects(apikey.ListOptions{}, never.ID, later.ID, gone.ID, ended.ID)
	}},
	{"a key that is revoked and expired is revoked", func(t *testing.T, s *subject) {
		_, key := s.add(expiring(past))
		s.revoke(key.ID)
		s.selects(apikey.ListOptions{Status: apikey.StatusRevoked}, key.ID)
		s.selects(apikey.ListOptions{Status: apikey.StatusExpired})
		s.selects(apikey.ListOptions{Status: apikey.StatusActive})
	}},
	{"Status is followed by every change of a key", func(t *testing.T, s *subject) {
		_, key := s.add(expiring(past))
		s.update(key.ID, apikey.Patch{ExpiresAt: &future})
		s.selects(apikey.ListOptions{Status: apikey.StatusActive}, key.ID)
		s.update(key.ID, apikey.Patch{ExpiresAt: &past})
		s.selects(apikey.ListOptions{Status: apikey.StatusExpired}, key.ID)
		s.selects(apikey.ListOptions{Status: apikey.StatusActive})
	}},
	{"pages of one Status have every key once in every sort", func(t *testing.T, s *subject) {
		var active, expired []string
		for _, key := range s.crowd() {
			if key.ExpiresAt.Equal(past) {
				expired = append(expired, key.ID)
			} else {
				active = append(active, key.ID)
			}
		}
		for _, sort := range sorts {
			for _, limit := range []int{1, 2} {
				s.selects(apikey.ListOptions{Status: apikey.StatusActive, Sort: sort, Limit: limit}, active...)
				s.selects(apikey.ListOptions{Status: apikey.StatusExpired, Sort: sort, Limit: limit}, expired...)
			}
		}
	}},
	{"Owner is compared exactly", func(t *testing.T, s *subject) {
		owned := func(by string) string {
			_, key := s.add(func(key *apikey.Key) { key.Owner = by })
			return key.ID
		}
		// Trailing blanks are what padding collations forget; é is one character or two.
		for _, owner := range []string{"Ada", "ada", "ada ", " ada", "ad", "adam", "ad_", "%", "'ada'", "\u00e9", "e\u0301", "e"} {
			s.selects(apikey.ListOptions{Owner: owner})
			id := owned(owner)
			s.selects(apikey.ListOptions{Owner: owner}, id)
		}
		s.selects(apikey.ListOptions{Owner: "nobody"})
	}},
	{"pages of one Owner have every key once in every sort", func(t *testing.T, s *subject) {
		var hers []string
		for i := range 7 {
			_, key := s.add(named("twin"), func(key *apikey.Key) {
				if i%2 == 1 {
					key.Owner = "eve"
				}
			})
			if i%2 == 1 {
				hers = append(hers, key.ID)
			}
		}
		for _, sort := range sorts {
			s.selects(apikey.ListOptions{Owner: "eve", Sort: sort, Limit: 1}, hers...)
		}
	}},
	{"an Owner that no key can have selects nothing", func(t *testing.T, s *subject) {
		s.add()
		for _, owner := range []string{"a\x00b", "\xff", "ada\x00", "\u202e", string(make([]byte, 5000))} {
			s.nothingOrInvalid(apikey.ListOptions{Owner: owner})
		}
	}},
}

// nothingOrInvalid checks that what strangers type is no outage: it selects nothing, or it
// is ErrInvalid.
func (s *subject) nothingOrInvalid(o apikey.ListOptions) {
	s.t.Helper()
	page, err := s.List(s.t.Context(), o)
	if err != nil {
		s.refused("List with "+describe(o), err, apikey.ErrInvalid)
	} else if len(page.Keys) > 0 {
		s.t.Errorf("List with %s: got %q, want nothing", describe(o), ids(page.Keys))
	}
}
