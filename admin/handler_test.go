package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

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
	a := s.visitor().do("POST", "/admin/add", "x=y")
	assert.Equal(t, http.StatusForbidden, a.StatusCode, "who is not logged in")
	assert.Contains(t, a.Header.Get("Content-Security-Policy"), "frame-ancestors 'none'")
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
	assert.Equal(t, http.StatusUnauthorized, v.get("/api").StatusCode)
}
