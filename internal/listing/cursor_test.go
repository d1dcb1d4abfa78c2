package listing_test

import (
	"encoding/base64"
	"errors"
	"fmt"
	"math"
	"strings"
	"testing"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// options are validated ones of an ordinary list.
func options(sort string) apikey.ListOptions {
	return apikey.ListOptions{Owner: "team a", Search: "job", Status: apikey.StatusActive, Sort: sort, Limit: 50}
}

var sorts = []string{apikey.SortNewest, apikey.SortName, apikey.SortExpires}

func TestCursorsComeBack(t *testing.T) {
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
		for sort, want := range map[string]listing.Position{
			apikey.SortNewest:  {Seq: p.Seq},
			apikey.SortName:    {Seq: p.Seq, Text: p.Text},
			apikey.SortExpires: {Seq: p.Seq, Time: p.Time},
		} {
			o := options(sort)
			o.Cursor = listing.Cursor(o, p)
			got, ok, err := listing.Parse(o)
			if got != want || !ok || err != nil {
				t.Errorf("by %s, %+v came back as %+v, %v, %v", sort, p, got, ok, err)
			}
			if strings.ContainsAny(o.Cursor, "+/=& %") {
				t.Errorf("by %s, %q does not fit into a query as it is", sort, o.Cursor)
			}
		}
	}
}

func TestNoCursorIsTheFirstPage(t *testing.T) {
	t.Parallel()
	if p, ok, err := listing.Parse(options(apikey.SortName)); ok || err != nil || p != (listing.Position{}) {
		t.Errorf("got %+v, %v, %v", p, ok, err)
	}
}

func TestCursorsAreBoundToTheirQuery(t *testing.T) {
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
			{"owner and search exchanged", func(o *apikey.ListOptions) { o.Owner, o.Search = o.Search, o.Owner }, true},
			{"the next sort", func(o *apikey.ListOptions) { o.Sort = next(sort) }, true},
			{"the last sort", func(o *apikey.ListOptions) { o.Sort = next(next(sort)) }, true},
			{"another limit", func(o *apikey.ListOptions) { o.Limit = 500 }, false},
		} {
			t.Run(sort+", "+test.name, func(t *testing.T) {
				o := from
				test.change(&o)
				o.Cursor = cursor
				_, ok, err := listing.Parse(o)
				if errors.Is(err, apikey.ErrInvalid) != test.bound || ok == test.bound {
					t.Errorf("got %v, %v; want it refused: %v", ok, err, test.bound)
				}
				if test.bound && !strings.Contains(err.Error(), "belongs to another") {
					t.Errorf("%q does not say what is wrong", err)
				}
			})
		}
	}
}

func next(sort string) string {
	for i, s := range sorts {
		if s == sort {
			return sorts[(i+1)%len(sorts)]
		}
	}
	panic(sort)
}

// No text may move from one field into another and be the same query there.
func TestQueriesAreNotTheirTextJoined(t *testing.T) {
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
			t.Errorf("%s have the cursor of %s", here, other)
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
		{"base64 of nothing much", byName, "AAAA"},
		{"another version", byName, encode("\x02" + string(raw[1:]))},
		{"no version", byName, encode("\x00" + string(raw[1:]))},
		{"the query alone", byName, encode(head)},
		{"half a query", byName, encode(head[:5])},
		{"a query that was changed", byName, encode(head[:8] + "?" + string(raw[9:]))},
		{"no time", byName, encode(head + "\x0e")},
		{"a number that does not end", byName, encode(head + "\x80")},
		{"a number of more than 64 bits", byName, encode(head + strings.Repeat("\xff", 9) + "\x02\x00")},
		{"a number of eleven bytes", byName, encode(head + strings.Repeat("\xff", 11) + "\x01\x00")},
		{"a number in more bytes than it needs", byName, encode(head + "\x8e\x00\x00\x06backup")},
		{"a time in more bytes than it needs", byName, encode(head + "\x0e\x80\x00\x06backup")},
		{"a time where the list is not by time", byName, encode(head + "\x0e\x02\x06backup")},
		{"text where the list is not by name", newest, encode(headNewest + "\x0e\x00\x06backup")},
		{"text that was cut short", byName, encode(head + "\x0e\x00\x06back")},
		{"text with more behind it", byName, encode(head + "\x0e\x00\x06backups")},
		{"text without its length", byName, encode(head + "\x0e\x00")},
		{"text that is not UTF-8", byName, encode(head + "\x0e\x00\x07back\xffup")},
		{"text with a NUL", byName, encode(head + "\x0e\x00\x07back\x00up")},
		{"padding", byName, good + "="},
		{"the alphabet that is not for URLs", byName, strings.NewReplacer("-", "+", "_", "/").Replace(encode(head + "\x0e\x00\x0e\u00bf\u00bf\u00bf\u00ff>>>???"))},
		{"a line break at the end", byName, good + "\n"},
		{"a line break in the middle", byName, good[:8] + "\r\n" + good[8:]},
		{"a blank before it", byName, " " + good},
		{"bits that are left over", newest, leftover(t, encode(headNewest+"\x80\x01\x00\x00"))},
		{"one that is cut in its numbers", byName, encode(string(raw[:10]))},
		{"one of a megabyte", byName, listing.Cursor(byName, listing.Position{Seq: 7, Text: strings.Repeat("a", 1<<20)})},
		{"one longer than that of any Name", byName, listing.Cursor(byName, listing.Position{Seq: 7, Text: strings.Repeat("a", 800)})},
		{"two of them", byName, good + good + good},
	} {
		t.Run(test.name, func(t *testing.T) {
			o := test.options
			o.Cursor = test.cursor
			p, ok, err := listing.Parse(o)
			if !errors.Is(err, apikey.ErrInvalid) || ok || p != (listing.Position{}) {
				t.Fatalf("got %+v, %v, %v; want ErrInvalid", p, ok, err)
			}
			if !strings.Contains(err.Error(), "Cursor") || len(err.Error()) > 200 {
				t.Errorf("%.200q does not name the field, or repeats what it was given", err)
			}
		})
	}
}

func TestPartsOfACursorAreRefused(t *testing.T) {
	t.Parallel()
	for _, sort := range sorts {
		o := options(sort)
		whole := listing.Cursor(o, listing.Position{Seq: 1_000_000, Time: 1_767_225_600_000_000, Text: "backup"})
		for n := 1; n < len(whole); n++ {
			for _, o.Cursor = range []string{whole[:n], whole[n:]} {
				if _, ok, err := listing.Parse(o); ok || !errors.Is(err, apikey.ErrInvalid) {
					t.Errorf("by %s, %q of %q: got %v, %v", sort, o.Cursor, whole, ok, err)
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
		if !whole { // past the query, which chance would not find
			o.Cursor = encode(string(decode(t, listing.Cursor(o, listing.Position{}))[:9]) + cursor)
		}
		p, ok, err := listing.Parse(o)
		switch {
		case err != nil:
			if !errors.Is(err, apikey.ErrInvalid) || ok {
				t.Errorf("got %v, %v", ok, err)
			}
		case ok != (o.Cursor != ""):
			t.Errorf("%q: got %v", o.Cursor, ok)
		case ok && listing.Cursor(o, p) != o.Cursor:
			t.Errorf("%q is %+v, and that %q", o.Cursor, p, listing.Cursor(o, p))
		}
	})
}

func encode(raw string) string { return base64.RawURLEncoding.EncodeToString([]byte(raw)) }

func decode(t testing.TB, cursor string) []byte {
	t.Helper()
	raw, err := base64.RawURLEncoding.DecodeString(cursor)
	if err != nil {
		t.Fatal(err)
	}
	return raw
}

// leftover sets a bit of the last character that belongs to no byte.
func leftover(t *testing.T, cursor string) string {
	t.Helper()
	const alphabet = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_"
	last := len(cursor) - 1
	changed := cursor[:last] + string(alphabet[strings.IndexByte(alphabet, cursor[last])+1])
	if string(decode(t, changed)) != string(decode(t, cursor)) {
		t.Fatalf("%q has no bits to spare", cursor)
	}
	return changed
}
