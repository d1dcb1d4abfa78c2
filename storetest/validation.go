package storetest

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A flaw is a value that a field of a key must not have.
type flaw struct {
	field, what string
	value       any
}

// String names the flaw in a failure.
func (f flaw) String() string { return fmt.Sprintf("%s of %s", f.field, f.what) }

// huge is a text of 10 MB.
var huge = sync.OnceValue(func() string { return strings.Repeat("x", 10<<20) })

// flaws returns what Key.Validate refuses. A store that does not call it would hand some
// of these to an engine that cuts them short, or to a page that shows them.
func flaws() []flaw {
	many := make([]string, 101)
	for i := range many {
		many[i] = fmt.Sprintf("scope-%d", i)
	}
	all := []flaw{
		{"ID", "nothing", ""},
		{"ID", "65 characters", strings.Repeat("x", 65)},
		{"ID", "two words", "a b"},
		{"ID", "a path", "a/../b"},
		{"ID", "a letter outside ASCII", "schlüssel"},
		{"ID", "a NUL", "a\x00b"},
		{"ID", "a quote", "a'b"},
		{"ID", "10 MB", huge()},
		{"Replaces", "65 characters", strings.Repeat("x", 65)},
		{"Replaces", "a quote", "a'b"},
		{"Name", "nothing", ""},
		{"Name", "blanks", " \u00a0\u3000"},
		{"Scopes", "an empty scope", []string{"read", ""}},
		{"Scopes", "two words", []string{"read write"}},
		{"Scopes", "a quote", []string{`"read"`}},
		{"Scopes", "a backslash", []string{`read\write`}},
		{"Scopes", "a letter outside ASCII", []string{"überall"}},
		{"Scopes", "a line break", []string{"read\nwrite"}},
		{"Scopes", "a NUL", []string{"read\x00"}},
		{"Scopes", "101 bytes", []string{strings.Repeat("x", 101)}},
		{"Scopes", "101 scopes", many},
		{"Metadata", "4097 bytes", map[string]string{"k": strings.Repeat("v", 4096)}},
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
			all = append(all, flaw{field, bad.what, bad.text})
		}
	}
	for _, field := range []string{"CreatedAt", "ExpiresAt", "RevokedAt"} {
		all = append(all,
			flaw{field, "1969", time.Date(1969, 12, 31, 23, 59, 59, 0, time.UTC)},
			// Stores that write never as 0 could not tell this one from it.
			flaw{field, "the first moment of 1970", time.Unix(0, 0)},
			flaw{field, "the year 10000", time.Date(10000, 1, 1, 0, 0, 0, 0, time.UTC)},
			flaw{field, "the year 1", time.Time{}.Add(time.Nanosecond)})
	}
	return all
}

// wide returns metadata of n names of two bytes, and no values.
func wide(n int) map[string]string {
	m := make(map[string]string)
	for i := range n {
		m[string([]byte{byte('0' + i/64), byte('0' + i%64)})] = ""
	}
	return m
}

// validationRules has a rule for each field, for what is wrong with it is then the same.
func validationRules() []rule {
	var rules []rule
	for _, fields := range [][]string{
		{"ID"}, {"Name"}, {"Owner"}, {"Scopes"}, {"Metadata"}, {"Hint"}, {"Replaces"}, {"CreatedAt", "ExpiresAt", "RevokedAt"},
	} {
		rules = append(rules, rule{
			fmt.Sprintf("%s out of its limits is ErrInvalid and nothing is written", strings.Join(fields, " or ")),
			func(t *testing.T, s *subject) {
				kept, key := s.add()
				d, other := s.next()
				for _, f := range flaws() {
					if slices.Contains(fields, f.field) {
						s.refuses(f, key.ID, d, other)
					}
				}
				s.keeps(kept, key)
				s.lists(apikey.ListOptions{}, key.ID)
				s.create(d, other) // nothing is left of the attempts
			},
		})
	}
	return rules
}

// refuses checks that neither Create nor Update of the key with this ID takes a flaw.
func (s *subject) refuses(f flaw, id string, d apikey.Digest, key apikey.Key) {
	s.t.Helper()
	setField(&key, f.field, f.value)
	s.refused("Create with "+f.String(), s.Create(s.t.Context(), d, key), apikey.ErrInvalid)
	if found, err := s.Lookup(s.t.Context(), d); !errors.Is(err, apikey.ErrNotFound) {
		s.t.Fatalf("after Create with %s: Lookup = %v, %v; want ErrNotFound", f, found, err)
	}
	if p, ok := patchOf(key, f.field); ok {
		_, err := s.Update(s.t.Context(), id, p)
		s.refused("Update with "+f.String(), err, apikey.ErrInvalid)
	}
}
