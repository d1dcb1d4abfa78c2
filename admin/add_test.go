package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestAKeyIsAddedAsTheFormSays(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Scopes: []string{"library:read", "library:write"}})
	// Tomorrow evening: the issuer goes by the real clock, and takes no expiry that is past.
	today := time.Now().UTC().Truncate(24*time.Hour).AddDate(0, 0, 1)
	now, later := today.Add(20*time.Hour), today.AddDate(0, 0, 70)
	s.handler.now = func() time.Time { return now }
	v := s.visitor()
	v.login()
	for _, test := range []struct {
		name, expiry, date string
		want               time.Time
	}{
		{"a week", "7", "", now.AddDate(0, 0, 7)},
		{"a month", "30", "", now.AddDate(0, 0, 30)},
		{"a quarter", "90", "", now.AddDate(0, 0, 90)},
		{"a year", "365", "", now.AddDate(0, 0, 365)},
		{"never", "never", "", time.Time{}},
		{"the end of a day", "date", later.Format(dateLayout), later.AddDate(0, 0, 1)},
		{"the end of today", "date", today.Format(dateLayout), today.AddDate(0, 0, 1)},
	} {
		t.Run(test.name, func(t *testing.T) {
			a := v.post("/admin/add", "name", " "+test.name+" ", "owner", "Ann", "scope", "library:read", "scopes", " b  a\tlibrary:read ",
				"expiry", test.expiry, "date", test.date)
			require.Equal(t, http.StatusOK, a.StatusCode)
			page, err := s.store.List(t.Context(), apikey.ListOptions{Search: test.name})
			require.NoError(t, err)
			require.Len(t, page.Keys, 1)
			key := page.Keys[0]
			assert.Equal(t, test.name, key.Name)
			assert.Equal(t, "Ann", key.Owner)
			assert.Equal(t, []string{"a", "b", "library:read"}, key.Scopes)
			assert.True(t, test.want.Equal(key.ExpiresAt), key.ExpiresAt)
			entries, _, err := s.store.Audit(t.Context(), key.ID, "", 10)
			require.NoError(t, err)
			assert.Equal(t, "administrator", entries[0].Actor)
		})
	}
}

func TestAFormWithAMistakeComesBackAsItWasFilledIn(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Scopes: []string{"library:read"}})
	v := s.visitor()
	v.login()
	for name, test := range map[string]struct {
		field string
		value []string
	}{
		"no name":                   {"name", []string{"name", ""}},
		"a scope with a quote":      {"scopes", []string{"scopes", `a"b`}},
		"an owner that is long":     {"owner", []string{"owner", strings.Repeat("x", 101)}},
		"no expiry":                 {"expiry", []string{"expiry", ""}},
		"an expiry of its own":      {"expiry", []string{"expiry", "100000"}},
		"yesterday":                 {"expiry", []string{"expiry", "date", "date", time.Now().AddDate(0, 0, -2).Format(dateLayout)}},
		"no date":                   {"expiry", []string{"expiry", "date"}},
		"a date that is none":       {"expiry", []string{"expiry", "date", "date", "2027-02-31"}},
		"a date that is not chosen": {"expiry", []string{"date", time.Now().AddDate(0, 0, 9).Format(dateLayout)}},
		"a date in another world":   {"expiry", []string{"expiry", "date", "date", "9999-12-31"}},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"name": {"kept name"}, "owner": {"kept owner"}, "scopes": {"kept:scope"}, "scope": {"library:read"}, "expiry": {"30"}}
			for i := 0; i < len(test.value); i += 2 {
				form.Set(test.value[i], test.value[i+1])
			}
			form.Set("token", v.get("/admin/add").token())
			a := v.do("POST", "/admin/add", form.Encode())
			assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
			assert.Contains(t, a.body, `<a href="#`+test.field+`">`)
			assert.Contains(t, a.body, `id="`+test.field+`-problem"`)
			for field, text := range map[string]string{"name": `value="kept name"`, "owner": `value="kept owner"`, "scopes": `value="kept:scope"`, "expiry": `value="30" checked`} {
				if field != test.field {
					assert.Contains(t, a.body, text)
				}
			}
			assert.Contains(t, a.body, `value="library:read" checked`)
		})
	}
	assert.Empty(t, s.keys())
}

// Nothing is dropped in silence; what was sent without a script may hide the day that was given.
func TestADayThatIsNotChosenIsAskedAboutOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	a := v.post("/admin/add", "name", "Backup job", "expiry", "30", "date", time.Now().AddDate(0, 0, 9).Format(dateLayout))
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Contains(t, a.body, "A day was given")
	assert.Contains(t, a.body, `value="30" checked`)
	assert.Contains(t, a.body, `type="date" value=""`)
	a = v.post("/admin/add", "name", "Backup job", "expiry", "30", "date", "")
	assert.Equal(t, http.StatusOK, a.StatusCode)
}
