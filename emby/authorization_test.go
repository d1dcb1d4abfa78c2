package emby

import (
	"net/url"
	"strings"
	"testing"

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
		{"a comma in an unquoted token ends it", `MediaBrowser Token=a,b`, `a`},
		{"a token over several parameters is the first", `MediaBrowser Token="a", Token="", Token=a`, `a`},
	} {
		t.Run(test.name, func(t *testing.T) {
			got, err := tokenOf([]string{test.line})
			require.NoError(t, err)
			assert.Equal(t, test.want, got)
		})
	}
	_, err := tokenOf([]string{`Emby Token=a, Token=b`})
	assert.ErrorIs(t, err, apikey.ErrAmbiguous)
}

// What parameters yields never overlaps, and cutParameter goes over a byte once, so the
// work grows with the text and not with its square.
func TestTheWorkIsLinear(t *testing.T) {
	t.Parallel()
	const size = 1 << 20
	for _, unit := range []string{",", `"`, "=", "Token=,", `Token="%41",`, `"",`, "Token=%", ` "Token=a`, "MediaBrowser "} {
		text := strings.Repeat(unit, size/len(unit))
		read, previous := 0, 0
		for name, value := range parameters(text) {
			read += len(name) + len(value) + len("=")
			require.Greater(t, read, previous, "a step that reads nothing")
			previous = read
		}
		assert.LessOrEqual(t, read, len(text), unit)
		_, err := tokenOf([]string{"Emby " + text})
		assert.True(t, err == nil || err == apikey.ErrAmbiguous, unit)
	}
	rest, cuts := strings.Repeat(",", size), 0
	for ; rest != ""; cuts++ {
		before := len(rest)
		var parameter string
		parameter, rest = cutParameter(rest)
		require.Equal(t, before, len(parameter)+len(",")+len(rest), "a byte is read twice or lost")
	}
	assert.Equal(t, size, cuts)
}

// FuzzTokenOf holds the parser to its rules: no panic; no key that the header does not
// have, as it stands or decoded; none from another scheme; and none that is blank.
func FuzzTokenOf(f *testing.F) {
	for _, seed := range []string{
		`MediaBrowser Client="a,b", Device="Dev "x", 1", DeviceId="1", Version="1", Token="ak_1"`,
		`emby Token=%61%zz`, `Emby UserId="u",Token="a%2Fb", Token="a/b"`, "MediaBrowser \t,=\"\"Token=\xe9",
		`Basic Token="a"`, `Emby Token="`, `MediaBrowser Token=a Token=b`, `Emby Token = "a", token="b"`,
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, line string) {
		key, err := tokenOf([]string{line})
		if err != nil {
			if err != apikey.ErrAmbiguous || strings.Count(strings.ToLower(line), "token") < 2 {
				t.Fatalf("%q: %v", line, err)
			}
			return
		}
		if key == "" {
			return
		}
		if strings.Trim(key, " \t") == "" {
			t.Fatalf("%q: a blank key", line)
		}
		lower := strings.ToLower(strings.Trim(line, " \t"))
		if !strings.HasPrefix(lower, "emby ") && !strings.HasPrefix(lower, "mediabrowser ") || !strings.Contains(lower, "token") {
			t.Fatalf("%q: a key, %q, out of nothing", line, key)
		}
		if !strings.Contains(line, key) && !strings.Contains(decodeAll(line), key) {
			t.Fatalf("%q: the key %q is not in it", line, key)
		}
	})
}

// decodeAll decodes every escape that is right and keeps the rest.
func decodeAll(s string) string {
	var out strings.Builder
	for i := 0; i < len(s); i++ {
		if i+3 <= len(s) {
			if c, err := url.PathUnescape(s[i : i+3]); err == nil && len(c) == 1 {
				out.WriteString(c)
				i += 2
				continue
			}
		}
		out.WriteByte(s[i])
	}
	return out.String()
}
