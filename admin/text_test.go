package admin

import (
	"fmt"
	"go/ast"
	"go/parser"
	"go/token"
	"io/fs"
	"os"
	"path"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// inEnglish is a visit to a dashboard with English texts.
func inEnglish(now time.Time) *visit {
	return &visit{h: &dashboard{texts: &texts{}, now: func() time.Time { return now }}}
}

func TestGoTextsListEveryCallOfT(t *testing.T) {
	t.Parallel()
	var called []string
	files, err := os.ReadDir(".")
	require.NoError(t, err)
	for _, file := range files {
		if path.Ext(file.Name()) != ".go" || strings.HasSuffix(file.Name(), "_test.go") {
			continue
		}
		parsed, err := parser.ParseFile(token.NewFileSet(), file.Name(), nil, 0)
		require.NoError(t, err)
		ast.Inspect(parsed, func(n ast.Node) bool {
			call, ok := n.(*ast.CallExpr)
			if !ok {
				return true
			}
			if method, ok := call.Fun.(*ast.SelectorExpr); !ok || method.Sel.Name != "t" {
				return true
			}
			switch text := call.Args[0].(type) {
			case *ast.BasicLit:
				unquoted, err := strconv.Unquote(text.Value)
				require.NoError(t, err)
				called = append(called, unquoted)
			case *ast.Ident:
				assert.Equal(t, "english", text.Name, "%s: only visit.t passes a variable on", file.Name())
			default:
				assert.Fail(t, "the text is not a literal", file.Name())
			}
			return true
		})
	}
	slices.Sort(called)
	assert.ElementsMatch(t, slices.Compact(called), goTexts)
}

// sources returns the templates as they are written.
func sources(t *testing.T) map[string]string {
	t.Helper()
	names, err := fs.Glob(files, "view/*.html")
	require.NoError(t, err)
	found := map[string]string{}
	for _, file := range names {
		source, err := files.ReadFile(file)
		require.NoError(t, err)
		found[file] = string(source)
	}
	return found
}

func TestTextsOfFindsEveryTextOfATemplate(t *testing.T) {
	t.Parallel()
	var written []string
	for _, source := range sources(t) {
		for _, call := range regexp.MustCompile(`[{( ]t ("(?:[^"\\]|\\.)*")`).FindAllStringSubmatch(source, -1) {
			text, err := strconv.Unquote(call[1])
			require.NoError(t, err)
			written = append(written, text)
		}
	}
	slices.Sort(written)
	found := textsOf(parseViews((&texts{}).t))
	slices.Sort(found)
	assert.Greater(t, len(written), 100)
	assert.Equal(t, slices.Compact(written), slices.Compact(found))
}

func TestTemplatesHoldNoUntranslatedText(t *testing.T) {
	t.Parallel()
	actions, tags := regexp.MustCompile(`(?s)\{\{.*?\}\}`), regexp.MustCompile(`(?s)<[^>]*>`)
	for file, source := range sources(t) {
		markup := actions.ReplaceAllString(source, "")
		for _, attribute := range regexp.MustCompile(`(?:aria-label|placeholder|title|alt|data-wait|data-done)="([^"]*)"`).FindAllStringSubmatch(markup, -1) {
			assert.Empty(t, attribute[1], file)
		}
		assert.NotRegexp(t, `\pL`, strings.ReplaceAll(tags.ReplaceAllString(markup, ""), "apikey", ""), file)
	}
}

func TestATranslationIsShown(t *testing.T) {
	t.Parallel()
	asked := map[string]int{}
	german := map[string]string{"Log in": "Anmelden", "Signed in as %s": "Angemeldet als %s", "API keys": "API-Schlüssel"}
	s := newSite(t, Options{Authorize: ann, Lang: "de", Translate: func(english string) string {
		asked[english]++
		return german[english]
	}})
	page := s.visitor().get("/admin/").body
	assert.Contains(t, page, `<html lang="de" dir="ltr">`)
	assert.Contains(t, page, "<h1>API-Schlüssel</h1>")
	assert.Contains(t, page, "Angemeldet als "+isolate("ann"))
	assert.Contains(t, page, "Add API key", "a text without a translation stays English")
	for english, times := range asked {
		assert.Equal(t, 1, times, english)
	}
	assert.Len(t, asked, len(allTexts(s.handler.views)))
}

func TestATranslationHasTheVerbsOfItsText(t *testing.T) {
	t.Parallel()
	desk := newSite(t, Options{}).handler.desk
	for _, test := range []struct{ name, english, translation string }{
		{"a missing verb", "%d days ago", "vor Tagen"},
		{"a verb of another type", "%d days ago", "vor %s Tagen"},
		{"a second verb", "%d days ago", "vor %d Tagen %d"},
		{"a verb with a flag", "%d days ago", "vor %+d Tagen"},
		{"a verb in a text without one", "Log in", "100%d"},
		{"a percent sign at the end", "%d days ago", "vor %d Tagen %"},
		{"invalid UTF-8", "Log in", "\xff"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			_, err := New(desk, Options{PasswordHash: testHash(), Translate: func(english string) string {
				if english == test.english {
					return test.translation
				}
				return ""
			}})
			var invalid *apikey.InvalidError
			require.ErrorAs(t, err, &invalid)
			assert.Equal(t, "Translate", invalid.Field)
			assert.Contains(t, invalid.Problem, fmt.Sprintf("%q", test.english))
		})
	}
}

func TestLangAndDirAreChecked(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Lang: "ar", Dir: "rtl"})
	assert.Contains(t, s.visitor().get("/admin/login").body, `<html lang="ar" dir="rtl">`)
	for _, lang := range []string{"de", "pt-BR", "zh-Hant-TW", "es-419"} {
		_, err := New(s.handler.desk, Options{PasswordHash: testHash(), Lang: lang})
		assert.NoError(t, err, lang)
	}
	for _, test := range []struct {
		field string
		o     Options
	}{{"Dir", Options{Dir: "up"}}, {"Lang", Options{Lang: "de_DE"}}, {"Lang", Options{Lang: `de" onload="x`}}} {
		test.o.PasswordHash = testHash()
		_, err := New(s.handler.desk, test.o)
		require.ErrorIs(t, err, apikey.ErrInvalid)
		assert.ErrorContains(t, err, test.field)
	}
}

func TestAValueInATextKeepsItsDirection(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Lang: "ar", Dir: "rtl"})
	v := s.visitor()
	v.login()
	_, key := s.issue("Backup job")
	page := v.get("/admin/keys/" + key.ID).body
	assert.Regexp(t, `<bdi class="exact" dir="ltr">\d{4}-\d\d-\d\d \d\d:\d\d UTC</bdi>`, page)
	assert.Contains(t, page, `<code class="hint" dir="ltr">`+key.Hint)
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/revoke").body, "Revoke key “"+isolate("Backup job")+"”?")
	rotated := v.post("/admin/keys/"+key.ID+"/rotate", "grace", "24h").body
	assert.Regexp(t, "until \u2068[-0-9: ]+UTC\u2069", rotated)
}

func TestRelativeTimes(t *testing.T) {
	t.Parallel()
	v := inEnglish(time.Now())
	for _, test := range []struct {
		away         time.Duration
		past, future string
	}{
		{0, "just now", "just now"},
		{59 * time.Second, "just now", "just now"},
		{time.Minute, "1 min ago", "in 1 min"},
		{119*time.Minute + 59*time.Second, "119 min ago", "in 120 min"},
		{2 * time.Hour, "2 h ago", "in 2 h"},
		{day - time.Second, "23 h ago", "in 24 h"},
		{day, "yesterday", "tomorrow"},
		{2*day - time.Second, "yesterday", "in 2 days"},
		{2 * day, "2 days ago", "in 2 days"},
		{7*day - time.Second, "6 days ago", "in 7 days"},
		{61 * day, "2 months ago", "in 2 months"},
		{90*day - time.Second, "2 months ago", "in 3 months"},
		{2 * 365 * day, "2 years ago", "in 2 years"},
		{100 * 365 * day, "100 years ago", "in 100 years"},
	} {
		assert.Equal(t, test.past, v.relative(-test.away), test.away)
		assert.Equal(t, test.future, v.relative(test.away), test.away)
	}
}

func TestMidnightIsShownAsTheDayBefore(t *testing.T) {
	t.Parallel()
	v := inEnglish(time.Now())
	east := time.FixedZone("", 3600)
	for name, test := range map[string]struct {
		at   time.Time
		want string
	}{
		"the zero time":           {time.Time{}, ""},
		"midnight in UTC":         {time.Date(2027, 1, 5, 0, 0, 0, 0, time.UTC), isolate("2027-01-04") + ", end of day (UTC)"},
		"midnight of a new year":  {time.Date(2027, 1, 1, 0, 0, 0, 0, time.UTC), isolate("2026-12-31") + ", end of day (UTC)"},
		"one o'clock in UTC+1":    {time.Date(2027, 1, 5, 1, 0, 0, 0, east), isolate("2027-01-04") + ", end of day (UTC)"},
		"midnight in UTC+1":       {time.Date(2027, 1, 5, 0, 0, 0, 0, east), "2027-01-04 23:00 UTC"},
		"a microsecond before it": {time.Date(2027, 1, 4, 23, 59, 59, 999999000, time.UTC), "2027-01-04 23:59 UTC"},
		"a microsecond after it":  {time.Date(2027, 1, 5, 0, 0, 0, 1000, time.UTC), "2027-01-05 00:00 UTC"},
	} {
		assert.Equal(t, test.want, v.end(test.at).Exact, name)
	}
}
