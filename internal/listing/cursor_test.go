package listing_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// options returns validated options of an ordinary list.
func options(sort apikey.Sort) apikey.ListOptions {
	return apikey.ListOptions{Owner: "team a", Search: "job", Status: apikey.StatusActive, Sort: sort, Limit: 50}
}

var sorts = []apikey.Sort{apikey.SortNewest, apikey.SortName, apikey.SortExpires}

func TestCursorRoundTrips(t *testing.T) {
	t.Parallel()
	longest := strings.Repeat("\U00010400", 100) // a Name of 400 bytes
	for _, p := range []listing.Position{
		{Seq: 1},
		{Seq: 63, Time: 64, Text: "backup"},
		{Seq: 1_000_000, Time: 1_767_225_600_000_000, Text: "\u00e9t\u00e9 \u6f22"},
		{Seq: math.MaxInt64, Time: math.MaxInt64, Text: longest},
		{Seq: math.MinInt64, Time: math.MinInt64},
		{},
	} {
		for sort, want := range map[apikey.Sort]listing.Position{
			apikey.SortNewest:  {Seq: p.Seq},
			apikey.SortName:    {Seq: p.Seq, Text: p.Text},
			apikey.SortExpires: {Seq: p.Seq, Time: p.Time},
		} {
			o := options(sort)
			o.Cursor = listing.Cursor(o, p)
			got, ok, err := listing.Parse(o)
			assert.True(t, got == want && ok && err == nil, "sort %s: Parse(Cursor(%+v)) = %+v, %v, %v; want %+v", sort, p, got, ok, err, want)
			assert.False(t, strings.ContainsAny(o.Cursor, "+/=& %"), "sort %s: Cursor = %q; want no character that a query string escapes", sort, o.Cursor)
		}
	}
}

func TestParseOfNoCursor(t *testing.T) {
	t.Parallel()
	p, ok, err := listing.Parse(options(apikey.SortName))
	require.NoError(t, err)
	assert.False(t, ok)
	assert.Zero(t, p)
}

func TestCursorIsBoundToItsQuery(t *testing.T) {
	t.Parallel()
	for _, sort := range sorts {
		from := options(sort)
		cursor := listing.Cursor(from, listing.Position{Seq: 7, Time: 8, Text: "backup"})
		for _, test := range []struct {
			name   string
			change func(*apikey.ListOptions)
			bound  bool
		}{
			{"another owner", func(o *apikey.ListOptions) { o.Owner = "team b" }, true},
			{"every owner", func(o *apikey.ListOptions) { o.Owner = "" }, true},
			{"another search", func(o *apikey.ListOptions) { o.Search = "jobs" }, true},
			{"no search", func(o *apikey.ListOptions) { o.Search = "" }, true},
			{"another status", func(o *apikey.ListOptions) { o.Status = apikey.StatusRevoked }, true},
			{"every status", func(o *apikey.ListOptions) { o.Status = "" }, true},
			{"owner and search swapped", func(o *apikey.ListOptions) { o.Owner, o.Search = o.Search, o.Owner }, true},
			{"the next sort", func(o *apikey.ListOptions) { o.Sort = next(sort) }, true},
			{"the last sort", func(o *apikey.ListOptions) { o.Sort = next(next(sort)) }, true},
			{"another limit", func(o *apikey.ListOptions) { o.Limit = 500 }, false},
		} {
			t.Run(string(sort)+", "+test.name, func(t *testing.T) {
				o := from
				test.change(&o)
				o.Cursor = cursor
				_, ok, err := listing.Parse(o)
				assert.Equal(t, !test.bound, ok)
				if test.bound {
					require.ErrorIs(t, err, apikey.ErrInvalid)
					assert.ErrorContains(t, err, "belongs to another")
				} else {
					assert.NoError(t, err)
				}
			})
		}
	}
}

func next(sort apikey.Sort) apikey.Sort {
	for i, s := range sorts {
		if s == sort {
			return sorts[(i+1)%len(sorts)]
		}
	}
	panic(string(sort))
}

// Text that moves from one field to another makes another query.
func TestQueryHashSeparatesFields(t *testing.T) {
	t.Parallel()
	seen := make(map[string]string)
	for _, pair := range [][2]string{
		{"a", "b"}, {"ab", ""}, {"", "ab"}, {"a b", ""}, {"", "a b"}, {"a ", "b"}, {"a", " b"},
		{`a" "b`, ""}, {"", `a" "b`}, {`a"`, `"b`}, {`a\`, `b`}, {`a\" \"b`, ""}, {`a`, `\b`},
		{"a\x00", "b"}, {"a", "\x00b"}, {"a,b", ""}, {"a\n", "b"}, {"\xff", ""}, {`\xff`, ""}, {"\ufffd", ""}, {"", "\xff"},
	} {
		o := options(apikey.SortName)
		o.Owner, o.Search = pair[0], pair[1]
		cursor := listing.Cursor(o, listing.Position{Seq: 1})
		here := fmt.Sprintf("owner %q and search %q", o.Owner, o.Search)
		if other, ok := seen[cursor]; ok {
			t.Errorf("%s have the same cursor as %s", here, other)
		}
		seen[cursor] = here
	}
}

func TestParseRefuses(t *testing.T) {
	t.Parallel()
	byName, newest := options(apikey.SortName), options(apikey.SortNewest)
	good := listing.Cursor(byName, listing.Position{Seq: 7, Text: "backup"})
	raw := decode(t, good)
	head := string(raw[:9]) // the version and the query
	headNewest := string(decode(t, listing.Cursor(newest, listing.Position{Seq: 7}))[:9])
	for _, test := range []struct {
		name    string
		options apikey.ListOptions
		cursor  string
	}{
		{"one character", byName, "A"},
		{"words", byName, "the next page"},
		{"a number", byName, "2"},
		{"a page of NULs", byName, strings.Repeat("\x00", 100)},
		{"not UTF-8", byName, "\xff\xfe"},
		{"base64 that is too short", byName, "AAAA"},
		{"another version", byName, encode("\x02" + string(raw[1:]))},
		{"no version", byName, encode("\x00" + string(raw[1:]))},
		{"the query alone", byName, encode(head)},
		{"half a query", byName, encode(head[:5])},
		{"a modified query", byName, encode(head[:8] + "?" + string(raw[9:]))},
		{"no time", byName, encode(head + "\x0e")},
		{"an unterminated number", byName, encode(head + "\x80")},
		{"a number of more than 64 bits", byName, encode(head + strings.Repeat("\xff", 9) + "\x02\x00")},
		{"a number of eleven bytes", byName, encode(head + strings.Repeat("\xff", 11) + "\x01\x00")},
		{"a number in more bytes than it needs", byName, encode(head + "\x8e\x00\x00\x06backup")},
		{"a time in more bytes than it needs", byName, encode(head + "\x0e\x80\x00\x06backup")},
		{"a time where the list is not by time", byName, encode(head + "\x0e\x02\x06backup")},
		{"text where the list is not by name", newest, encode(headNewest + "\x0e\x00\x06backup")},
		{"truncated text", byName, encode(head + "\x0e\x00\x06back")},
		{"text longer than its length", byName, encode(head + "\x0e\x00\x06backups")},
		{"text without its length", byName, encode(head + "\x0e\x00")},
		{"text that is not UTF-8", byName, encode(head + "\x0e\x00\x07back\xffup")},
		{"text with a NUL", byName, encode(head + "\x0e\x00\x07back\x00up")},
		{"padding", byName, good + "="},
		{"the alphabet of standard base64", byName, strings.NewReplacer("-", "+", "_", "/").Replace(encode(head + "\x0e\x00\x0e\u00bf\u00bf\u00bf\u00ff>>>???"))},
		{"a line break at the end", byName, good + "\n"},
		{"a line break in the middle", byName, good[:8] + "\r\n" + good[8:]},
		{"a leading space", byName, " " + good},
		{"unused bits that are set", newest, leftover(t, encode(headNewest+"\x80\x01\x00\x00"))},
		{"truncated numbers", byName, encode(string(raw[:10]))},
		{"a megabyte", byName, listing.Cursor(byName, listing.Position{Seq: 7, Text: strings.Repeat("a", 1<<20)})},
		{"longer than the longest Name", byName, listing.Cursor(byName, listing.Position{Seq: 7, Text: strings.Repeat("a", 800)})},
		{"three cursors in a row", byName, good + good + good},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := test.options
			o.Cursor = test.cursor
			p, ok, err := listing.Parse(o)
			require.True(t, errors.Is(err, apikey.ErrInvalid) && !ok && p == (listing.Position{}), "Parse = %+v, %v, %v; want ErrInvalid", p, ok, err)
			assert.True(t, strings.Contains(err.Error(), "Cursor") && len(err.Error()) <= 200, "error = %.200q; want at most 200 bytes that name the field", err)
		})
	}
}

func TestParseRefusesPartsOfACursor(t *testing.T) {
	t.Parallel()
	for _, sort := range sorts {
		o := options(sort)
		whole := listing.Cursor(o, listing.Position{Seq: 1_000_000, Time: 1_767_225_600_000_000, Text: "backup"})
		for n := 1; n < len(whole); n++ {
			for _, o.Cursor = range []string{whole[:n], whole[n:]} {
				if _, ok, err := listing.Parse(o); ok || !errors.Is(err, apikey.ErrInvalid) {
					t.Errorf("sort %s: Parse(%q, a part of %q) = %v, %v; want ErrInvalid", sort, o.Cursor, whole, ok, err)
				}
			}
		}
	}
}

func FuzzParse(f *testing.F) {
	for i, sort := range sorts {
		o := options(sort)
		good := listing.Cursor(o, listing.Position{Seq: 7, Time: 1_767_225_600_000_000, Text: "backup"})
		f.Add(good, uint8(i), true)
		f.Add(good+"\n", uint8(i), true)
		raw := string(decode(f, good))
		for _, tail := range []string{"\x0e\x00\x00", "\x8e\x00\x00\x00", "\x0e\x02\x01a", "\x0e\x00\x02a\xff", "\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01\x00\x00"} {
			f.Add(raw[9:]+tail, uint8(i), false)
			f.Add(tail, uint8(i), false)
		}
	}
	f.Add("", uint8(0), true)
	f.Fuzz(func(t *testing.T, cursor string, sort uint8, whole bool) {
		o := options(sorts[int(sort)%len(sorts)])
		o.Cursor = cursor
		if !whole { // a valid query in front, which the fuzzer would not find
			o.Cursor = encode(string(decode(t, listing.Cursor(o, listing.Position{}))[:9]) + cursor)
		}
		p, ok, err := listing.Parse(o)
		switch {
		case err != nil:
			if !errors.Is(err, apikey.ErrInvalid) || ok {
				t.Errorf("Parse(%q) = %v, %v; want ErrInvalid", o.Cursor, ok, err)
			}
		case ok != (o.Cursor != ""):
			t.Errorf("Parse(%q) = %v; want %v", o.Cursor, ok, o.Cursor != "")
		case ok && listing.Cursor(o, p) != o.Cursor:
			t.Errorf("Parse(%q) = %+v, whose Cursor is %q", o.Cursor, p, listing.Cursor(o, p))
		}
	})
}

func encode(raw string) string { return base64.RawURLEncoding.EncodeToString([]byte(raw)) }

func decode(t testing.TB, cursor string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	require.NoError(t, err)
	return raw
}

// leftover sets a bit of the last character that base64 does not use.
func leftover(t *testing.T, cursor string) string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(cursor) - 1
	changed := cursor[:last] + string(alphabet[strings.IndexByte(alphabet, cursor[last])+1])
	require.Equal(t, string(decode(t, cursor)), string(decode(t, changed)), "%q has no unused bits", cursor)
	return changed
}
