package storetest

import (
	"net/netip"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// wantLastUsed checks the LastUsedAt that Get and List return, to the second.
func (s *store) wantLastUsed(id string, at time.Time) {
	s.t.Helper()
	s.flush()
	for call, key := range map[string]apikey.Key{"Get(" + id + ")": s.get(id), "List(), key " + id: s.listed(id)} {
		if got := key.LastUsedAt; got.Before(at.Truncate(time.Second)) || got.After(at) {
			s.t.Errorf("%s: LastUsedAt = %v; want %v, to the second", call, got, at)
		}
		if problem := notUTC(key); problem != "" {
			s.t.Errorf("%s: %s", call, problem)
		}
	}
}

// wantLastAddr checks the LastUsedAddr that Get and List return.
func (s *store) wantLastAddr(id string, addr netip.Addr) {
	s.t.Helper()
	s.flush()
	for call, key := range map[string]apikey.Key{"Get(" + id + ")": s.get(id), "List(), key " + id: s.listed(id)} {
		if key.LastUsedAddr != addr {
			s.t.Errorf("%s: LastUsedAddr = %v; want %v", call, key.LastUsedAddr, addr)
		}
	}
}

// touchRules use times an hour apart, because a store may skip a use that is minutes after another.
var touchRules = []rule{
	{"Get and List return the last use", func(t *testing.T, s *store) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(d, apikey.Use{At: past.Local()})
		s.wantLastUsed(key.ID, past)
		s.wantStored(d, key) // no other field has changed
	}},
	{"other keys stay unused", func(t *testing.T, s *store) {
		toucher := s.toucher()
		d, _ := s.add()
		_, other := s.add()
		toucher.Touch(d, apikey.Use{At: past})
		s.flush()
		if got, listed := s.get(other.ID).LastUsedAt, s.listed(other.ID).LastUsedAt; !got.IsZero() || !listed.IsZero() {
			t.Errorf("LastUsedAt = %v from Get, %v from List after Touch of another key; want zero", got, listed)
		}
	}},
	{"Create stores LastUsedAt and a later use replaces it", func(t *testing.T, s *store) {
		toucher := s.toucher()
		d, key := s.add(func(key *apikey.Key) { key.LastUsedAt = past })
		s.wantLastUsed(key.ID, past)
		toucher.Touch(d, apikey.Use{At: past.Add(-time.Hour)})
		s.wantLastUsed(key.ID, past)
		toucher.Touch(d, apikey.Use{At: past.Add(time.Hour)})
		s.wantLastUsed(key.ID, past.Add(time.Hour))
	}},
	{"keeps the latest use", func(t *testing.T, s *store) {
		toucher := s.toucher()
		d, key := s.add()
		for hours := range 3 {
			toucher.Touch(d, apikey.Use{At: past.Add(time.Duration(hours) * time.Hour)})
		}
		s.wantLastUsed(key.ID, past.Add(2*time.Hour))
		toucher.Touch(d, apikey.Use{At: past.Add(3 * time.Hour)})
		s.wantLastUsed(key.ID, past.Add(3*time.Hour))
	}},
	{"ignores an earlier use", func(t *testing.T, s *store) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(d, apikey.Use{At: past})
		toucher.Touch(d, apikey.Use{At: past.Add(-time.Hour)})
		s.wantLastUsed(key.ID, past)
		toucher.Touch(d, apikey.Use{At: past.Add(-2 * time.Hour)})
		s.wantLastUsed(key.ID, past)
	}},
	{"each key has its own last use", func(t *testing.T, s *store) {
		toucher := s.toucher()
		var keys []apikey.Key
		for i := range 4 {
			d, key := s.add()
			toucher.Touch(d, apikey.Use{At: past.Add(time.Duration(i) * time.Hour)})
			keys = append(keys, key)
		}
		for i, key := range keys {
			s.wantLastUsed(key.ID, past.Add(time.Duration(i)*time.Hour))
		}
	}},
	{"ignores an unknown digest", func(t *testing.T, s *store) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(digestOf(-1), apikey.Use{At: past})
		toucher.Touch(apikey.Digest{}, apikey.Use{At: past})
		toucher.Touch(d, apikey.Use{At: past})
		s.wantLastUsed(key.ID, past)
		s.wantList(apikey.ListOptions{}, key.ID)
		// A key that is created later with that digest is unused.
		_, late := s.next()
		s.create(digestOf(-1), late)
		s.flush()
		if at := s.get(late.ID).LastUsedAt; !at.IsZero() {
			t.Errorf("LastUsedAt = %v after Create; want zero, because the use was before it", at)
		}
	}},
	{"Get and List return the address of the last use", func(t *testing.T, s *store) {
		toucher := s.toucher()
		for _, addr := range []string{"192.0.2.1", "2001:db8::1", "2001:db8:1111:2222:3333:4444:5555:6666"} {
			d, key := s.add()
			toucher.Touch(d, apikey.Use{At: past, Addr: netip.MustParseAddr(addr)})
			s.wantLastAddr(key.ID, netip.MustParseAddr(addr))
			s.wantLastUsed(key.ID, past)
			if got := s.lookup(d).LastUsedAddr; got.IsValid() {
				t.Errorf("Lookup: LastUsedAddr = %v; want the zero Addr", got)
			}
		}
	}},
	{"the address is that of the latest use", func(t *testing.T, s *store) {
		toucher := s.toucher()
		first, second := netip.MustParseAddr("192.0.2.1"), netip.MustParseAddr("2001:db8::1")
		d, key := s.add()
		toucher.Touch(d, apikey.Use{At: past, Addr: first})
		toucher.Touch(d, apikey.Use{At: past.Add(-time.Hour), Addr: second})
		s.wantLastAddr(key.ID, first)
		toucher.Touch(d, apikey.Use{At: past.Add(-2 * time.Hour), Addr: second})
		s.wantLastAddr(key.ID, first)
		toucher.Touch(d, apikey.Use{At: past.Add(time.Hour), Addr: second})
		s.wantLastAddr(key.ID, second)
		toucher.Touch(d, apikey.Use{At: past.Add(2 * time.Hour)})
		s.wantLastAddr(key.ID, netip.Addr{})
	}},
	{"Create ignores LastUsedAddr", func(t *testing.T, s *store) {
		s.toucher()
		d, key := s.add(func(key *apikey.Key) { key.LastUsedAt, key.LastUsedAddr = past, netip.MustParseAddr("192.0.2.1") })
		s.wantLastAddr(key.ID, netip.Addr{})
		if got := s.lookup(d).LastUsedAddr; got.IsValid() {
			t.Errorf("Lookup: LastUsedAddr = %v; want the zero Addr", got)
		}
	}},
	{"later writes keep the last use", func(t *testing.T, s *store) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(d, apikey.Use{At: past, Addr: netip.MustParseAddr("192.0.2.1")})
		s.wantLastUsed(key.ID, past)
		s.update(key.ID, apikey.Patch{Name: new("renamed")})
		s.wantLastUsed(key.ID, past)
		s.wantLastAddr(key.ID, netip.MustParseAddr("192.0.2.1"))
		s.replace(key.ID, graceEnd)
		s.wantLastUsed(key.ID, past)
		s.revoke(key.ID)
		s.wantLastUsed(key.ID, past)
	}},
	{"does not undo a revocation", func(t *testing.T, s *store) {
		toucher := s.toucher()
		d, key := s.add()
		toucher.Touch(d, apikey.Use{At: past})
		revoked := s.revoke(key.ID)
		s.flush()
		s.wantStored(d, revoked)
		toucher.Touch(d, apikey.Use{At: past.Add(time.Hour)})
		s.flush()
		s.wantStored(d, revoked)
	}},
	{"concurrent uses do not undo a revocation", func(t *testing.T, s *store) {
		toucher := s.toucher()
		d, key := s.add()
		var wg sync.WaitGroup
		for i := range 8 {
			wg.Go(func() {
				for j := range 50 {
					toucher.Touch(d, apikey.Use{At: past.Add(time.Duration(8*j+i) * time.Hour)})
				}
			})
		}
		revoked := s.revoke(key.ID)
		s.flush()
		wg.Wait()
		s.wantLastUsed(key.ID, past.Add(399*time.Hour))
		s.wantStored(d, revoked)
	}},
}
