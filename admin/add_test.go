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

func TestAddFollowsTheForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Scopes: []string{"library:read", "library:write"}})
	// The clock is at tomorrow evening, because the issuer's real clock refuses an expiry in the past.
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
			a := v.post("/admin/add", "name", " "+test.name+" ", "owner", "Ann", "scope", "library:read", "scopes", " b,a ,,\tlibrary:read\u00a0", "confirmed", "a", "confirmed", "b",
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
			history, err := s.store.Audit(t.Context(), apikey.AuditOptions{KeyID: key.ID, Limit: 10})
			require.NoError(t, err)
			assert.Equal(t, "administrator", history.Entries[0].Actor)
		})
	}
}

func TestAddReturnsAFormWithAProblem(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Scopes: []string{"library:read"}})
	v := s.visitor()
	v.login()
	for name, test := range map[string]struct {
		field string
		value []string
	}{
		"no name":                       {"name", []string{"name", ""}},
		"a scope with a quote":          {"scopes", []string{"scopes", `a"b`}},
		"a long owner":                  {"owner", []string{"owner", strings.Repeat("x", 101)}},
		"no expiry":                     {"expiry", []string{"expiry", ""}},
		"an expiry that is not offered": {"expiry", []string{"expiry", "100000"}},
		"yesterday":                     {"expiry", []string{"expiry", "date", "date", time.Now().AddDate(0, 0, -2).Format(dateLayout)}},
		"no date":                       {"expiry", []string{"expiry", "date"}},
		"a date that does not exist":    {"expiry", []string{"expiry", "date", "date", "2027-02-31"}},
		"a date without its choice":     {"expiry", []string{"date", time.Now().AddDate(0, 0, 9).Format(dateLayout)}},
		"a date far in the future":      {"expiry", []string{"expiry", "date", "date", "9999-12-31"}},
	} {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"name": {"kept name"}, "owner": {"kept owner"}, "scopes": {"kept:scope"}, "scope": {"library:read"}, "expiry": {"30"}}
			for i := 0; i < len(test.value); i += 2 {
				form.Set(test.value[i], test.value[i+1])
			}
			form.Set("nonce", v.get("/admin/add").nonce())
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

// Without a script the page sends a day that it hides.
func TestAddAsksOnceAboutADayThatIsNotChosen(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	a := v.post("/admin/add", "name", "Backup job", "expiry", "30", "date", time.Now().AddDate(0, 0, 9).Format(dateLayout))
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Contains(t, a.body, "You entered a day")
	assert.Contains(t, a.body, `value="30" checked`)
	assert.Contains(t, a.body, `type="date" value=""`)
	a = v.post("/admin/add", "name", "Backup job", "expiry", "30", "date", "")
	assert.Equal(t, http.StatusOK, a.StatusCode)
}

func TestTypedScopes(t *testing.T) {
	t.Parallel()
	for text, want := range map[string][]string{
		"":                            nil,
		" , ,,":                       nil,
		"library:read":                {"library:read"},
		"library:read, library:write": {"library:read", "library:write"},
		"a,b,c":                       {"a", "b", "c"},
		"a\tb\r\nc\u00a0d\u3000e":     {"a", "b", "c", "d", "e"},
	} {
		assert.Equal(t, len(want), len(typedScopes(text)), text)
		assert.ElementsMatch(t, want, typedScopes(text), text)
	}
}

func TestUnknownScopeNeedsConfirmation(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann, Scopes: []string{"library:read"}})
	v := s.visitor()
	send := func(fields ...string) answer {
		return v.post("/admin/add", append([]string{"name", "Backup job", "expiry", "never"}, fields...)...)
	}
	a := send("scopes", "librry:read, library:read", "scope", "library:read")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Contains(t, a.body, `name="confirmed" value="librry:read"><span>Use “`+isolate("librry:read")+`” anyway</span>`)
	assert.NotContains(t, a.body, `name="confirmed" value="library:read"`)
	assert.Contains(t, a.body, `value="librry:read, library:read"`, "the typed text comes back")
	assert.Empty(t, s.keys())

	a = send("scopes", "librry:read other", "confirmed", "librry:read")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, "the other scope is not confirmed")
	assert.Contains(t, a.body, `value="librry:read" checked`)
	assert.Empty(t, s.keys())

	assert.Equal(t, http.StatusOK, send("scopes", "librry:read", "confirmed", "librry:read").StatusCode)
	assert.Equal(t, []string{"librry:read"}, s.newest().Scopes)
	assert.Equal(t, http.StatusOK, send("scopes", "library:read").StatusCode, "a typed scope of Options.Scopes")

	s.handler.scopes = nil
	assert.Equal(t, http.StatusOK, send("scopes", "anything").StatusCode, "without Options.Scopes")
}

func TestNewKeyPageSaysWhenTheKeyExpires(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	a := v.post("/admin/add", "name", "Backup job", "expiry", "30")
	exact := s.newest().ExpiresAt.Format("2006-01-02 15:04 MST")
	assert.Contains(t, a.body, exact)
	a = v.post("/admin/keys/"+s.newest().ID+"/rotate", "grace", "1h")
	assert.Contains(t, a.body, s.newest().ExpiresAt.Format("2006-01-02 15:04 MST"))
	assert.Contains(t, v.post("/admin/add", "name", "Backup job", "expiry", "never").body, "Expires:</span> Never")
}
