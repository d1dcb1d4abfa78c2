package storetest

import (
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

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

// An invalidValue is a value that a field of a key must not have.
type invalidValue struct {
	field, what string
	value       any
}

// String returns text for a failure message.
func (f invalidValue) String() string { return fmt.Sprintf("invalid %s (%s)", f.field, f.what) }

// huge returns a text of 10 MB.
var huge = sync.OnceValue(func() string { return strings.Repeat("x", 10<<20) })

// invalidValues returns values that Key.Validate refuses. A store that does not call Validate passes
// some of them to a database that truncates them, or to a page that displays them.
func invalidValues() []invalidValue {
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("scope-%d", i)
	}
	all := []invalidValue{
		{"ID", "no characters", ""},
		{"ID", "65 characters", strings.Repeat("x", 65)},
		{"ID", "two words", "a b"},
		{"ID", "a path", "a/../b"},
		{"ID", "a letter outside ASCII", "schlüssel"},
		{"ID", "a NUL", "a\x00b"},
		{"ID", "a quote", "a'b"},
		{"ID", "10 MB", huge()},
		{"Replaces", "65 characters", strings.Repeat("x", 65)},
		{"Replaces", "a quote", "a'b"},
		{"Name", "no characters", ""},
		{"Name", "only spaces", " \u00a0\u3000"},
		{"Scopes", "an empty scope", []string{"read", ""}},
		{"Scopes", "two words", []string{"read write"}},
		{"Scopes", "a quote", []string{`"read"`}},
		{"Scopes", "a backslash", []string{`read\write`}},
		{"Scopes", "a letter outside ASCII", []string{"überall"}},
		{"Scopes", "a line break", []string{"read\nwrite"}},
		{"Scopes", "a NUL", []string{"read\x00"}},
		{"Scopes", "101 bytes", []string{strings.Repeat("x", 101)}},
		{"Scopes", "101 scopes", many},
		{"Networks", "the zero Prefix", []netip.Prefix{{}}},
		{"Networks", "host bits set", []netip.Prefix{netip.MustParsePrefix("192.0.2.1/24")}},
		{"Networks", "IPv4 and IPv6 mixed", []netip.Prefix{netip.MustParsePrefix("::ffff:0:0/95")}},
		{"Networks", "101 networks", slices.Repeat([]netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")}, 101)},
		{"Metadata", "4097 bytes", map[string]string{"k": strings.Repeat("v", 4096)}},
		{"Limits", "no name", []apikey.Limit{{Requests: 1, Per: time.Second}}},
		{"Limits", "a space in a name", []apikey.Limit{{Name: "a b", Requests: 1, Per: time.Second}}},
		{"Limits", "no time", []apikey.Limit{{Name: "a", Requests: 1}}},
		{"Limits", "0 requests", []apikey.Limit{{Name: "a", Per: time.Second}}},
		{"Limits", "an unknown calendar", []apikey.Limit{{Name: "a", Requests: 1, Calendar: "week"}}},
		{"Limits", "one name twice", []apikey.Limit{{Name: "a", Requests: 1, Per: time.Second}, {Name: "a", Requests: 2, Per: time.Second}}},
		{"Origin", "a space", "a b"},
		{"Metadata", "4098 bytes in 2049 names", wide(2049)},
		{"Metadata", "an empty name", map[string]string{"": "v"}},
		{"Metadata", "a NUL in a name", map[string]string{"k\x00": "v"}},
		{"Metadata", "a NUL in a value", map[string]string{"k": "\x00"}},
		{"Metadata", "broken UTF-8 in a name", map[string]string{"\xff": "v"}},
		{"Metadata", "broken UTF-8 in a value", map[string]string{"k": "\xc3"}},
		{"Metadata", "a bidi override", map[string]string{"k": "\u202e"}},
		{"Metadata", "10 MB", map[string]string{"k": huge()}},
	}
	for _, field := range []string{"Name", "Owner", "Hint"} {
		for _, bad := range []struct{ what, text string }{
			{"101 characters", strings.Repeat("x", 101)},
			{"101 characters of 2 bytes", strings.Repeat("é", 101)},
			{"a NUL", "a\x00b"},
			{"a line break", "a\nb"},
			{"an escape", "a\x1b[31mb"},
			{"a DEL", "a\x7fb"},
			{"a control of Latin-1", "a\u0085b"},
			{"a line separator", "a\u2028b"},
			{"a byte that is not UTF-8", "a\xffb"},
			{"UTF-8 that is cut off", "a\xe2\x82"},
			{"half a surrogate pair", "a\xed\xa0\x80b"},
			{"a bidi override", "a\u202eb"},
			{"a bidi isolate", "a\u2066b"},
			{"10 MB", huge()},
		} {
			all = append(all, invalidValue{field, bad.what, bad.text})
		}
	}
	for _, field := range []string{"CreatedAt", "ExpiresAt", "RevokedAt", "SuspendedAt"} {
		all = append(all,
			invalidValue{field, "1969", time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)},
			// A store that writes "never" as 0 cannot distinguish this time from it.
			invalidValue{field, "the first moment of 1970", time.Unix(0, 0)},
			invalidValue{field, "the year 10000", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
			invalidValue{field, "the year 1", time.Time{}.Add(time.Nanosecond)})
	}
	return all
}

// wide returns metadata of n names of two bytes, with empty values.
func wide(n int) map[string]string {
	m := make(map[string]string)
	for i := range n {
		m[string([]byte{byte('0' + i/64), byte('0' + i%64)})] = ""
	}
	return m
}
