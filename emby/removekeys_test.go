package emby

import (
	"net/http/httptest"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// removed returns the lines of a field after RemoveKeys.
func removed(t testing.TB, field string, lines []string) []string {
	auth, err := apikey.New(memstore.New(), apikey.Options{Sources: Sources()})
	require.NoError(t, err)
	r := httptest.NewRequest("GET", "/System/Info", nil)
	r.Header[field] = append([]string(nil), lines...)
	auth.RemoveKeys(r)
	return r.Header[field]
}

// After RemoveKeys, no reader finds a key in a request.
func TestRemoveKeysForEveryReader(t *testing.T) {
	t.Parallel()
	const key = "ak_0123456789abcdefghijABCDEFGHIJ000000"
	for _, test := range []struct {
		name  string
		lines []string
	}{
		{"a key", []string{`MediaBrowser Token="` + key + `"`}},
		{"a key of another shape", []string{`Emby Client="Web", Token="k2"`}},
		{"after an empty value", []string{`MediaBrowser Token=,k2`}},
		{"in the line after an empty value", []string{`MediaBrowser Token=`, `k2`}},
		{"after an empty value, before the scheme in the next line", []string{`MediaBrowser Client="x", Token=`, `k2, MediaBrowser Client="y"`}},
		{"in quotes over two lines", []string{`Emby Device="5`, `x", Token="k2"`}},
		{"in a line without the scheme", []string{`Emby Device="5"`, `Token="k2"`}},
		{"in the value of another parameter", []string{`Emby Device=Token=k2`}},
		{"two keys", []string{`Emby Token=k1, Token=k2`}},
		{"two keys in two lines", []string{`Emby Token=k1`, `Emby Token=k2`}},
		{"after an odd number of quotes", []string{`Emby Device="5" disk", Token="k2"`}},
		{"after another scheme", []string{`Basic dTpw, Emby Token="k2"`}},
		{"after a tab", []string{"Emby\tToken=k2"}},
	} {
		for _, field := range []string{"Authorization", "X-Emby-Authorization"} {
			t.Run(test.name+", in "+field, func(t *testing.T) {
				t.Parallel()
				remaining := removed(t, field, test.lines)
				assert.Empty(t, othersRead(remaining), "of %q remains %q", test.lines, remaining)
				token, err := tokenOf(remaining)
				assert.NoError(t, err, "of %q remains %q", test.lines, remaining)
				assert.Empty(t, token, "of %q remains %q", test.lines, remaining)
			})
		}
	}
	for name, lines := range map[string][]string{
		"the login of a proxy":           {"Basic dTpw"},
		"a text without a token":         {`MediaBrowser Client="Web", Device=27" TV, left`},
		"an empty token":                 {`MediaBrowser Client="Web", Token=""`},
		"a login and an empty token":     {"Basic dTpw", `MediaBrowser Client="Web", Token=""`},
		"credentials of another scheme":  {`Custom token="x"`},
		"the word token in another name": {`MediaBrowser XToken="x"`},
	} {
		t.Run("a field without a key stays: "+name, func(t *testing.T) {
			t.Parallel()
			assert.Equal(t, lines, removed(t, "Authorization", lines))
		})
	}
	t.Run("the login of a proxy stays beside a key", func(t *testing.T) {
		t.Parallel()
		assert.Equal(t, []string{"Basic dTpw"}, removed(t, "Authorization", []string{"Basic dTpw", "MediaBrowser Token=k2"}))
	})
}

// FuzzRemoveKeys checks that no reader finds a key in a field after RemoveKeys. Line breaks in the
// input separate the lines of the field.
func FuzzRemoveKeys(f *testing.F) {
	for _, seed := range []string{
		`MediaBrowser Token="k2"`, "Emby Token=\nk2", "Emby Device=\"5\nx\", Token=k2", "Basic x\nEmby Token=a\nToken=,b",
		"Emby Token=,k2\nEmby Client=x", "Emby a\n\", Token=\"k", "Basic x, Emby Token=b", `Emby Device="?", Token="REDACTED"`,
		"Emby Client=\"?api_key=k1\", Token=k2",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		lines := strings.Split(field, "\n")
		remaining := removed(t, "Authorization", lines)
		for name, tokens := range othersRead(remaining) {
			if slices.ContainsFunc(tokens, func(token string) bool { return token != "REDACTED" }) {
				t.Fatalf("%q: in the remaining %q, %s reads %q", field, remaining, name, tokens)
			}
		}
		if key, err := tokenOf(remaining); err != nil || key != "" && key != "REDACTED" {
			t.Fatalf("%q: in the remaining %q, tokenOf finds %q, %v", field, remaining, key, err)
		}
		if len(remaining) > len(lines) {
			t.Fatalf("%q: more lines remain: %q", field, remaining)
		}
	})
}
