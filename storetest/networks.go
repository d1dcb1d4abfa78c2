package storetest

import (
	"fmt"
	"net/netip"
	"slices"
	"testing"

	"github.com/latchkey-dev/apikey"
)

var networkRules = []rule{
	{"returns networks in their order, and 4-in-6 networks as IPv4 networks", func(t *testing.T, s *store) {
		d, key := s.next()
		key.Networks = []netip.Prefix{
			netip.MustParsePrefix("2001:db8::/32"), netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("::ffff:198.51.100.0/120"),
		}
		s.create(d, key)
		key.Networks[2] = netip.MustParsePrefix("198.51.100.0/24")
		s.wantStored(d, key)
	}},
	{"accepts 100 networks with the longest text", func(t *testing.T, s *store) {
		d, key := s.next()
		for i := range 100 {
			key.Networks = append(key.Networks, netip.MustParsePrefix(fmt.Sprintf("2001:db8:1111:2222:3333:4444:5555:%x/128", 0xf000+i)))
		}
		s.create(d, key)
		s.wantStored(d, key)
	}},
	{"an empty Patch.Networks permits every network", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) { key.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
		key.Networks = nil
		s.update(key.ID, apikey.Patch{Networks: &[]netip.Prefix{}})
		s.wantStored(d, key)
	}},
	{"the successor of a key has its networks", func(t *testing.T, s *store) {
		_, key := s.add(func(key *apikey.Key) { key.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")} })
		if _, successor := s.replace(key.ID, graceEnd); !slices.Equal(successor.Networks, key.Networks) {
			t.Errorf("successor: Networks = %v; want %v", successor.Networks, key.Networks)
		}
	}},
}
