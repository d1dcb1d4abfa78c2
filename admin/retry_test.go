package admin

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

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
