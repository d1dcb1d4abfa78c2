package admin

import (
	"errors"
	"fmt"
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
		"no name":                 {"name", []string{"name", ""}},
		"a scope with a quote":    {"scopes", []string{"scopes", `a"b`}},
		"an owner that is long":   {"owner", []string{"owner", strings.Repeat("x", 101)}},
		"no expiry":               {"expiry", []string{"expiry", ""}},
		"an expiry of its own":    {"expiry", []string{"expiry", "100000"}},
		"yesterday":               {"expiry", []string{"expiry", "date", "date", time.Now().AddDate(0, 0, -2).Format(dateLayout)}},
		"no date":                 {"expiry", []string{"expiry", "date"}},
		"a date that is none":     {"expiry", []string{"expiry", "date", "date", "2027-02-31"}},
		"a date in another world": {"expiry", []string{"expiry", "date", "date", "9999-12-31"}},
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

func TestARotationGivesTheOldKeyItsGrace(t *testing.T) {
	t.Parallel()
	for grace, want := range map[string]time.Duration{"0": 0, "1h": time.Hour, "24h": 24 * time.Hour, "168h": 7 * 24 * time.Hour} {
		s := newSite(t, Options{})
		_, key := s.issue("Backup job")
		v := s.visitor()
		v.login()
		a := v.post("/admin/keys/"+key.ID+"/rotate", "grace", grace)
		require.Equal(t, http.StatusOK, a.StatusCode)
		assert.Regexp(t, regexpKey, a.body)
		old, err := s.store.Get(t.Context(), key.ID)
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now().Add(want), old.ExpiresAt, time.Minute)
		assert.Equal(t, []string{"Backup job", "Backup job"}, s.keys())
	}
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	a := v.post("/admin/keys/"+key.ID+"/rotate", "grace", "1000h")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Len(t, s.keys(), 1)
}

// Its second successor would live no longer than the grace of the first.
func TestAKeyIsRotatedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	before := v.get("/admin/keys/" + key.ID + "/rotate").token()
	require.Equal(t, http.StatusOK, v.post("/admin/keys/"+key.ID+"/rotate", "grace", "24h").StatusCode)
	a := v.do("POST", "/admin/keys/"+key.ID+"/rotate", url.Values{"token": {before}, "grace": {"24h"}}.Encode())
	assert.Equal(t, http.StatusConflict, a.StatusCode)
	assert.Contains(t, a.body, "rotated already")
	assert.NotContains(t, v.get("/admin/keys/"+key.ID).body, `href="../keys/`+key.ID+`/rotate"`)
	assert.Len(t, s.keys(), 2)
}

func TestARevocationIsAskedForAndRecorded(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	secret, key := s.issue("Backup job")
	digest, err := s.issuer.Format().Digest(apikey.NewSecret(secret))
	require.NoError(t, err)
	v := s.visitor()
	v.login()
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/revoke").body, "It was never used.")
	s.store.Touch(digest, time.Now().Add(-3*time.Hour))
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/revoke").body, "It was last used 3 h ago.")
	a := v.post("/admin/keys/"+key.ID+"/revoke", "x", "y")
	assert.Equal(t, http.StatusSeeOther, a.StatusCode)
	first, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.NotZero(t, first.RevokedAt)
	entries, _, err := s.store.Audit(t.Context(), key.ID, "", 10)
	require.NoError(t, err)
	assert.Equal(t, apikey.AuditEntry{Actor: "administrator", Action: "revoke", KeyID: key.ID}, entries[len(entries)-1])
	assert.Equal(t, http.StatusConflict, v.get("/admin/keys/"+key.ID+"/rotate").StatusCode)
	assert.Equal(t, http.StatusNotFound, v.get("/admin/keys/nobody/revoke").StatusCode)
}

func TestTheListHasItsStateInTheURL(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for i := range pageSize + 1 {
		s.issue(fmt.Sprintf("Job %02d", i))
	}
	v := s.visitor()
	v.login()
	a := v.get("/admin/?search=job&sort=name&status=active")
	for _, text := range []string{`value="job"`, `value="name" selected`, `value="active" selected`, "Job 00", "Job 49"} {
		assert.Contains(t, a.body, text)
	}
	assert.NotContains(t, a.body, "Job 50")
	next := regexpNext.FindStringSubmatch(a.body)
	require.Len(t, next, 2)
	second := v.get("/admin/" + strings.TrimPrefix(strings.ReplaceAll(next[1], "&amp;", "&"), "./"))
	assert.Contains(t, second.body, "Job 50")
	assert.NotContains(t, second.body, "Job 49")
	assert.Contains(t, second.body, `href="./?search=job&amp;sort=name&amp;status=active">First page`)
	for _, bad := range []string{"?status=x", "?sort=x", "?cursor=x", "?cursor=" + url.QueryEscape(next[1])} {
		assert.Equal(t, http.StatusBadRequest, v.get("/admin/"+bad).StatusCode, bad)
	}
}

func TestMarksOfTheList(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	v := &visit{h: &Handler{text: &english, touched: true, now: func() time.Time { return now }}}
	day := 24 * time.Hour
	for _, test := range []struct {
		name   string
		key    apikey.Key
		word   string
		unused bool
	}{
		{"no end", apikey.Key{}, "Active", false},
		{"ends in 8 days", apikey.Key{ExpiresAt: now.Add(8 * day)}, "Active", false},
		{"ends in a week", apikey.Key{ExpiresAt: now.Add(7 * day)}, "Expires soon", false},
		{"ends now", apikey.Key{ExpiresAt: now}, "Expired", false},
		{"revoked and expired", apikey.Key{ExpiresAt: now, RevokedAt: now}, "Revoked", false},
		{"used 89 days ago", apikey.Key{LastUsedAt: now.Add(-89 * day)}, "Active", false},
		{"used 90 days ago", apikey.Key{LastUsedAt: now.Add(-90 * day)}, "Active", true},
		{"revoked, and unused for long", apikey.Key{LastUsedAt: now.Add(-90 * day), RevokedAt: now}, "Revoked", false},
	} {
		row := v.row(&test.key)
		assert.Equal(t, test.word, row.Word, test.name)
		assert.Equal(t, test.unused, row.Unused, test.name)
	}
}

func TestRelativeTimes(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
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
		assert.Equal(t, test.past, english.relative(-test.away), test.away)
		assert.Equal(t, test.future, english.relative(test.away), test.away)
	}
}

func TestTheHostSaysWhoIsAnAdministrator(t *testing.T) {
	t.Parallel()
	secretCause := errors.New("a cause that is the operator's")
	s := newSite(t, Options{Authorize: func(r *http.Request) (string, error) {
		switch r.Header.Get("X-User") {
		case "ann":
			return "ann@example.com", nil
		case "nobody":
			return "", nil
		case "outage":
			return "", fmt.Errorf("%w: %w", apikey.ErrUnavailable, secretCause)
		}
		return "", secretCause
	}})
	v := s.visitor()
	for user, status := range map[string]int{"ann": http.StatusOK, "nobody": http.StatusForbidden, "eve": http.StatusForbidden, "outage": http.StatusServiceUnavailable} {
		v.header.Set("X-User", user)
		a := v.get("/admin/")
		assert.Equal(t, status, a.StatusCode, user)
		assert.NotContains(t, a.body, "operator")
		assert.Equal(t, http.StatusNotFound, s.visitor().get("/admin/login").StatusCode, "there is no login")
	}
	assert.Contains(t, s.log.String(), "operator")
	v.header.Set("X-User", "ann")
	require.Equal(t, http.StatusOK, v.post("/admin/add", "name", "Backup job", "expiry", "never").StatusCode)
	entries, _, err := s.store.Audit(t.Context(), "", "", 10)
	require.NoError(t, err)
	assert.Equal(t, "ann@example.com", entries[0].Actor)
	stolen := v.get("/admin/add").token()
	v.header.Set("X-User", "eve")
	a := v.do("POST", "/admin/add", url.Values{"token": {stolen}, "name": {"x"}, "expiry": {"never"}}.Encode())
	assert.Equal(t, http.StatusForbidden, a.StatusCode)
}

func TestTextsAreComplete(t *testing.T) {
	t.Parallel()
	german, err := (&Text{Lang: "de", LogIn: "Anmelden", DaysAgo: "vor %d Tagen"}).complete()
	require.NoError(t, err)
	assert.Equal(t, "Anmelden", german.LogIn)
	assert.Equal(t, "Log out", german.LogOut)
	for name, text := range map[string]Text{
		"a verb that is missing":  {DaysAgo: "vor Tagen"},
		"a verb of another kind":  {DaysAgo: "vor %s Tagen"},
		"a verb that is too much": {LogIn: "100%d"},
		"a direction":             {Dir: "up"},
	} {
		_, err := text.complete()
		assert.ErrorIs(t, err, apikey.ErrInvalid, name)
	}
	s := newSite(t, Options{Text: &Text{Lang: "ar", Dir: "rtl"}})
	assert.Contains(t, s.visitor().get("/admin/login").body, `<html lang="ar" dir="rtl">`)
}

// Fifty rows, of which no page has more.
func BenchmarkList(b *testing.B) {
	keys := make([]apikey.Key, pageSize)
	for i := range keys {
		keys[i] = apikey.Key{ID: fmt.Sprint("key", i), Name: "Backup job", Scopes: []string{"library:read"}, Hint: "ak_…x7Qd", CreatedAt: time.Now()}
	}
	pages, err := parsePages()
	require.NoError(b, err)
	h := &Handler{text: &english, pages: pages, now: time.Now, touched: true}
	r, err := http.NewRequest("GET", "/", nil)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		v := &visit{h: h, w: discard{}, r: r, root: "./", actor: "administrator"}
		p := listPage{Used: true}
		for i := range keys {
			p.Keys = append(p.Keys, v.row(&keys[i]))
		}
		v.show(http.StatusOK, "list", h.text.ListTitle, p)
	}
}

type discard struct{}

func (discard) Header() http.Header         { return http.Header{} }
func (discard) Write(b []byte) (int, error) { return len(b), nil }
func (discard) WriteHeader(int)             {}
