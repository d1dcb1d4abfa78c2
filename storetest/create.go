package storetest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

var createRules = []rule{
	{"Get returns every field", func(t *testing.T, s *store) {
		want := filled(t, 1)
		s.create(digestOf(1), want)
		s.create(digestOf(2), filled(t, 2))
		s.wantKey("Get(ID)", s.get(want.ID), want)
	}},
	{"Lookup returns every field", func(t *testing.T, s *store) {
		want := filled(t, 1)
		s.create(digestOf(1), want)
		s.create(digestOf(2), filled(t, 2))
		s.wantKey("Lookup(digest)", *s.lookup(digestOf(1)), want)
	}},
	{"List returns every field", func(t *testing.T, s *store) {
		want := filled(t, 1)
		s.create(digestOf(1), want)
		s.create(digestOf(2), filled(t, 2))
		s.wantKey("List()", s.listed(want.ID), want)
	}},
	{"stores times in UTC to the microsecond", func(t *testing.T, s *store) {
		zone := time.FixedZone("Nowhere", 5*60*60+30*60)
		d, key := s.next()
		key.CreatedAt = time.Date(2024, 1, 1, 2, 3, 4, 123456789, zone)
		key.ExpiresAt = time.Date(2100, 12, 31, 23, 59, 59, 999999999, zone)
		key.RevokedAt = time.Date(2025, 6, 7, 8, 9, 10, 1999, zone)
		// s.create would clone the key, which truncates the times.
		if err := s.Create(t.Context(), d, key); err != nil {
			t.Fatal(err)
		}
		key.CreatedAt = time.Date(2023, 12, 31, 20, 33, 4, 123456000, time.UTC)
		key.ExpiresAt = time.Date(2100, 12, 31, 18, 29, 59, 999999000, time.UTC)
		key.RevokedAt = time.Date(2025, 6, 7, 2, 39, 10, 1000, time.UTC)
		s.wantStored(d, key)
	}},
	{"stores the first and the last valid time", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) {
			key.CreatedAt = time.UnixMicro(1).UTC()
			key.ExpiresAt = time.Date(9999, 12, 31, 23, 59, 59, 999999000, time.UTC)
		})
		s.wantStored(d, key)
	}},
	{"stores a key that has only ID and Name", func(t *testing.T, s *store) {
		want := apikey.Key{ID: "least", Name: "Least"}
		s.create(digestOf(1), want)
		s.wantStored(digestOf(1), want)
		// Empty is the same as nil.
		want = apikey.Key{ID: "empty", Name: "Empty", Scopes: []string{}, Metadata: map[string]string{}}
		if err := s.Create(t.Context(), digestOf(2), want); err != nil {
			t.Fatal(err)
		}
		s.wantStored(digestOf(2), want)
	}},
	{"preserves the order and characters of Scopes", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) {
			key.Scopes = []string{"z", "a", "M", "m", "a,b", "a;b", "'", "!#$%&'()*+-./:<=>?@[]^_`{|}~", "{}", "[]", "null", "$$"}
		})
		s.wantStored(d, key)
	}},
	{"preserves unusual Metadata", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) {
			key.Metadata = map[string]string{
				"quotes": `'"` + "`", "back": `a\b\\c\u0041\`, "dollar": "$$ $1 ${x}", "percent": "%s %d %%", "json": `{"a":[1,null,"b"],}`,
				"empty": "", "blank": " ", " padded ": " padded ", "Case": "upper", "case": "lower", "html": "<script>&amp;</script>",
				"größe": "日本語 🎛️", "a.b[0]": "$.a", "'); DROP TABLE apikey_keys; --": "null", "equals=&;,": "a=b&c;d,e",
			}
		})
		s.wantStored(d, key)
	}},
	{"preserves names in every script and with every symbol", func(t *testing.T, s *store) {
		for _, name := range []string{
			"Übung für Ærøskøbing", "日本語の鍵", "ключ", "مفتاح", "מפתח", "กุญแจ", "🔑👩‍👩‍👧‍👦", "İıſK", "e\u0301 is not \u00e9", "שרת C++\u200f ראשי",
			`O'Neil "the" key`, `C:\backup\`, "$$", "$1", "100 % _ !", "'; DROP TABLE apikey_keys; --", "<b>&lt;</b>", "=cmd()",
			" leading", "trailing ", "null", "NULL", "0", "{}", "?", ":name", "@p1", "\ufffd", "\u00a0x\u00a0",
		} {
			d, key := s.add(named(name))
			s.wantKey(fmt.Sprintf("Get(key named %q)", name), s.get(key.ID), key)
			s.wantKey(fmt.Sprintf("Lookup(digest of the key named %q)", name), *s.lookup(d), key)
		}
	}},
	{"stores a name of 100 characters of 4 bytes", func(t *testing.T, s *store) {
		d, key := s.add(named(strings.Repeat("🔑", 100)))
		s.wantStored(d, key)
	}},
	{"stores the longest fields", func(t *testing.T, s *store) {
		d, key := s.add(func(key *apikey.Key) {
			key.ID, key.Replaces, key.Origin = strings.Repeat("i", 64), strings.Repeat("r", 64), strings.Repeat("o", 64)
			key.Owner, key.Hint = strings.Repeat("𝕆", 100), strings.Repeat("𝕙", 100)
			key.Scopes = nil
			for i := range 100 {
				key.Scopes = append(key.Scopes, fmt.Sprintf("%0100d", i))
			}
			key.Metadata = map[string]string{"name": strings.Repeat("v", 2000), strings.Repeat("n", 2000): strings.Repeat("é", 46)}
		})
		s.wantStored(d, key)
	}},
	{"returns ErrExists for a taken ID and keeps the first key", func(t *testing.T, s *store) {
		d, first := s.add()
		fresh, second := s.next()
		second.ID = first.ID
		s.wantError("Create(key with a taken ID)", s.Create(t.Context(), fresh, second), apikey.ErrExists)
		s.wantStored(d, first)
		key, err := s.Lookup(t.Context(), fresh)
		wantNotFound(t, "Lookup(refused digest)", key, err)
		s.wantList(apikey.ListOptions{}, first.ID)
	}},
	{"returns ErrExists for a taken digest and keeps the first key", func(t *testing.T, s *store) {
		d, first := s.add()
		_, second := s.next()
		s.wantError("Create(taken digest)", s.Create(t.Context(), d, second), apikey.ErrExists)
		s.wantStored(d, first)
		s.wantList(apikey.ListOptions{}, first.ID)
		_, err := s.Get(t.Context(), second.ID)
		s.wantError("Get(refused ID)", err, apikey.ErrNotFound)
	}},
	{"the ID and digest of a revoked key stay taken", func(t *testing.T, s *store) {
		d, key := s.add()
		revoked := s.revoke(key.ID)
		fresh, other := s.next()
		s.wantError("Create(revoked key)", s.Create(t.Context(), d, key), apikey.ErrExists)
		s.wantError("Create(digest of a revoked key)", s.Create(t.Context(), d, other), apikey.ErrExists)
		other.ID = key.ID
		s.wantError("Create(key with the ID of a revoked key)", s.Create(t.Context(), fresh, other), apikey.ErrExists)
		s.wantStored(d, revoked)
	}},
	{"a refused Create leaves its ID and digest free", func(t *testing.T, s *store) {
		d, first := s.add()
		fresh, second := s.next()
		s.wantError("Create(taken digest)", s.Create(t.Context(), d, second), apikey.ErrExists)
		taken := second
		taken.ID = first.ID
		s.wantError("Create(key with a taken ID)", s.Create(t.Context(), fresh, taken), apikey.ErrExists)
		s.create(fresh, second)
		s.wantStored(fresh, second)
		s.wantStored(d, first)
	}},
	{"IDs that differ only in case are different keys", func(t *testing.T, s *store) {
		d1, upper := s.add(func(key *apikey.Key) { key.ID = "Key_a-B" })
		d2, lower := s.add(func(key *apikey.Key) { key.ID = "key_A-b" })
		s.wantStored(d1, upper)
		s.wantStored(d2, lower)
	}},
	{"digests that differ in one bit are different keys", func(t *testing.T, s *store) {
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
			s.wantKey("Lookup(digest)", *s.lookup(d), want)
		}
	}},
	{"accepts two keys with the same name", func(t *testing.T, s *store) {
		d1, one := s.add(named("Twin"))
		d2, two := s.add(named("Twin"))
		s.wantStored(d1, one)
		s.wantStored(d2, two)
	}},
	{"does not retain its argument", func(t *testing.T, s *store) {
		d, key := s.next()
		want := key.Clone()
		if err := s.Create(t.Context(), d, key); err != nil {
			t.Fatal(err)
		}
		overwrite(key)
		s.wantStored(d, want)
	}},
}
