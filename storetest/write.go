package storetest

import (
	"errors"
	"fmt"
	"reflect"
	"slices"
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

var updateRules = []rule{
	{"sets the field of the Patch and no other", func(t *testing.T, s *store) {
		other := filled(t, 99)
		for _, field := range reflect.VisibleFields(reflect.TypeFor[apikey.Patch]()) {
			p, ok := patchOf(other, field.Name)
			if !ok {
				continue // see suspendRules
			}
			d, want := s.add()
			setField(&want, field.Name, reflect.ValueOf(other).FieldByName(field.Name).Interface())
			if field.Name == "Owner" {
				want.Origin = "moved_" + want.ID
			}
			s.wantKey("Update(key, Patch of "+field.Name+")", s.update(want.ID, p), want)
			s.wantStored(d, want)
		}
	}},
	{"the zero Patch changes nothing", func(t *testing.T, s *store) {
		want := filled(t, 1)
		s.create(digestOf(1), want)
		s.wantKey("Update(key)", s.update(want.ID, apikey.Patch{}), want)
		s.wantStored(digestOf(1), want)
	}},
	{"sets all fields of a Patch together", func(t *testing.T, s *store) {
		d, key := s.add()
		other := filled(t, 99)
		p := apikey.Patch{
			Name: &other.Name, Owner: &other.Owner, Scopes: &other.Scopes, Networks: &other.Networks, Limits: &other.Limits, Metadata: &other.Metadata,
			ExpiresAt: &other.ExpiresAt, Suspended: new(true),
		}
		key.Name, key.Owner, key.Scopes, key.Networks, key.Limits = other.Name, other.Owner, other.Scopes, other.Networks, other.Limits
		key.Metadata, key.ExpiresAt, key.Origin = other.Metadata, other.ExpiresAt, "moved_"+key.ID
		got := s.update(key.ID, p)
		if got.SuspendedAt.IsZero() {
			t.Error("Update(key): SuspendedAt is zero; want a time")
		}
		key.SuspendedAt = got.SuspendedAt
		s.wantKey("Update(key)", got, key)
		s.wantStored(d, key)
	}},
	{"clears Scopes and Metadata with empty values", func(t *testing.T, s *store) {
		for _, p := range []apikey.Patch{
			{Scopes: new([]string), Metadata: new(map[string]string)}, // pointers to nil
			{Scopes: &[]string{}, Metadata: &map[string]string{}},
		} {
			d, key := s.add()
			key.Scopes, key.Metadata = nil, nil
			s.wantKey("Update(key)", s.update(key.ID, p), key)
			s.wantStored(d, key)
		}
	}},
	{"removes the expiry with the zero time", func(t *testing.T, s *store) {
		d, key := s.add()
		key.ExpiresAt = time.Time{}
		s.wantKey("Update(key)", s.update(key.ID, apikey.Patch{ExpiresAt: new(time.Time)}), key)
		s.wantStored(d, key)
	}},
	{"stores times in UTC to the microsecond", func(t *testing.T, s *store) {
		d, key := s.add()
		at := time.Date(2099, 1, 1, 0, 0, 0, 123456789, time.FixedZone("Nowhere", -7*60*60))
		key.ExpiresAt = time.Date(2099, 1, 1, 7, 0, 0, 123456000, time.UTC)
		s.wantKey("Update(key)", s.update(key.ID, apikey.Patch{ExpiresAt: &at}), key)
		s.wantStored(d, key)
	}},
	{"extends an expired key", func(t *testing.T, s *store) {
		d, key := s.add(expiring(past))
		key.ExpiresAt = future
		s.update(key.ID, apikey.Patch{ExpiresAt: &key.ExpiresAt})
		s.wantStored(d, key)
	}},
	{"does not change RevokedAt", func(t *testing.T, s *store) {
		d, key := s.add()
		revoked := s.revoke(key.ID)
		name, scopes, metadata, never := "renamed", []string{"a"}, map[string]string{"b": "c"}, time.Time{}
		for _, p := range []apikey.Patch{{}, {Name: &name}, {Scopes: &scopes}, {Metadata: &metadata}, {ExpiresAt: &never}, {ExpiresAt: &future}} {
			got := s.update(key.ID, p)
			if !got.RevokedAt.Equal(revoked.RevokedAt) {
				t.Errorf("Update(revoked key): RevokedAt = %v; want %v", got.RevokedAt, revoked.RevokedAt)
			}
			s.wantStored(d, got)
		}
	}},
	{"Lookup sees the update at once", func(t *testing.T, s *store) {
		d, key := s.add()
		for _, name := range []string{"one", "two", "three"} {
			key.Name = name
			s.update(key.ID, apikey.Patch{Name: &name})
			s.wantKey("Lookup(digest) after Update", *s.lookup(d), key)
		}
	}},
	{"leaves other keys unchanged", func(t *testing.T, s *store) {
		d1, one := s.add(named("twin"))
		_, two := s.add(named("twin"))
		d3, three := s.add(named("twin"))
		s.update(two.ID, apikey.Patch{Name: new("renamed"), Scopes: new([]string)})
		s.wantStored(d1, one)
		s.wantStored(d3, three)
	}},
	{"returns ErrNotFound for an unknown or invalid ID", func(t *testing.T, s *store) {
		d, key := s.add()
		for _, id := range append(invalidIDs(), "unknown", "SAMPLE-1") {
			_, err := s.Update(t.Context(), id, apikey.Patch{Name: new("renamed")})
			s.wantError("Update(unknown ID "+short(id)+")", err, apikey.ErrNotFound)
		}
		s.wantStored(d, key)
	}},
	{"retains neither the Patch nor the returned key", func(t *testing.T, s *store) {
		d, want := s.add()
		want.Scopes, want.Metadata = []string{"x", "y"}, map[string]string{"k": "v"}
		mine := want.Clone()
		got := s.update(want.ID, apikey.Patch{Scopes: &mine.Scopes, Metadata: &mine.Metadata})
		overwrite(mine)
		s.wantStored(d, want)
		s.wantKey("the key that Update returned before its argument changed", got, want)
		overwrite(got)
		s.wantStored(d, want)
		overwrite(s.update(want.ID, apikey.Patch{}))
		s.wantStored(d, want)
	}},
}

// validationRules returns a rule for each field, because a store that does not validate a field fails
// for all of its invalid values.
func validationRules() []rule {
	var rules []rule
	for _, fields := range [][]string{
		{"ID"}, {"Name"}, {"Owner"}, {"Scopes"}, {"Networks"}, {"Limits"}, {"Metadata"}, {"Hint"}, {"Replaces"}, {"Origin"}, {"CreatedAt", "ExpiresAt", "RevokedAt", "SuspendedAt"},
	} {
		rules = append(rules, rule{
			fmt.Sprintf("%s out of its limits returns ErrInvalid and writes nothing", strings.Join(fields, " or ")),
			func(t *testing.T, s *store) {
				kept, key := s.add()
				d, other := s.next()
				for _, f := range invalidValues() {
					if slices.Contains(fields, f.field) {
						s.wantInvalid(f, key.ID, d, other)
					}
				}
				s.wantStored(kept, key)
				s.wantList(apikey.ListOptions{}, key.ID)
				s.create(d, other) // the refused writes left nothing behind
			},
		})
	}
	return rules
}

// wantInvalid checks that Create, and Update of the key with this ID, refuse a value.
func (s *store) wantInvalid(f invalidValue, id string, d apikey.Digest, key apikey.Key) {
	s.t.Helper()
	setField(&key, f.field, f.value)
	s.wantError("Create(key with "+f.String()+")", s.Create(s.t.Context(), d, key), apikey.ErrInvalid)
	if found, err := s.Lookup(s.t.Context(), d); !errors.Is(err, apikey.ErrNotFound) {
		s.t.Fatalf("Lookup(digest) after Create(key with %s) = %v, %v; want ErrNotFound", f, found, err)
	}
	if p, ok := patchOf(key, f.field); ok {
		_, err := s.Update(s.t.Context(), id, p)
		s.wantError("Update(key, Patch with "+f.String()+")", err, apikey.ErrInvalid)
	}
}
