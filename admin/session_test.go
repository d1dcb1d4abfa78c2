package admin

import (
	"crypto/rand"
	"net/http"
	"net/url"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestLoginReplacesTheSession(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	old := v.cookies()
	token := cookieNamed(t, old, securePrefix+ownCookie).Value
	v.loginAgain()
	assert.NotEqual(t, token, cookieNamed(t, v.cookies(), securePrefix+ownCookie).Value, "a login changes the token")
	thief := s.visitor()
	thief.set(old)
	assert.False(t, thief.loggedIn(), "the token before the second login")
	assert.True(t, v.loggedIn())
}

func TestCookieAttributes(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	set := s.visitor().login().Cookies()
	assert.Len(t, set, 2)
	for _, name := range []string{ownCookie, deviceCookie} {
		cookie := cookieNamed(t, set, securePrefix+name)
		assert.True(t, cookie.HttpOnly)
		assert.True(t, cookie.Secure)
		assert.Equal(t, http.SameSiteLaxMode, cookie.SameSite, "a link from another site works")
		assert.Empty(t, cookie.Path, "a browser uses the folder /admin")
		assert.Empty(t, cookie.Domain)
	}
}

// The proxy terminates TLS. The dashboard sees plain HTTP and the Origin of the browser.
func TestCookieIsSecureIfTheBrowserSeesTLS(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for origin, secure := range map[string]bool{"https://dashboard.example": true, "http://dashboard.example": false} {
		v := s.visitor()
		v.client.Transport = inProcess{s.mux, false}
		v.header.Set("Host", "dashboard.example")
		v.header.Set("Origin", origin)
		assert.Equal(t, secure, v.login().Cookies()[0].Secure, origin)
	}
}

// sessionCookie returns the name of the session cookie over TLS.
func (s *site) sessionCookie() string {
	if s.handler.sessions.own {
		return securePrefix + ownCookie
	}
	return s.handler.sessions.manager.Cookie.Name
}

func cookieNamed(t *testing.T, cookies []*http.Cookie, name string) *http.Cookie {
	t.Helper()
	for _, cookie := range cookies {
		if cookie.Name == name {
			return cookie
		}
	}
	require.Fail(t, "no cookie "+name)
	return nil
}

// An attacker on the network can set the cookie without the prefix __Secure-, but not with it.
func TestTLSTokenIsIgnoredInAPlainCookie(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v, victim := s.visitor(), s.visitor()
	v.login()
	token := cookieNamed(t, v.cookies(), securePrefix+ownCookie).Value
	victim.set([]*http.Cookie{{Name: ownCookie, Value: token}})
	assert.False(t, victim.loggedIn())
	victim.set([]*http.Cookie{{Name: securePrefix + ownCookie, Value: token, Secure: true}})
	assert.True(t, victim.loggedIn())
}

// sessionSetups makes sites that keep sessions in different ways. Browsers see the handler.
var sessionSetups = map[string]func(t *testing.T) (*site, http.Handler){
	"own sessions": func(t *testing.T) (*site, http.Handler) {
		s := newSite(t, Options{})
		return s, s.mux
	},
	"sessions of the application": func(t *testing.T) (*site, http.Handler) {
		s := newSite(t, Options{Sessions: hostSessions()})
		return s, s.mux
	},
	"sessions of the application in LoadAndSave": func(t *testing.T) (*site, http.Handler) {
		manager := hostSessions()
		s := newSite(t, Options{Sessions: manager})
		return s, manager.LoadAndSave(s.mux)
	},
}

func hostSessions() *scs.SessionManager {
	manager := scs.New()
	manager.IdleTimeout = manager.Lifetime / 2
	manager.Cookie.Secure = true
	return manager
}

// scs 2.9.0 with an idle timeout writes back a session that it loaded before a logout.
func TestLogoutHoldsAgainstASlowRequest(t *testing.T) {
	t.Parallel()
	for name, way := range sessionSetups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, handler := way(t)
			store := &slowSessions{Store: s.handler.sessions.manager.Store}
			s.handler.sessions.manager.Store = store
			v := s.visitor()
			v.at(handler, "/admin/")
			v.login()
			old := v.cookies()
			out := url.Values{"nonce": {v.get("/admin/add").nonce()}}

			entered, leave := make(chan struct{}), make(chan struct{})
			store.gate(2, entered, leave) // the first read gets the session, the second the record of the login
			slow := make(chan answer)
			go func() { slow <- v.get("/admin/") }()
			<-entered
			require.Equal(t, http.StatusSeeOther, v.do("POST", "/admin/logout", out.Encode()).StatusCode)
			close(leave)
			assert.Equal(t, http.StatusOK, (<-slow).StatusCode)

			_, found, err := store.Find(cookieNamed(t, old, s.sessionCookie()).Value)
			require.NoError(t, err)
			require.True(t, found, "the slow request has written the session back")
			assert.False(t, v.loggedIn())
			thief := s.visitor()
			thief.at(handler, "/admin/")
			thief.set(old)
			assert.False(t, thief.loggedIn(), "with the cookie from before the logout")
		})
	}
}

// slowSessions is a session store whose reads can be made to wait before they return.
type slowSessions struct {
	scs.Store
	mu    sync.Mutex
	reads int
	wait  func()
}

// gate makes the nth read from now on wait.
func (s *slowSessions) gate(nth int, entered, leave chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.reads, s.wait = nth, func() { close(entered); <-leave }
}

func (s *slowSessions) Find(token string) ([]byte, bool, error) {
	data, found, err := s.Store.Find(token)
	s.mu.Lock()
	s.reads--
	wait := s.wait
	mine := s.reads == 0 && wait != nil
	s.mu.Unlock()
	if mine {
		wait()
	}
	return data, found, err
}

// Two managers must not both write the session and set its cookie.
func TestSessionCookieIsSetOnce(t *testing.T) {
	t.Parallel()
	for name, way := range sessionSetups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, handler := way(t)
			v := s.visitor()
			v.at(handler, "/admin/")
			told := 0
			for _, cookie := range v.login().Cookies() {
				if cookie.Name == s.sessionCookie() {
					told++
				}
			}
			assert.Equal(t, 1, told)
			assert.LessOrEqual(t, len(v.get("/admin/").Cookies()), 1)
			assert.True(t, v.loggedIn())
			a := v.do("POST", "/admin/logout", url.Values{"nonce": {v.get("/admin/").nonce()}}.Encode())
			assert.Equal(t, http.StatusSeeOther, a.StatusCode)
			assert.False(t, v.loggedIn())
		})
	}
}

// An attacker has planted the cookie of the victim and knows its token.
func TestPlantedCookieIsNotLoggedIn(t *testing.T) {
	t.Parallel()
	for name, way := range sessionSetups {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, handler := way(t)
			manager := s.handler.sessions.manager
			ctx, err := manager.Load(t.Context(), "")
			require.NoError(t, err)
			manager.Put(ctx, "basket", "of the application")
			token, _, err := manager.Commit(ctx)
			require.NoError(t, err)
			for what, planted := range map[string]string{"a session": token, "no session": rand.Text()} {
				cookies := []*http.Cookie{{Name: s.sessionCookie(), Value: planted, Path: manager.Cookie.Path, Secure: true}}
				victim, thief := s.visitor(), s.visitor()
				for _, v := range []*visitor{victim, thief} {
					v.at(handler, "/admin/")
					v.set(cookies)
				}
				victim.login()
				assert.True(t, victim.loggedIn(), what)
				for _, cookie := range victim.cookies() {
					assert.NotEqual(t, planted, cookie.Value, what)
				}
				assert.False(t, thief.loggedIn(), what)
			}
		})
	}
}

func TestOwnSessionsExpire(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	t.Context().Done() // makes its channel outside of the first bubble
	newVisitor := func() *visitor {
		v := s.visitor()
		v.at(s.mux, "/admin/")
		v.login()
		return v
	}
	t.Run("after an hour without a request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := newVisitor()
			for range 3 { // each request restarts the hour
				time.Sleep(ownIdleTimeout - time.Second)
				assert.True(t, v.loggedIn())
			}
			time.Sleep(ownIdleTimeout)
			assert.False(t, v.loggedIn())
		})
	})
	t.Run("after twelve hours", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := newVisitor()
			for began := time.Now(); time.Since(began) < ownLifetime-30*time.Minute; time.Sleep(30 * time.Minute) {
				assert.True(t, v.loggedIn())
			}
			time.Sleep(30 * time.Minute)
			assert.False(t, v.loggedIn())
		})
	})
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
	s.handler.sessions = newSessions(manager, hash.Reveal()) // as after a restart with another hash
	assert.False(t, v.loggedIn())
}

// Otherwise clients without a login could fill the store.
func TestLogoutWithoutALoginWritesNothing(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	recorded := &recordedSessions{Store: manager.Store}
	manager.Store = recorded
	s := newSite(t, Options{Sessions: manager})
	a := s.visitor().do("POST", "/admin/logout", "x=y")
	assert.Equal(t, http.StatusSeeOther, a.StatusCode)
	assert.Empty(t, a.Cookies())
	assert.Empty(t, recorded.written())
}
