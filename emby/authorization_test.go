package emby

import (
	"net/url"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestTokenOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, line, want string }{
		{"an empty line", ``, ``},
		{"no parameters", `MediaBrowser`, ``},
		{"an empty token", `MediaBrowser Token=""`, ``},
		{"an escaped space", `MediaBrowser Token="%20"`, ``},
		{"escapes are decoded", `MediaBrowser Token="a%2Fb%2Bc"`, `a/b+c`},
		{"a plus sign stays", `MediaBrowser Token="a+b"`, `a+b`},
		{"a malformed escape stays", `MediaBrowser Token="100%"`, `100%`},
		{"equals signs at the end stay", `MediaBrowser Token=YWI==, Client=x`, `YWI==`},
		{"an unclosed quote", `MediaBrowser Token="a`, `a`},
		{"only a quote", `MediaBrowser Token="`, ``},
		{"empty parameters", `MediaBrowser ,,,,Token=a,,`, `a`},
		{"a parameter without a name", `MediaBrowser ="a"`, ``},
		{"a name that ends with Token", `MediaBrowser XToken="a"`, ``},
		{"a Unicode letter that folds to k", "MediaBrowser To\u212Aen=a", ``},
		{"an escaped comma", `MediaBrowser Token="a%2Cb"`, `a,b`},
		{"another key inside the quotes of a value", `MediaBrowser Device="Token=b", Token="a"`, `a`},
		{"an empty token for a parser that splits at every comma", `MediaBrowser Device="a, Token=, b", Token="a"`, `a`},
		{"the same key for a parser that splits at every comma", `MediaBrowser Device="x, Token=a, y", Token="a"`, `a`},
		{"an odd number of quotes after the token", `MediaBrowser Token="a", Device="5" disk"`, `a`},
		{"a comma in an unquoted token ends it", `MediaBrowser Token=a,b`, `a`},
		{"the same token in several parameters", `MediaBrowser Token="a", Token="", Token=a`, `a`},
		{"an empty value before another parameter", `MediaBrowser Token=, Device="x"`, ``},
		{"an empty value in quotes before another parameter", `MediaBrowser Token="", Device=27" TV, left`, ``},
		{"an empty value before the same key", `MediaBrowser Token=,Token="a"`, `a`},
		{"a device name with a quote and a comma after the token", `MediaBrowser Token="a", Device=27" TV, left`, `a`},
		{"a device name with backslashes", `MediaBrowser Device="C:\TV", Token="a"`, `a`},
		{"a device name with an equals sign", `MediaBrowser Device="a=b", Token="a"`, `a`},
		{"the word token in a device name", `MediaBrowser Device="my token = none", Token="a"`, `a`},
		{"another scheme", `Basic dTpw`, ``},
		{"another scheme with a token", `Custom token="b"`, ``},
		{"another scheme with the value Emby", `Custom app="Emby", token="b"`, ``},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := tokenOf([]string{test.line})
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
}

func TestTwoTokensAreAmbiguous(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name  string
		lines []string
	}{
		{"in one line", []string{`Emby Token=a, Token=b`}},
		{"in two lines", []string{`Emby Token=a`, `Emby Token=b`}},
		{"the second in quotes, for a parser that splits at every comma", []string{`Emby Token="a", Device="x, Token=b, y"`}},
		{"the first in quotes, for a parser that splits at every comma", []string{`Emby Device="x, Token=b, y", Token="a"`}},
		{"one, only for a parser that splits at every comma", []string{`Emby Device="5" disk", Token="a"`}},
		{"one with a comma, for a parser that splits at every comma", []string{`Emby Token="a,b"`}},
		{"one that a parser that splits at every comma misses", []string{`Emby Token=",`}},
		{"one in another parameter, for a parser that cuts at the last equals sign", []string{`Emby Device=Token=a`}},
		{"one in another token, for a parser that cuts at the last equals sign", []string{`Emby Token=Token=a`}},
		{"one in quotes over two lines, for a parser that joins lines", []string{`Emby Device="5`, `x", Token="a"`}},
		{"one in a line without a scheme, for a parser that joins lines", []string{`Emby Device="5"`, `Token="a"`}},

		{"one after an empty value", []string{`Emby Token=,b`}},
		{"one in quotes after an empty value", []string{`Emby Token=, "b"`}},
		{"one after an empty value and several commas", []string{`Emby Token=,,, ,b`}},
		{"one after an empty value, with an equals sign in quotes", []string{`Emby Token=,"x=b"`}},
		{"one after an empty value, and another before it", []string{`Emby Token=a, Token=,b`}},
		{"one in the line after an empty value", []string{`Emby Token=`, `b`}},
		{"one after an empty token inside another parameter", []string{`Emby Device=Token=,b`}},
		{"a longer one, for a parser that cuts at the last equals sign", []string{`Emby Token=a, Device=Token="a,b"`}},
		{"one in quotes with text after them", []string{`Emby Token="a"b`}},
		{"one in two pairs of quotes", []string{`Emby Token=""a""`}},
		{"one with a quote only at its end", []string{`Emby Token=a"`}},
		{"one with text after a space", []string{`Emby Token=a b`}},
		{"one after a space", []string{`Emby Device=x Token=b`}},
		{"one with a quote after a backslash", []string{`Emby Token="a\"b"`}},
		{"one with a letter after a backslash", []string{`Emby Token="a\b"`}},
		{"one with a malformed escape after a well-formed one", []string{`Emby Token=%61%`}},
		{"one with a plus sign at its end", []string{`Emby Token=a+`}},
		{"one with U+00A0 before its name", []string{"Emby \u00a0Token=a"}},
		{"one with U+00A0 after its name", []string{"Emby Token\u00a0=a"}},
		{"one with the Latin-1 byte A0 before its name", []string{"Emby \xa0Token=a"}},
		{"one with U+00A0 at its end", []string{"Emby Token=a\u00a0"}},
		{"one after a tab", []string{"Emby\tToken=a"}},
		{"one after U+00A0", []string{"Emby\u00a0Token=a"}},
		{"one after another scheme in the same line", []string{`Basic dTpw, Emby Token=a`}},
		{"one after another scheme in a line that a proxy joined", []string{`Basic dTpw,Emby Device="x", Token="a"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := tokenOf(test.lines)
			assert.ErrorIs(t, err, apikey.ErrAmbiguous)
		})
	}
}

// FuzzTokenOf checks that tokenOf does not panic, ignores other schemes and empty tokens, and
// returns a key only if every reader finds exactly that key. Line breaks in the input separate the
// lines of a field.
func FuzzTokenOf(f *testing.F) {
	for _, seed := range []string{
		`MediaBrowser Client="a,b", Device="Dev "x", 1", DeviceId="1", Version="1", Token="ak_1"`,
		`emby Token=%61%zz`, `Emby UserId="u",Token="a%2Fb", Token="a/b"`, "MediaBrowser \t,=\"\"Token=\xe9",
		`Basic Token="a"`, `Emby Token="`, `MediaBrowser Token=a Token=b`, `Emby Token = "a", token="b"`,
		`Emby Device="5" disk", Token="a"`, `Emby Device="x, Token=b", Token="a"`, `Emby a=Token=b`,
		`Emby UserId=,Token=",`,
		`Emby Token=,b`, `Emby Token=, ,"b"`, `Emby Token=,"x=b"`, `Emby Token=a, Device=Token="a,b"`, "Emby Token=\nb",
		"Emby \u00a0Token\u00a0=b", `Emby Token="a\"b"`, `Emby Token="a\", b"`, `Emby Token=""a""`, `Emby Token="a"b`,
		`Emby Token=a+`, "Emby Device=\"5\nBasic x\", Token=a", "Basic x, Emby Token=b", "Emby\tToken=b",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, field string) {
		lines := strings.Split(field, "\n")
		key, err := tokenOf(lines)
		if err != nil {
			if err != apikey.ErrAmbiguous {
				t.Fatalf("%q: %v", field, err)
			}
			if !namesAToken.MatchString(field) {
				t.Fatalf("%q: ErrAmbiguous, but the field names no token", field)
			}
			return
		}
		if strings.Trim(key, " \t") != key {
			t.Fatalf("%q: spaces around the key %q", field, key)
		}
		found := othersRead(lines)
		for name, tokens := range found {
			for _, token := range tokens {
				if token != key {
					t.Fatalf("%q: key %q, but %s reads %q", field, key, name, token)
				}
			}
		}
		if isKey := !strings.ContainsFunc(key, func(r rune) bool { return r < '!' || r > '~' }); key != "" && isKey && len(found["Emby"]) == 0 {
			t.Fatalf("%q: key %q, but a reader that splits at every comma finds no key", field, key)
		}
	})
}

// namesAToken matches every text in which a reader could find a token.
var namesAToken = regexp.MustCompile(`(?i)token[^!-~]*=`)

// valueOf removes quotes, spaces and escapes from a value.
func valueOf(s string) string {
	s = strings.Trim(s, " \t")
	if strings.HasPrefix(s, `"`) {
		s = strings.Trim(strings.TrimSuffix(s[1:], `"`), " \t")
	}
	if decoded, err := url.PathUnescape(s); err == nil {
		s = strings.Trim(decoded, " \t")
	}
	return s
}
