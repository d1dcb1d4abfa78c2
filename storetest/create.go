package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

var createRules = []rule{
	{"every field comes back from Get", func(t *testing.T, s *subject) {
		want := filled(t, 1)
		s.create(digestOf(1), want)
		s.create(digestOf(2), filled(t, 2))
		s.check("Get", s.get(want.ID), want)
	}},
	{"every field comes back from Lookup", func(t *testing.T, s *subject) {
		want := filled(t, 1)
		s.create(digestOf(1), want)
		s.create(digestOf(2), filled(t, 2))
		s.check("Lookup", *s.find(digestOf(1)), want)
	}},
	{"every field comes back from List", func(t *testing.T, s *subject) {
		want := filled(t, 1)
		s.create(digestOf(1), want)
		s.create(digestOf(2), filled(t, 2))
		s.check("List", s.listed(want.ID), want)
	}},
	{"LastUsedAt is not taken over", func(t *testing.T, s *subject) {
		key := filled(t, 1)
		s.create(digestOf(1), key)
		for what, got := range map[string]apikey.Key{"Get": s.get(key.ID), "List": s.listed(key.ID)} {
			if !got.LastUsedAt.IsZero() {
				t.Errorf("%s: LastUsedAt is %v; want never", what, got.LastUsedAt)
			}
		}
	}},
	{"times are kept to the microsecond and in UTC", func(t *testing.T, s *subject) {
		zone := time.FixedZone("Nowhere", 5*60*60+30*60)
		d, key := s.next()
		key.CreatedAt = time.Date(2024, 1, 1, 2, 3, 4, 123456789, zone)
		key.ExpiresAt = time.Date(2100, 12, 31, 23, 59, 59, 999999999, zone)
		key.RevokedAt = time.Date(2025, 6, 7, 8, 9, 10, 1999, zone)
		// Not by create, which would prepare the times.
		if err := s.Create(t.Context(), d, key); err != nil {
			t.Fatal(err)
		}
		key.CreatedAt = time.Date(2023, 12, 31, 20, 33, 4, 123456000, time.UTC)
		key.ExpiresAt = time.Date(2100, 12, 31, 18, 29, 59, 999999000, time.UTC)
		key.RevokedAt = time.Date(2025, 6, 7, 2, 39, 10, 1000, time.UTC)
		s.keeps(d, key)
	}},
	{"the first and the last time that are allowed are kept", func(t *testing.T, s *subject) {
		d, key := s.add(func(key *apikey.Key) {
			key.CreatedAt = time.UnixMicro(1).UTC()
			key.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
		})
		s.keeps(d, key)
	}},
	{"a key of ID and Name alone comes back with all else empty", func(t *testing.T, s *subject) {
		want := apikey.Key{ID: "least", Name: "Least"}
		s.create(digestOf(1), want)
		s.keeps(digestOf(1), want)
		// Empty is the same as nil.
		want = apikey.Key{ID: "empty", Name: "Empty", Scopes: []string{}, Metadata: map[string]string{}}
		if err := s.Create(t.Context(), digestOf(2), want); err != nil {
			t.Fatal(err)
		}
		s.keeps(digestOf(2), want)
	}},
	{"scopes keep their order and every character", func(t *testing.T, s *subject) {
		d, key := s.add(func(key *apikey.Key) {
			key.Scopes = []string{"z", "a", "M", "m", "a,b", "a;b", "'", "!#$%&'()*+-./:<=>?@[]^_`{|}~", "{}", "[]", "null", "$$"}
		})
		s.keeps(d, key)
	}},
	{"metadata keeps odd names and values", func(t *testing.T, s *subject) {
		d, key := s.add(func(key *apikey.Key) {
			key.Metadata = map[string]string{
				"quotes": `'"` + "`", "back": `a\b\\c\u0041\`, "dollar": "$$ $1 ${x}", "percent": "%s %d %%", "json": `{"a":[1,null,"b"],}`,
				"empty": "", "blank": " ", " padded ": " padded ", "Case": "upper", "case": "lower", "html": "<script>&amp;</script>",
				"größe": "日本語 🎛️", "a.b[0]": "$.a", "'); DROP TABLE apikey_keys; --": "null", "equals=&;,": "a=b&c;d,e",
			}
		})
		s.keeps(d, key)
	}},
	{"names in every script and with every sign come back", func(t *testing.T, s *subject) {
		for _, name := range []string{
			"Übung für Ærøskøbing", "日本語の鍵", "ключ", "مفتاح", "מפתח", "กุญแจ", "🔑👩‍👩‍👧‍👦", "İıſK", "e\u0301 is not \u00e9", "left\u200eright\u200f",
			`O'Neil "the" key`, `C:\backup\`, "$$", "$1", "100 % _ !", "'; DROP TABLE apikey_keys; --", "<b>&lt;</b>", "=cmd()",
			" leading", "trailing ", "null", "NULL", "0", "{}", "?", ":name", "@p1", "\ufffd", "\u00a0x\u00a0",
		} {
			d, key := s.add(named(name))
			s.check("Get of a key named "+name, s.get(key.ID), key)
			s.check("Lookup of a key named "+name, *s.find(d), key)
		}
	}},
	{"a name of 100 characters of 4 bytes is kept", func(t *testing.T, s *subject) {
		d, key := s.add(named(strings.Repeat("🔑", 100)))
		s.keeps(d, key)
	}},
	{"the longest fields are kept", func(t *testing.T, s *subject) {
		d, key := s.add(func(key *apikey.Key) {
			key.ID, key.Replaces = strings.Repeat("i", 64), strings.Repeat("r", 64)
			key.Owner, key.Hint = strings.Repeat("𝕆", 100), strings.Repeat("𝕙", 100)
			key.Scopes = nil
			for i := range 100 {
				key.Scopes = append(key.Scopes, fmt.Sprintf("%0100d", i))
			}
			key.Metadata = map[string]string{"name": strings.Repeat("v", 2000), strings.Repeat("n", 2000): strings.Repeat("é", 46)}
		})
		s.keeps(d, key)
	}},
	{"a taken ID is ErrExists and leaves the first key alone", func(t *testing.T, s *subject) {
		d, first := s.add()
		fresh, second := s.next()
		second.ID = first.ID
		s.refused("Create with a taken ID", s.Create(t.Context(), fresh, second), apikey.ErrExists)
		s.keeps(d, first)
		key, err := s.Lookup(t.Context(), fresh)
		isNotFound(t, "Lookup of the refused digest", key, err)
		s.lists(apikey.ListOptions{}, first.ID)
	}},
	{"a taken digest is ErrExists and leaves the first key alone", func(t *testing.T, s *subject) {
		d, first := s.add()
		_, second := s.next()
		s.refused("Create with a taken digest", s.Create(t.Context(), d, second), apikey.ErrExists)
		s.keeps(d, first)
		s.lists(apikey.ListOptions{}, first.ID)
		_, err := s.Get(t.Context(), second.ID)
		s.refused("Get of the refused ID", err, apikey.ErrNotFound)
	}},
	{"the ID and the digest of a revoked key stay taken", func(t *testing.T, s *subject) {
		d, key := s.add()
		revoked := s.revoke(key.ID)
		fresh, other := s.next()
		s.refused("Create of a revoked key again", s.Create(t.Context(), d, key), apikey.ErrExists)
		s.refused("Create with the digest of a revoked key", s.Create(t.Context(), d, other), apikey.ErrExists)
		other.ID = key.ID
		s.refused("Create with the ID of a revoked key", s.Create(t.Context(), fresh, other), apikey.ErrExists)
		s.keeps(d, revoked)
	}},
	{"a key that was refused can be created afterwards", func(t *testing.T, s *subject) {
		d, first := s.add()
		fresh, second := s.next()
		s.refused("Create with a taken digest", s.Create(t.Context(), d, second), apikey.ErrExists)
		taken := second
		taken.ID = first.ID
		s.refused("Create with a taken ID", s.Create(t.Context(), fresh, taken), apikey.ErrExists)
		s.create(fresh, second)
		s.keeps(fresh, second)
		s.keeps(d, first)
	}},
	{"IDs that differ only by case are different keys", func(t *testing.T, s *subject) {
		d1, upper := s.add(func(key *apikey.Key) { key.ID = "Key_a-B" })
		d2, lower := s.add(func(key *apikey.Key) { key.ID = "key_A-b" })
		s.keeps(d1, upper)
		s.keeps(d2, lower)
	}},
	{"digests that differ in one bit are different keys", func(t *testing.T, s *subject) {
		base := digestOf(0)
		keys := map[apikey.Digest]apikey.Key{}
		for _, bit := range []int{0, 7, 127, 128, 248, 255} {
			d := base
			d[bit/8] ^= 1 << (bit % 8)
			_, keys[d] = s.next()
		}
		for d, key := range keys {
			s.create(d, key)
		}
		for d, want := range keys {
			s.check("Lookup", *s.find(d), want)
		}
	}},
	{"two keys may have the same name", func(t *testing.T, s *subject) {
		d1, one := s.add(named("Twin"))
		d2, two := s.add(named("Twin"))
		s.keeps(d1, one)
		s.keeps(d2, two)
	}},
	{"no memory of the argument is kept", func(t *testing.T, s *subject) {
		d, key := s.next()
		want := key.Clone()
		if err := s.Create(t.Context(), d, key); err != nil {
			t.Fatal(err)
		}
		scribble(key)
		s.keeps(d, want)
	}},
}
