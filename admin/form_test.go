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

func TestABodyIsLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	huge := "password=" + strings.Repeat("x", maxBody)
	assert.Equal(t, http.StatusRequestEntityTooLarge, v.do("POST", "/admin/add", huge).StatusCode)
	assert.Equal(t, http.StatusRequestEntityTooLarge, s.visitor().do("POST", "/admin/login", huge).StatusCode)
	assert.Equal(t, http.StatusUnauthorized, s.visitor().post("/admin/login", "password", strings.Repeat("x", maxPassword+1)).StatusCode)
}

func TestARequestOfAnotherSiteChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	token := v.get("/admin/add").token()
	for name, header := range map[string]http.Header{
		"Sec-Fetch-Site cross-site": {"Sec-Fetch-Site": {"cross-site"}},
		"Sec-Fetch-Site same-site":  {"Sec-Fetch-Site": {"same-site"}},
		"a foreign Origin":          {"Sec-Fetch-Site": nil, "Origin": {"https://evil.example"}},
		"Origin null":               {"Sec-Fetch-Site": nil, "Origin": {"null"}},
	} {
		t.Run(name, func(t *testing.T) {
			v.header = header
			defer func() { v.header = http.Header{} }()
			for _, path := range []string{"/admin/add", "/admin/keys/" + key.ID + "/revoke", "/admin/keys/" + key.ID + "/rotate", "/admin/login", "/admin/logout"} {
				form := url.Values{"token": {token}, "name": {"forged"}, "expiry": {"never"}, "grace": {"0"}, "password": {testPassword}}
				assert.Equal(t, http.StatusForbidden, v.do("POST", path, form.Encode()).StatusCode, path)
			}
		})
	}
	assert.True(t, v.loggedIn())
	assert.Equal(t, []string{"Backup job"}, s.keys())
	kept, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Zero(t, kept.RevokedAt)
}

func TestAFormNeedsTheTokenOfItsSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v, other := s.visitor(), s.visitor()
	v.login()
	other.login()
	good := v.get("/admin/add").token()
	for name, token := range map[string]string{
		"none": "", "another session's": other.get("/admin/add").token(), "of the login": s.visitor().get("/admin/login").token(),
		"changed": good[:10] + "AAAA" + good[14:], "cut": good[:40],
	} {
		form := url.Values{"token": {token}, "name": {"forged"}, "expiry": {"never"}}
		a := v.do("POST", "/admin/add", form.Encode())
		assert.Equal(t, http.StatusForbidden, a.StatusCode, name)
	}
	assert.Empty(t, s.keys())
}

func TestAFormLivesForTwelveHours(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	now := time.Now().Truncate(time.Second)
	s.handler.now = func() time.Time { return now }
	v := s.visitor()
	v.login()
	form := func(name string) string {
		return url.Values{"token": {v.get("/admin/add").token()}, "name": {name}, "expiry": {"never"}}.Encode()
	}
	young, old := form("in time"), form("too late")
	now = now.Add(formLifetime)
	assert.Equal(t, http.StatusOK, v.do("POST", "/admin/add", young).StatusCode)
	now = now.Add(time.Second)
	assert.Equal(t, http.StatusForbidden, v.do("POST", "/admin/add", old).StatusCode)
	assert.Equal(t, []string{"in time"}, s.keys())
}

func TestGetChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	token := v.get("/admin/add").token()
	query := "?" + url.Values{"token": {token}, "name": {"forged"}, "expiry": {"never"}, "grace": {"0"}}.Encode()
	for path, status := range map[string]int{
		"/admin/add": http.StatusOK, "/admin/keys/" + key.ID + "/revoke": http.StatusOK, "/admin/keys/" + key.ID + "/rotate": http.StatusOK,
		"/admin/logout": http.StatusMethodNotAllowed,
	} {
		for _, method := range []string{"GET", "HEAD"} {
			assert.Equal(t, status, v.do(method, path+query, "").StatusCode, path)
		}
	}
	for _, method := range []string{"PUT", "DELETE", "PATCH", "OPTIONS", "TRACE"} {
		assert.Equal(t, http.StatusMethodNotAllowed, v.do(method, "/admin/add", "").StatusCode, method)
	}
	assert.True(t, v.loggedIn())
	assert.Equal(t, []string{"Backup job"}, s.keys())
	after, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Zero(t, after.RevokedAt)
	assert.Zero(t, after.ExpiresAt)
}

// The form is another process's, or this one's before it was started anew.
func TestALoginFormIsGoodForEveryProcess(t *testing.T) {
	t.Parallel()
	one, two := newSite(t, Options{}), newSite(t, Options{})
	form := url.Values{"token": {one.visitor().get("/admin/login").token()}, "password": {testPassword}}
	assert.Equal(t, http.StatusSeeOther, two.visitor().do("POST", "/admin/login", form.Encode()).StatusCode)

	hash, err := HashPassword(apikey.NewSecret(testPassword))
	require.NoError(t, err)
	third := newSite(t, Options{PasswordHash: hash})
	assert.Equal(t, http.StatusForbidden, third.visitor().do("POST", "/admin/login", form.Encode()).StatusCode, "with another hash")
	form.Set("token", third.visitor().get("/admin/login").token())
	keyed := newSite(t, Options{FormKey: apikey.NewSecret(strings.Repeat("k", minFormKey))})
	assert.Equal(t, http.StatusForbidden, keyed.visitor().do("POST", "/admin/login", form.Encode()).StatusCode, "with a FormKey")
}
