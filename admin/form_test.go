package admin

import (
	"encoding/json"
	"html"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestFormSizeIsLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	huge := "password=" + strings.Repeat("x", maxBody)
	assert.Equal(t, http.StatusRequestEntityTooLarge, v.do("POST", "/admin/add", huge).StatusCode)
	assert.Equal(t, http.StatusRequestEntityTooLarge, s.visitor().do("POST", "/admin/login", huge).StatusCode)
	assert.Equal(t, http.StatusUnauthorized, s.visitor().post("/admin/login", "password", strings.Repeat("x", maxPassword+1)).StatusCode)
}

func TestFormNeedsItsNonce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	_, key := s.issue("Backup job")
	v := s.visitor()
	for name, nonce := range map[string]string{"no nonce": "", "a short nonce": "A", "a long nonce": strings.Repeat("A", 60_000)} {
		form := url.Values{"nonce": {nonce}, "name": {"x"}, "expiry": {"never"}, "grace": {"0"}}.Encode()
		for _, path := range []string{"/admin/add", "/admin/keys/" + key.ID + "/rotate"} {
			assert.Equal(t, http.StatusBadRequest, v.do("POST", path, form).StatusCode, "%s at %s", name, path)
		}
	}
	assert.Equal(t, []string{"Backup job"}, s.keys())
}

// makers returns the two forms that make a key, with their paths.
func makers(s *site) map[string]struct {
	path string
	form url.Values
} {
	_, key := s.issue("Backup job")
	return map[string]struct {
		path string
		form url.Values
	}{
		"adding":   {"/admin/add", url.Values{"name": {"Backup job"}, "expiry": {"90"}}},
		"rotating": {"/admin/keys/" + key.ID + "/rotate", url.Values{"grace": {"24h"}}},
	}
}

func TestNewKeyIsInOneResponseOnly(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	sessions := &recordedSessions{Store: manager.Store}
	manager.Store = sessions
	s := newSite(t, Options{Sessions: manager})
	v := s.visitor()
	v.login()
	for name, maker := range makers(s) {
		t.Run(name, func(t *testing.T) {
			maker.form.Set("nonce", v.get(maker.path).nonce())
			a := v.do("POST", maker.path, maker.form.Encode())
			require.Equal(t, http.StatusOK, a.StatusCode)
			secret := regexpKey.FindString(a.body)
			require.NotEmpty(t, secret)
			assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
			header, err := json.Marshal(a.Header)
			require.NoError(t, err)
			assert.NotContains(t, string(header), secret)
			for _, path := range []string{"/admin/", "/admin/add", maker.path, "/admin/keys/" + s.newest().ID} {
				assert.NotContains(t, v.get(path).body, secret, path)
			}
			assert.NotContains(t, v.do("POST", maker.path, maker.form.Encode()).body, secret, "a reload")
			assert.NotContains(t, s.log.String(), secret)
			assert.NotContains(t, sessions.written(), secret)
			for _, cookie := range v.cookies() {
				assert.NotContains(t, cookie.Value, secret)
			}
		})
	}
}

func TestDoubleClickMakesOneKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	for name, maker := range makers(s) {
		t.Run(name, func(t *testing.T) {
			before := len(s.keys())
			maker.form.Set("nonce", v.get(maker.path).nonce())
			answers := make([]answer, 5)
			var all sync.WaitGroup
			for i := range answers {
				all.Go(func() { answers[i] = v.do("POST", maker.path, maker.form.Encode()) })
			}
			all.Wait()
			shown := 0
			for _, a := range answers {
				if a.StatusCode == http.StatusOK {
					shown++
					continue
				}
				assert.Equal(t, http.StatusConflict, a.StatusCode)
				assert.NotRegexp(t, regexpKey, a.body)
				assert.Contains(t, a.body, "already sent")
			}
			assert.Equal(t, 1, shown)
			assert.Len(t, s.keys(), before+1)
		})
	}
}

func TestFormWorksAgainAfterAFailure(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	v := s.visitor()
	all := makers(s)
	for name, method := range map[string]string{"adding": "Create", "rotating": "Replace"} {
		t.Run(name, func(t *testing.T) {
			maker := all[name]
			maker.form.Set("nonce", v.get(maker.path).nonce())
			s.store.fails(method, apikey.ErrUnavailable)
			assert.Equal(t, http.StatusServiceUnavailable, v.do("POST", maker.path, maker.form.Encode()).StatusCode)
			s.store.fails("", nil)
			assert.Regexp(t, regexpKey, v.do("POST", maker.path, maker.form.Encode()).body)
		})
	}
}

// Each process has a dashboard of its own.
func TestFormMakesOneKeyInAllProcesses(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	other, err := newDashboard(s.handler.desk, Options{Authorize: ann})
	require.NoError(t, err)
	v, again := s.visitor(), s.visitor()
	again.at(http.StripPrefix("/admin", other), "/admin/")
	for name, maker := range makers(s) {
		t.Run(name, func(t *testing.T) {
			form := url.Values{"nonce": {v.get(maker.path).nonce()}, "begun": {time.Now().UTC().Add(-time.Minute).Format(time.RFC3339)}}
			for field, values := range maker.form {
				form[field] = values
			}
			require.Equal(t, http.StatusOK, v.do("POST", maker.path, form.Encode()).StatusCode)
			a := again.do("POST", maker.path, form.Encode())
			assert.Equal(t, http.StatusConflict, a.StatusCode)
			assert.Contains(t, a.body, "keys/"+s.newest().ID+`">View key`)
			form.Set("name", "Another name")
			form.Set("grace", "0")
			a = again.do("POST", maker.path, form.Encode())
			assert.Equal(t, http.StatusConflict, a.StatusCode, "for another key")
			assert.NotRegexp(t, regexpKey, a.body)
		})
	}
}

func TestFormCountsDaysFromItsTime(t *testing.T) {
	t.Parallel()
	now := time.Date(2030, 3, 4, 5, 6, 7, 0, time.UTC)
	v := inEnglish(now)
	for text, want := range map[string]time.Time{
		"2030-03-04T05:06:00Z": now.Add(-7 * time.Second), "2030-03-04T04:06:08Z": now.Add(-time.Hour + time.Second),
		"2030-03-04T04:06:07Z": now, "2030-03-04T05:06:08Z": now, "": now, "x": now,
	} {
		assert.Equal(t, want, v.begun(text), text)
	}
}

// filledIn returns a form with a value in every field.
func filledIn(nonce string) url.Values {
	return url.Values{
		"nonce": {nonce}, "name": {`Backup "job"`}, "owner": {"Operations"}, "scope": {"library:read"}, "scopes": {"sessions:control"},
		"confirmed": {"sessions:control"}, "expiry": {"date"}, "date": {"2027-01-04"}, "key": {"SECRET"}, "password": {"SECRET"},
	}
}

var filledInFields = []string{
	`value="Backup &#34;job&#34;"`, `value="Operations"`, `value="library:read"`, `value="sessions:control"`, `value="2027-01-04"`, `value="date"`,
}

// hiddenIn returns the hidden fields of the form in a page.
func hiddenIn(a answer) url.Values {
	form := url.Values{}
	_, main, _ := strings.Cut(a.body, "<main")
	for _, tag := range strings.Split(main, "<input ")[1:] {
		tag, _, _ = strings.Cut(tag, ">")
		if name, value := attribute(tag, "name"), attribute(tag, "value"); strings.Contains(tag, `type="hidden"`) {
			form.Add(name, value)
		}
	}
	return form
}

func attribute(tag, name string) string {
	_, value, _ := strings.Cut(tag, name+`="`)
	value, _, _ = strings.Cut(value, `"`)
	return html.UnescapeString(value)
}

func TestLoginPreservesATypedForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Scopes: []string{"library:read"}})
	v := s.visitor()
	v.login()
	form := filledIn(v.get("/admin/add").nonce())
	v.do("POST", "/admin/logout", "")

	a := v.do("POST", "/admin/add", form.Encode())
	assert.Equal(t, http.StatusForbidden, a.StatusCode)
	assert.Contains(t, a.body, "Session expired")
	assert.Empty(t, s.keys())
	wrong := hiddenIn(a)
	wrong.Set("password", "wrong")
	a = v.do("POST", "/admin/login", wrong.Encode())
	require.Equal(t, http.StatusUnauthorized, a.StatusCode)

	right := hiddenIn(a)
	right.Set("password", testPassword)
	a = v.do("POST", "/admin/login", right.Encode())
	require.Equal(t, http.StatusOK, a.StatusCode)
	for _, field := range filledInFields {
		assert.Contains(t, a.body, field)
	}
	assert.NotContains(t, a.body, "SECRET")
	assert.Empty(t, s.keys(), "a login alone changes nothing")
	assert.True(t, v.loggedIn())
	form.Set("nonce", a.nonce())
	assert.Equal(t, http.StatusOK, v.do("POST", "/admin/add", form.Encode()).StatusCode)
	assert.Equal(t, []string{`Backup "job"`}, s.keys())
}

func TestLoginPreservesARotation(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	path := "/admin/keys/" + key.ID + "/rotate"
	form := hiddenIn(v.do("POST", path, url.Values{"grace": {"168h"}, "nonce": {"of an expired session"}}.Encode()))
	form.Set("password", testPassword)
	a := v.do("POST", "/admin/login", form.Encode())
	assert.Contains(t, a.body, `value="168h" checked`)
	assert.Contains(t, a.body, `action="./keys/`+key.ID+`/rotate"`)
	assert.Len(t, s.keys(), 1)
}

// Each row is a request of an expired session and the redirect of the next login.
func TestLoginLeadsBackToTheExpiredPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.handler.passwords.matches = func(string) bool { return true }
	_, key := s.issue("Backup job")
	for _, test := range []struct{ path, form, want string }{
		{"keys/" + key.ID + "/revoke", "x=y", "./keys/" + key.ID + "/revoke"},
		{"identify", "key=SECRET", "./identify"},
		{"", "search=SECRET", "./"},
	} {
		v := s.visitor()
		ended := v.do("POST", "/admin/"+test.path, test.form)
		assert.Equal(t, http.StatusForbidden, ended.StatusCode)
		assert.NotContains(t, ended.body, "SECRET")
		form := hiddenIn(ended)
		form.Set("password", testPassword)
		assert.Equal(t, test.want, v.do("POST", "/admin/login", form.Encode()).Header.Get("Location"), test.path)
	}
}

func TestRetryPreservesATypedForm(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann, Scopes: []string{"library:read"}})
	v := s.visitor()
	form := filledIn(v.get("/admin/add").nonce())
	s.store.fails("Create", apikey.ErrUnavailable)
	a := v.do("POST", "/admin/add", form.Encode())
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	for _, field := range filledInFields {
		assert.Contains(t, a.body, field)
	}
	assert.NotContains(t, a.body, "SECRET")
	assert.Contains(t, a.body, `action="./add"`)
	s.store.fails("", nil)
	again := v.do("POST", "/admin/add", hiddenIn(a).Encode())
	assert.Equal(t, http.StatusOK, again.StatusCode)
	assert.Regexp(t, regexpKey, again.body)
	assert.Equal(t, []string{`Backup "job"`}, s.keys())
}

// The dashboard cannot authenticate the client, so it returns the form without acting.
func TestRetryPreservesAFormDuringASessionOutage(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	form := filledIn(v.get("/admin/add").nonce())
	store := s.handler.sessions.manager.Store
	s.handler.sessions.manager.Store = failingSessions{apikey.ErrUnavailable}
	a := v.do("POST", "/admin/add", form.Encode())
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	s.handler.sessions.manager.Store = store
	assert.Equal(t, http.StatusOK, v.do("POST", "/admin/add", hiddenIn(a).Encode()).StatusCode)
	assert.Equal(t, []string{`Backup "job"`}, s.keys())
}

func TestRetryWorksForRotateAndRevoke(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ method, action string }{{"Replace", "rotate"}, {"Revoke", "revoke"}, {"Update", "suspend"}, {"Update", "resume"}} {
		s := newSite(t, Options{Authorize: ann})
		_, key := s.issue("Backup job")
		v := s.visitor()
		path := "/admin/keys/" + key.ID + "/" + test.action
		form := url.Values{"nonce": {v.get(path).nonce()}, "grace": {"1h"}}
		s.store.fails(test.method, apikey.ErrUnavailable)
		a := v.do("POST", path, form.Encode())
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		s.store.fails("", nil)
		assert.Less(t, v.do("POST", path, hiddenIn(a).Encode()).StatusCode, 400, test.action)
	}
}

// A form of 64 KiB can name thousands of scopes. Quadratic work would take 4096 times as long here.
func TestFormWithManyScopesIsLinear(t *testing.T) {
	s := newSite(t, Options{Authorize: ann, Scopes: []string{"read"}})
	v := s.handler.visit(nil, &http.Request{URL: &url.URL{Path: "/add"}})
	var err error
	v.keys, err = s.handler.desk.As(administrator)
	require.NoError(t, err)
	duration := func(scopes int) time.Duration {
		var p keyForm
		for i := range scopes {
			p.Checked = append(p.Checked, strconv.Itoa(100_000+i))
		}
		best := time.Hour
		for range 5 { // the best of 5, because disturbances only add time
			begin := time.Now()
			v.unknownScopes(p.Checked, p.Checked)
			v.addPage(http.StatusOK, p)
			best = min(best, time.Since(begin))
		}
		return best
	}
	few, many := duration(200), duration(64*200)
	require.Less(t, many, 16*64*few)
}
