package admin

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestALoginBeginsANewSessionAndTheOldOneIsDead(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	old := v.cookies()
	require.Len(t, old, 1)
	assert.False(t, strings.Contains(old[0].Value, "="))
	v.loginAgain()
	require.Len(t, v.cookies(), 1)
	assert.NotEqual(t, old[0].Value, v.cookies()[0].Value, "a login changes the token")
	thief := s.visitor()
	u, _ := url.Parse(s.server.URL + "/admin/")
	thief.client.Jar.SetCookies(u, old)
	assert.False(t, thief.loggedIn(), "the token from before the second login")
	assert.True(t, v.loggedIn())
}

// loginAgain logs in where somebody is logged in, by a form of that session.
func (v *visitor) loginAgain() {
	v.s.t.Helper()
	form := url.Values{"token": {v.get("/admin/add").token()}, "password": {testPassword}}
	require.Equal(v.s.t, http.StatusSeeOther, v.do("POST", "/admin/login", form.Encode()).StatusCode)
}

func TestTheCookieIsTheDashboardsAlone(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	set := s.visitor().login().Cookies()
	require.Len(t, set, 1)
	assert.True(t, set[0].HttpOnly)
	assert.True(t, set[0].Secure)
	assert.Equal(t, http.SameSiteStrictMode, set[0].SameSite)
	assert.Empty(t, set[0].Path, "a browser takes /admin")
	assert.Empty(t, set[0].Domain)
}

// scs 2.9.0 with an idle timeout writes back a session that was loaded before a logout.
func TestALogoutHoldsAgainstARequestThatBeganBefore(t *testing.T) {
	t.Parallel()
	for name, manager := range map[string]*scs.SessionManager{"its own sessions": nil, "the host's sessions": hostSessions()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, Options{Sessions: manager})
			v := s.visitor()
			v.login()
			entered, leave := make(chan struct{}), make(chan struct{})
			s.store.gate(entered, leave)
			slow := make(chan answer)
			go func() { slow <- v.get("/admin/") }()
			<-entered
			out := url.Values{"token": {v.get("/admin/add").token()}}
			require.Equal(t, http.StatusSeeOther, v.do("POST", "/admin/logout", out.Encode()).StatusCode)
			close(leave)
			(<-slow).Body.Close()
			assert.False(t, v.loggedIn())
		})
	}
}

func hostSessions() *scs.SessionManager {
	manager := scs.New()
	manager.IdleTimeout = manager.Lifetime / 2
	manager.Cookie.Secure = true
	return manager
}

// gate makes the next List wait.
func (s *auditedStore) gate(entered, leave chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.waits = func() { close(entered); <-leave }
}

func (s *auditedStore) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	s.mu.Lock()
	wait := s.waits
	s.waits = nil
	s.mu.Unlock()
	if wait != nil {
		wait()
	}
	return s.Store.List(ctx, o)
}

func TestAnotherPasswordEndsAllSessions(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	s := newSite(t, Options{Sessions: manager})
	v := s.visitor()
	v.login()
	require.True(t, v.loggedIn())
	hash, err := HashPassword(apikey.NewSecret("another password"))
	require.NoError(t, err)
	s.handler.sessions = newSessions(manager, hash) // as after a restart with that hash
	assert.False(t, v.loggedIn())
}

func TestAWrongPasswordTellsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	bodies := map[string]bool{}
	for _, password := range []string{"wrong", testPassword + "x", testPassword[:8], strings.ToUpper(testPassword)} {
		v := s.visitor()
		a := v.post("/admin/login", "password", password)
		assert.Equal(t, http.StatusUnauthorized, a.StatusCode)
		assert.False(t, v.loggedIn())
		bodies[tokenInPage.ReplaceAllString(a.body, "")] = true
	}
	assert.Len(t, bodies, 1)
	assert.NotContains(t, s.log.String(), testPassword[:8])
}

// A hundred logins at once compute no more than two hashes at a time, and most of them none. The
// API goes on beside them.
func TestAHundredLoginsAtOnceAreBounded(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{ClientAddr: func(r *http.Request) string { return r.Header.Get("X-Client") }})
	var now, most, hashes atomic.Int32
	gate := make(chan struct{})
	s.handler.passwords.matches = func(string) bool {
		hashes.Add(1)
		for n := now.Add(1); ; {
			if before := most.Load(); n <= before || most.CompareAndSwap(before, n) {
				break
			}
		}
		<-gate
		now.Add(-1)
		return false
	}
	var all sync.WaitGroup
	var statuses [600]atomic.Int32
	var answered atomic.Int32
	waiting := cap(s.handler.passwords.queue)
	full := make(chan struct{})
	for i := range 100 {
		v := s.visitor()
		v.header.Set("X-Client", fmt.Sprintf("192.0.2.%d", i)) // each its own, or its rate would be what limits it
		form := url.Values{"token": {v.get("/admin/login").token()}, "password": {"guess"}}
		all.Go(func() {
			a := v.do("POST", "/admin/login", form.Encode())
			statuses[a.StatusCode].Add(1)
			if a.StatusCode == http.StatusTooManyRequests {
				assert.NotEmpty(t, a.Header.Get("Retry-After"))
			}
			if answered.Add(1) == int32(100-waiting) {
				close(full)
			}
		})
	}
	<-full // all but those that wait have been turned away, though no hash was finished
	secret, _ := s.issue("Backup job")
	api := s.visitor()
	api.header.Set("X-API-Key", secret)
	assert.Equal(t, http.StatusOK, api.get("/api").StatusCode)
	close(gate)
	all.Wait()
	assert.LessOrEqual(t, most.Load(), int32(2))
	assert.Equal(t, int32(waiting), hashes.Load())
	assert.Equal(t, int32(100-waiting), statuses[http.StatusTooManyRequests].Load())
	assert.Equal(t, int32(waiting), statuses[http.StatusUnauthorized].Load())
}

func TestLoginsOfOneAddressAreLimited(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.handler.passwords.matches = func(string) bool { return false }
	v := s.visitor()
	for range maxAttempts {
		assert.Equal(t, http.StatusUnauthorized, v.post("/admin/login", "password", "guess").StatusCode)
	}
	a := v.post("/admin/login", "password", "guess")
	assert.Equal(t, http.StatusTooManyRequests, a.StatusCode)
	assert.NotEmpty(t, a.Header.Get("Retry-After"))
}

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

func TestItDoesNotStartWithoutAnAdministrator(t *testing.T) {
	t.Parallel()
	issuer := newSite(t, Options{}).issuer
	someone := func(*http.Request) (string, error) { return "someone", nil }
	for name, o := range map[string]Options{
		"neither":                {},
		"both":                   {PasswordHash: testHash(), Authorize: someone},
		"a password in clear":    {PasswordHash: testPassword},
		"sessions without login": {Authorize: someone, Sessions: scs.New()},
		"a blank hash":           {PasswordHash: " "},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(issuer, o)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.NotContains(t, err.Error(), testPassword)
		})
	}
	_, err := New(nil, Options{PasswordHash: testHash()})
	require.ErrorIs(t, err, apikey.ErrInvalid)
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

func TestANewKeyIsInOneResponseOnly(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	sessions := &recordedSessions{Store: manager.Store}
	manager.Store = sessions
	s := newSite(t, Options{Sessions: manager})
	v := s.visitor()
	v.login()
	a := v.post("/admin/add", "name", "Backup job", "expiry", "90")
	require.Equal(t, http.StatusOK, a.StatusCode)
	secret := regexpKey.FindString(a.body)
	require.NotEmpty(t, secret)
	assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	header, err := json.Marshal(a.Header)
	require.NoError(t, err)
	assert.NotContains(t, string(header), secret)
	page, err := s.store.List(t.Context(), apikey.ListOptions{})
	require.NoError(t, err)
	for _, path := range []string{"/admin/", "/admin/add", "/admin/keys/" + page.Keys[0].ID} {
		assert.NotContains(t, v.get(path).body, secret, path)
	}
	assert.NotContains(t, s.log.String(), secret)
	assert.NotContains(t, sessions.written(), secret)
	for _, cookie := range v.cookies() {
		assert.NotContains(t, cookie.Value, secret)
	}
}

func TestADoubleClickMakesOneKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	form := url.Values{"token": {v.get("/admin/add").token()}, "name": {"Backup job"}, "expiry": {"never"}}.Encode()
	answers := make([]answer, 5)
	var all sync.WaitGroup
	for i := range answers {
		all.Go(func() { answers[i] = v.do("POST", "/admin/add", form) })
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
		assert.Contains(t, a.body, "sent already")
	}
	assert.Equal(t, 1, shown)
	assert.Equal(t, []string{"Backup job"}, s.keys())
}

func TestNextLeadsToPagesOfTheDashboardAlone(t *testing.T) {
	t.Parallel()
	for next, want := range map[string]string{
		"": "", "add": "add", "keys/abc": "keys/abc", "keys/abc/revoke": "keys/abc/revoke", "?search=a+b&sort=name": "?search=a+b&sort=name",
		"//evil.example": "", `/\evil.example`: "", `\\evil.example`: "", "%2f%2fevil.example": "", "/%2fevil.example": "", "https://evil.example": "",
		"javascript:alert(1)": "", "data:text/html,x": "", "keys/../../x": "", "keys/abc/../../..": "", "logout": "", "login": "", "/": "", "/add": "",
		"keys/abc\r\nX: y": "", "keys//evil": "", "user@evil.example": "", "add#x": "add",
	} {
		assert.Equal(t, want, nextPage(next), next)
	}
	s := newSite(t, Options{})
	for next, want := range map[string]string{"//evil.example": "./", "keys/abc/rotate": "./keys/abc/rotate"} {
		v := s.visitor()
		a := v.post("/admin/login", "password", testPassword, "next", next)
		assert.Equal(t, want, a.Header.Get("Location"), next)
	}
	a := s.visitor().get("/admin/keys/abc/revoke?x=1")
	assert.Equal(t, "../../login?next=keys%2Fabc%2Frevoke%3Fx%3D1", a.Header.Get("Location"))
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

func TestLinksAreRightUnderAnyPrefixAndHost(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	v.header.Set("Cookie", v.cookies()[0].String()) // the jar goes by the Host
	v.header.Set("Host", "evil.example")
	v.header.Set("X-Forwarded-Host", "evil.example")
	for path, link := range map[string]string{
		"/admin/": `href="./add"`, "/admin/add": `action="./add"`, "/admin/keys/" + key.ID: `href="../keys/` + key.ID + `/rotate"`,
		"/admin/keys/" + key.ID + "/revoke": `action="../../keys/` + key.ID + `/revoke"`,
	} {
		a := v.get(path)
		assert.Contains(t, a.body, link, path)
		assert.NotContains(t, a.body, "evil.example", path)
		assert.NotRegexp(t, `(href|src|action)="(/|https?:)`, a.body, path)
	}
	a := v.post("/admin/keys/"+key.ID+"/revoke", "x", "")
	assert.Equal(t, "../"+key.ID, a.Header.Get("Location"))
	assert.Equal(t, http.StatusForbidden, func() int {
		v.header.Set("Sec-Fetch-Site", "cross-site")
		return v.do("POST", "/admin/add", "x=y").StatusCode
	}())
}
