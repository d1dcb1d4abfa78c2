package admin

import (
	"errors"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestNamesAreInert(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	for _, name := range []string{`"><script>alert(1)</script>`, `javascript:alert(1)`, `=cmd|' /C calc'!A0`, `{{.Secret}}`, `' onmouseover='x`} {
		a := v.post("/admin/add", "name", name, "expiry", "never", "owner", name)
		require.Equal(t, http.StatusOK, a.StatusCode)
		list := v.get("/admin/")
		page, err := s.store.List(t.Context(), apikey.ListOptions{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, name, page.Keys[0].Name)
		for _, shown := range []answer{a, list, v.get("/admin/keys/" + page.Keys[0].ID), v.get("/admin/keys/" + page.Keys[0].ID + "/revoke"), v.get("/admin/?search=" + url.QueryEscape(name))} {
			assert.NotContains(t, shown.body, "<script>alert")
			assert.NotContains(t, shown.body, "' onmouseover='")
			assert.NotContains(t, shown.body, `href="javascript:`)
		}
	}
	for _, name := range []string{"a\u202eb", "a\x00b", "a\nb", strings.Repeat("x", 101), " ", "\xff"} {
		a := v.post("/admin/add", "name", name, "expiry", "never")
		assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, "%q", name)
	}
	assert.Len(t, s.keys(), 5)
}

func TestEveryResponseForbidsFramingAndInlineScript(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	for path, status := range map[string]int{
		"/admin/": http.StatusOK, "/admin/nothing": http.StatusNotFound, "/admin/keys/nobody": http.StatusNotFound,
		"/admin/?sort=nonsense": http.StatusBadRequest, "/admin/logout": http.StatusMethodNotAllowed, "/admin/" + stylePath: http.StatusOK,
		"/admin/keys/%2e%2e": http.StatusNotFound,
	} {
		a := v.get(path)
		assert.Equal(t, status, a.StatusCode, path)
		policy := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			assert.Contains(t, policy, want, path)
		}
		assert.NotContains(t, policy, "unsafe", path)
		assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
		assert.NotRegexp(t, `<script[^>]*>[^<]|\sstyle=|\son[a-z]+=`, a.body, path)
	}
	tooLarge := v.do("POST", "/admin/add", "name="+strings.Repeat("x", maxBody))
	assert.Equal(t, http.StatusRequestEntityTooLarge, tooLarge.StatusCode)
	loggedOut := s.visitor().do("POST", "/admin/add", "x=y")
	assert.Equal(t, http.StatusForbidden, loggedOut.StatusCode)
	s.store.fails("List", errors.New("no route to host"))
	outage := v.get("/admin/")
	assert.Equal(t, http.StatusServiceUnavailable, outage.StatusCode)
	for _, a := range []answer{tooLarge, loggedOut, outage} {
		policy := a.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "frame-ancestors 'none'", a.Status)
		assert.Contains(t, policy, "script-src 'self'", a.Status)
		assert.NotContains(t, policy, "unsafe", a.Status)
		assert.Equal(t, "DENY", a.Header.Get("X-Frame-Options"), a.Status)
	}
}

func TestKeysOpenNoPageAndCookiesNoRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	made, _, err := s.issuer.Issue(t.Context(), apikey.Key{Name: "Backup job", Scopes: []string{"apikeys:manage"}})
	require.NoError(t, err)
	secret := made.Reveal()
	caller := s.visitor()
	for _, name := range []string{"X-API-Key", "X-Emby-Token"} {
		caller.header.Set(name, secret)
	}
	caller.header.Set("Authorization", "Bearer "+secret)
	assert.Equal(t, http.StatusOK, caller.get("/api").StatusCode)
	for _, path := range []string{"/admin/", "/admin/add", "/admin/?api_key=" + secret} {
		assert.Equal(t, http.StatusSeeOther, caller.get(path).StatusCode, path)
	}
	v := s.visitor()
	v.login()
	cookie := v.cookies()[0]
	api := s.visitor()
	api.header.Set("Cookie", cookie.Name+"="+cookie.Value) // by hand: a browser keeps it to /admin/
	assert.Equal(t, http.StatusOK, api.get("/admin/").StatusCode)
	assert.Equal(t, http.StatusUnauthorized, api.get("/api").StatusCode)
	api.header.Del("Cookie")
	for _, name := range []string{"X-API-Key", "X-Emby-Token"} {
		api.header.Set(name, cookie.Value)
	}
	assert.Equal(t, http.StatusUnauthorized, api.get("/api?api_key="+cookie.Value).StatusCode, "as a key")
}

// What fails behind the dashboard is told in its log, and not to who asked.
func TestAStoreThatFailsIsAnswered503(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp 10.0.0.7:5432: no route to host")
	for _, test := range []struct{ method, verb, path string }{
		{"List", "GET", ""}, {"Get", "GET", "keys/%s"}, {"Audit", "GET", "keys/%s"}, {"Get", "GET", "keys/%s/revoke"}, {"Get", "GET", "keys/%s/rotate"},
		{"Audit", "GET", "keys/%s/rotate"}, {"Create", "POST", "add"}, {"Revoke", "POST", "keys/%s/revoke"}, {"Replace", "POST", "keys/%s/rotate"},
		{"Audit", "POST", "keys/%s/rotate"},
	} {
		t.Run(test.method+" for "+test.verb+" "+strings.ReplaceAll(test.path, "%s", "ID"), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, Options{})
			_, key := s.issue("Backup job")
			v := s.visitor()
			v.login()
			path := "/admin/" + strings.ReplaceAll(test.path, "%s", key.ID)
			form := url.Values{"token": {v.get("/admin/add").token()}, "name": {"x"}, "expiry": {"never"}, "grace": {"24h"}}.Encode()
			s.store.fails(test.method, cause)
			if test.verb == "GET" {
				form = ""
			}
			a := v.do(test.verb, path, form)
			assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
			assert.Equal(t, "1", a.Header.Get("Retry-After"))
			assert.NotContains(t, a.body, "10.0.0.7")
			assert.NotRegexp(t, regexpKey, a.body)
			assert.Contains(t, s.log.String(), "the key store failed")
			assert.Contains(t, s.log.String(), "10.0.0.7")
		})
	}
	t.Run("the sessions", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, Options{})
		v := s.visitor()
		v.login()
		token := s.visitor().get("/admin/login").token()
		s.handler.sessions.manager.Store = failingSessions{cause}
		a := v.get("/admin/")
		assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		login := url.Values{"token": {token}, "password": {testPassword}}
		assert.Equal(t, http.StatusServiceUnavailable, s.visitor().do("POST", "/admin/login", login.Encode()).StatusCode)
		assert.Contains(t, s.log.String(), "the session store failed")
		assert.NotContains(t, s.log.String(), "the key store failed")
	})
}

// failingSessions are a store of sessions that does not answer.
type failingSessions struct{ err error }

func (s failingSessions) Find(string) ([]byte, bool, error)      { return nil, false, s.err }
func (s failingSessions) Commit(string, []byte, time.Time) error { return s.err }
func (s failingSessions) Delete(string) error                    { return s.err }
