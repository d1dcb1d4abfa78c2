package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

func TestCrossSiteRequestIsForbidden(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	nonce := v.get("/admin/add").nonce()
	for name, header := range map[string]http.Header{
		"Sec-Fetch-Site: cross-site": {"Sec-Fetch-Site": {"cross-site"}},
		"Sec-Fetch-Site: same-site":  {"Sec-Fetch-Site": {"same-site"}},
		"another Origin":             {"Sec-Fetch-Site": nil, "Origin": {"https://evil.example"}},
		"Origin: null":               {"Sec-Fetch-Site": nil, "Origin": {"null"}},
	} {
		t.Run(name, func(t *testing.T) {
			v.header = header
			defer func() { v.header = http.Header{} }()
			for _, path := range pathsOf("POST", key.ID) {
				form := url.Values{"nonce": {nonce}, "name": {"forged"}, "expiry": {"never"}, "grace": {"0"}, "password": {testPassword}}
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

// pathsOf returns the paths of all routes with a method. id is the ID in a path.
func pathsOf(method, id string) (paths []string) {
	for _, rt := range slices.Concat(routes(), loginRoutes()) {
		if path, ok := strings.CutPrefix(rt.pattern, method+" "); ok {
			paths = append(paths, "/admin"+strings.NewReplacer("{id}", id, "{$}", "").Replace(path))
		}
	}
	return paths
}

func TestEveryPageNeedsALogin(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	public := []string{"/admin/login", "/admin/logout"}
	for _, path := range pathsOf("GET", key.ID) {
		if a := s.visitor().get(path); slices.Contains(public, path) {
			assert.Equal(t, http.StatusOK, a.StatusCode, path)
		} else {
			assert.Equal(t, http.StatusSeeOther, a.StatusCode, path)
			assert.Regexp(t, `^(\./|(\.\./)+)login(\?next=|$)`, a.Header.Get("Location"), path)
		}
	}
	for _, path := range pathsOf("POST", key.ID) {
		if slices.Contains(public, path) {
			continue
		}
		a := s.visitor().do("POST", path, "name=x&expiry=never&grace=0")
		assert.Equal(t, http.StatusForbidden, a.StatusCode, path)
		assert.Contains(t, a.body, "Session expired", path)
	}
	assert.Equal(t, []string{"Backup job"}, s.keys())
}

func TestTrustedOriginMaySendForms(t *testing.T) {
	t.Parallel()
	for origin, status := range map[string]int{"https://keys.example.com": http.StatusSeeOther, "https://evil.example": http.StatusForbidden} {
		s := newSite(t, Options{TrustedOrigins: []string{"https://keys.example.com"}})
		v := s.visitor()
		v.header["Sec-Fetch-Site"] = nil // as in an old browser
		v.header.Set("Origin", origin)
		assert.Equal(t, status, v.post("/admin/login", "password", testPassword).StatusCode, origin)
	}
}

func TestGetChangesNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	key := s.make(apikey.NewKey{Name: "Backup job", Owner: "Ops"})
	v := s.visitor()
	v.login()
	nonce := v.get("/admin/add").nonce()
	query := "?" + url.Values{
		"nonce": {nonce}, "name": {"forged"}, "expiry": {"never"}, "grace": {"0"}, "id": {key.ID}, "owner": {"Ops"}, "confirm": {"Ops"},
	}.Encode()
	for path, status := range map[string]int{
		"/admin/add": http.StatusOK, "/admin/keys/" + key.ID + "/revoke": http.StatusOK, "/admin/keys/" + key.ID + "/rotate": http.StatusOK,
		"/admin/keys/" + key.ID + "/suspend": http.StatusOK, "/admin/keys/" + key.ID + "/resume": http.StatusOK, "/admin/keys/" + key.ID + "/edit": http.StatusOK,
		"/admin/revoke": http.StatusOK, "/admin/revoke-owner": http.StatusOK, "/admin/keys.csv": http.StatusOK, "/admin/keys.json": http.StatusOK,
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
	assert.Equal(t, key, after)
}

func TestAuthorizeIdentifiesAdministrators(t *testing.T) {
	t.Parallel()
	secretCause := errors.New("a cause for the operator")
	s := newSite(t, Options{Authorize: func(r *http.Request) (manage.Access, error) {
		switch r.Header.Get("X-User") {
		case "ann":
			return named("ann@example.com")(r)
		case "anonymous":
			return named("")(r)
		case "outage":
			return manage.Access{}, fmt.Errorf("%w: %w", apikey.ErrUnavailable, secretCause)
		}
		return manage.Access{}, secretCause
	}})
	v := s.visitor()
	for user, status := range map[string]int{"ann": http.StatusOK, "anonymous": http.StatusForbidden, "eve": http.StatusForbidden, "outage": http.StatusServiceUnavailable} {
		v.header.Set("X-User", user)
		a := v.get("/admin/")
		assert.Equal(t, status, a.StatusCode, user)
		assert.NotContains(t, a.body, "operator")
		assert.Equal(t, http.StatusNotFound, s.visitor().get("/admin/login").StatusCode, "there is no login")
	}
	assert.Contains(t, s.log.String(), "operator")
	v.header.Set("X-User", "ann")
	require.Equal(t, http.StatusOK, v.post("/admin/add", "name", "Backup job", "expiry", "never").StatusCode)
	history, err := s.store.Audit(t.Context(), apikey.AuditOptions{Limit: 10})
	require.NoError(t, err)
	assert.Equal(t, "ann@example.com", history.Entries[0].Actor)
	stolen := v.get("/admin/add").nonce()
	v.header.Set("X-User", "eve")
	a := v.do("POST", "/admin/add", url.Values{"nonce": {stolen}, "name": {"x"}, "expiry": {"never"}}.Encode())
	assert.Equal(t, http.StatusForbidden, a.StatusCode)
}

func TestKeyOpensNoPageAndCookieNoRoute(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	made, _, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", Scopes: []string{"apikeys:manage"}})
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
	api.header.Set("Cookie", cookie.Name+"="+cookie.Value) // a browser would send it only to /admin/
	assert.Equal(t, http.StatusOK, api.get("/admin/").StatusCode)
	assert.Equal(t, http.StatusUnauthorized, api.get("/api").StatusCode)
	api.header.Del("Cookie")
	for _, name := range []string{"X-API-Key", "X-Emby-Token"} {
		api.header.Set(name, cookie.Value)
	}
	assert.Equal(t, http.StatusUnauthorized, api.get("/api?api_key="+cookie.Value).StatusCode, "as a key")
}

// The log names the cause of an outage. The page does not.
func TestOutageIs503(t *testing.T) {
	t.Parallel()
	cause := errors.New("dial tcp 10.0.0.7:5432: no route to host")
	for _, test := range []struct{ method, verb, path string }{
		{"List", "GET", ""}, {"List", "GET", "keys.csv"}, {"List", "GET", "keys.json"}, {"Count", "GET", ""}, {"Get", "GET", "revoke?id=%s"}, {"Revoke", "POST", "revoke"}, {"Count", "GET", "revoke-owner?owner=Ops"}, {"RevokeAll", "POST", "revoke-owner"}, {"Audit", "GET", "activity"}, {"Get", "GET", "keys/%s"}, {"Audit", "GET", "keys/%s"}, {"Get", "GET", "keys/%s/revoke"}, {"Get", "GET", "keys/%s/rotate"},
		{"Successors", "GET", ""}, {"Successors", "GET", "keys/%s"}, {"Successors", "GET", "keys/%s/rotate"}, {"Create", "POST", "add"}, {"Revoke", "POST", "keys/%s/revoke"}, {"Update", "POST", "keys/%s/suspend"}, {"Update", "POST", "keys/%s/edit"}, {"Update", "POST", "keys/%s/resume"}, {"Replace", "POST", "keys/%s/rotate"},
		{"Lookup", "POST", "identify"}, {"Lookup", "POST", ""},
	} {
		t.Run(test.method+" for "+test.verb+" "+strings.ReplaceAll(test.path, "%s", "ID"), func(t *testing.T) {
			t.Parallel()
			s := newSite(t, Options{})
			secret, key := s.issue("Backup job")
			v := s.visitor()
			v.login()
			path := "/admin/" + strings.ReplaceAll(test.path, "%s", key.ID)
			form := url.Values{"nonce": {v.get("/admin/add").nonce()}, "name": {"x"}, "expiry": {"90"}, "grace": {"24h"}, "id": {key.ID}, "owner": {"Ops"}, "confirm": {"Ops"}, "key": {secret}, "search": {secret}, "networks": {""}, "limits": {""}, "metadata": {""}, "was": v.editValues(key.ID)["was"]}.Encode()
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
	t.Run("the session store", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, Options{})
		v := s.visitor()
		v.login()
		s.handler.sessions.manager.Store = failingSessions{cause}
		a := v.get("/admin/")
		assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		assert.Contains(t, a.body, "could not check who you are. Nothing was changed.")
		login := url.Values{"password": {testPassword}}
		a = s.visitor().do("POST", "/admin/login", login.Encode())
		assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		assert.NotContains(t, a.body, "key store")
		assert.Contains(t, s.log.String(), "the session store failed")
		assert.NotContains(t, s.log.String(), "the key store failed")
	})
}

// failingSessions is a session store that does not answer.
type failingSessions struct{ err error }

func (s failingSessions) Find(string) ([]byte, bool, error) { return nil, false, s.err }

func (s failingSessions) Commit(string, []byte, time.Time) error { return s.err }

func (s failingSessions) Delete(string) error { return s.err }
