package emby

import (
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestTokenOf(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, line, want string }{
		{"nothing", ``, ``},
		{"no parameters", `MediaBrowser`, ``},
		{"an empty token", `MediaBrowser Token=""`, ``},
		{"an escaped blank", `MediaBrowser Token="%20"`, ``},
		{"escapes are decoded", `MediaBrowser Token="a%2Fb%2Bc"`, `a/b+c`},
		{"a plus sign stays", `MediaBrowser Token="a+b"`, `a+b`},
		{"what was not encoded stays", `MediaBrowser Token="100%"`, `100%`},
		{"equals signs at the end", `MediaBrowser Token=YWI==, Client=x`, `YWI==`},
		{"a quote that is not closed", `MediaBrowser Token="a`, `a`},
		{"a quote alone", `MediaBrowser Token="`, ``},
		{"commas alone", `MediaBrowser ,,,,Token=a,,`, `a`},
		{"no name", `MediaBrowser ="a"`, ``},
		{"another name that ends alike", `MediaBrowser XToken="a"`, ``},
		{"letters that only fold to ours", "MediaBrowser To\u212Aen=a", ``},
		{"a comma that is encoded", `MediaBrowser Token="a%2Cb"`, `a,b`},
		{"another key in the quotes of a value", `MediaBrowser Device="Token=b", Token="a"`, `a`},
		{"no key for who splits at each comma", `MediaBrowser Device="a, Token=, b", Token="a"`, `a`},
		{"the same key for who splits at each comma", `MediaBrowser Device="x, Token=a, y", Token="a"`, `a`},
		{"an odd number of quotes, behind the token", `MediaBrowser Token="a", Device="5" disk"`, `a`},
		{"a comma in an unquoted token ends it", `MediaBrowser Token=a,b`, `a`},
		{"a token over several parameters is the first", `MediaBrowser Token="a", Token="", Token=a`, `a`},
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
		{"the second in quotes, for who splits at each comma", []string{`Emby Token="a", Device="x, Token=b, y"`}},
		{"the first in quotes, for who splits at each comma", []string{`Emby Device="x, Token=b, y", Token="a"`}},
		{"one, only for who splits at each comma", []string{`Emby Device="5" disk", Token="a"`}},
		{"a comma in it, for who splits at each comma", []string{`Emby Token="a,b"`}},
		{"one that who splits at each comma does not see", []string{`Emby Token=",`}},
		{"one in the value of another, for who splits at the last equals sign", []string{`Emby Device=Token=a`}},
		{"one in another, for who splits at the last equals sign", []string{`Emby Token=Token=a`}},
		{"one in quotes over two lines, for who joins them", []string{`Emby Device="5`, `x", Token="a"`}},
		{"one in a line of no scheme, for who joins them", []string{`Emby Device="5"`, `Token="a"`}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := tokenOf(test.lines)
			assert.ErrorIs(t, err, apikey.ErrAmbiguous)
		})
	}
}

// A text that is 64 times as long may take 64 times as long to read, and on a busy machine
// somewhat longer, but not the 4096 times of a reader that goes over the rest again and again.
func TestTheWorkIsLinear(t *testing.T) {
	const size, factor, tolerance = 2 << 10, 64, 16
	for _, unit := range []string{
		",", `"`, "=", "=,", "= ", "=\t\"", "Token=,", `Token="%41",`, `"",`, "Token=%", ` "Token=a`, `Token="",`,
		"Token=", "Token= ", "Token=a,", `a="Token=`, `=",Token=`, "MediaBrowser ",
	} {
		for _, tail := range []string{"", strings.Repeat(" ", size), strings.Repeat("=", size)} {
			read := func(n int) time.Duration {
				blown := func(s string) string { return strings.Repeat(s, n) }
				lines := []string{"Emby " + blown(strings.Repeat(unit, size/len(unit))) + blown(tail) + ","}
				best := time.Hour
				for range 5 { // the best, since what disturbs only adds
					begin := time.Now()
					_, err := tokenOf(lines)
					best = min(best, time.Since(begin))
					require.True(t, err == nil || err == apikey.ErrAmbiguous, unit)
				}
				return best
			}
			short, long := read(1), read(factor)
			require.Less(t, long, tolerance*factor*short, "%q: %v, and %v for one that is %d times as long", unit, short, long, factor)
		}
	}
}

// FuzzTokenOf holds the parser to its rules: no panic; no key from another scheme, and none
// that is blank; a key exactly where there is one text that any reader takes for one.
func FuzzTokenOf(f *testing.F) {
	for _, seed := range []string{
		`MediaBrowser Client="a,b", Device="Dev "x", 1", DeviceId="1", Version="1", Token="ak_1"`,
		`emby Token=%61%zz`, `Emby UserId="u",Token="a%2Fb", Token="a/b"`, "MediaBrowser \t,=\"\"Token=\xe9",
		`Basic Token="a"`, `Emby Token="`, `MediaBrowser Token=a Token=b`, `Emby Token = "a", token="b"`,
		`Emby Device="5" disk", Token="a"`, `Emby Device="x, Token=b", Token="a"`, `Emby a=Token=b`,
		`Emby UserId=,Token=",`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		key, err := tokenOf([]string{line})
		if err != nil && err != apikey.ErrAmbiguous {
			t.Fatalf("%q: %v", line, err)
		}
		scheme, text, _ := strings.Cut(strings.Trim(line, " \t"), " ")
		if scheme = strings.ToLower(scheme); scheme != "emby" && scheme != "mediabrowser" {
			text = ""
		}
		tokens := map[string]bool{}
		for i := range len(text) {
			if text[i] == '=' {
				begin := strings.LastIndexAny(text[:i], ",=") + 1
				end := i + 1 + len(text[i+1:])
				if comma := strings.IndexByte(text[i:], ','); comma >= 0 {
					end = i + comma
				}
				if name := strings.Trim(text[begin:i], " \t"); len(name) == len("token") && strings.EqualFold(name, "token") {
					tokens[valueOf(text[i+1:end])] = true
				}
			}
		}
		delete(tokens, "")
		switch {
		case err == nil && key == "" && len(tokens) > 0, err == nil && key != "" && (len(tokens) != 1 || !tokens[key]):
			t.Fatalf("%q: the key %q, but others read %v", line, key, tokens)
		case err != nil && len(tokens) == 0 && !hasQuotedToken(text):
			t.Fatalf("%q: ambiguous, but nobody reads a key", line)
		}
	})
}

// hasQuotedToken reports whether a reader that heeds quotes, as we do, finds a key.
func hasQuotedToken(text string) bool {
	parts := strings.Split(text, `"`)
	for i := 1; i < len(parts); i += 2 {
		parts[i] = strings.ReplaceAll(parts[i], ",", "\x00") // no end of a parameter
	}
	for parameter := range strings.SplitSeq(strings.Join(parts, `"`), ",") {
		name, value, _ := strings.Cut(parameter, "=")
		name = strings.Trim(name, " \t")
		if len(name) == len("token") && strings.EqualFold(name, "token") && valueOf(value) != "" {
			return true
		}
	}
	return false
}

// valueOf is what a value stands for.
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
