package admin

import (
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

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
	thief.set(old)
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
	assert.Equal(t, http.SameSiteLaxMode, set[0].SameSite, "a link from elsewhere works")
	assert.Empty(t, set[0].Path, "a browser takes /admin")
	assert.Empty(t, set[0].Domain)
}

// ways are those in which sessions are kept. Each returns a site, and the handler under which a
// browser sees it.
var ways = map[string]func(t *testing.T) (*site, http.Handler){
	"its own sessions": func(t *testing.T) (*site, http.Handler) {
		s := newSite(t, Options{})
		return s, s.mux
	},
	"the host's sessions": func(t *testing.T) (*site, http.Handler) {
		s := newSite(t, Options{Sessions: hostSessions()})
		return s, s.mux
	},
	"the host's sessions, and its manager around": func(t *testing.T) (*site, http.Handler) {
		manager := hostSessions()
		s := newSite(t, Options{Sessions: manager})
		return s, manager.LoadAndSave(s.mux)
	},
}

// scs 2.9.0 with an idle timeout writes back a session that was loaded before a logout.
func TestALogoutHoldsAgainstARequestThatBeganBefore(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, handler := way(t)
			store := &slowSessions{Store: s.handler.sessions.manager.Store}
			s.handler.sessions.manager.Store = store
			v := s.visitor()
			v.at(handler, "/admin/")
			v.login()
			old := v.cookies()
			out := url.Values{"token": {v.get("/admin/add").token()}}

			entered, leave := make(chan struct{}), make(chan struct{})
			store.gate(2, entered, leave) // it has read the session, then the record of the login
			slow := make(chan answer)
			go func() { slow <- v.get("/admin/") }()
			<-entered
			require.Equal(t, http.StatusSeeOther, v.do("POST", "/admin/logout", out.Encode()).StatusCode)
			close(leave)
			assert.Equal(t, http.StatusOK, (<-slow).StatusCode)

			_, found, err := store.Find(old[0].Value)
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

// slowSessions are a store of sessions in which a read can be made to wait after it has read.
type slowSessions struct {
	scs.Store
	mu    sync.Mutex
	reads int
	wait  func()
}

// gate lets the nth read from now on wait.
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

// Otherwise two of them would write the session, and tell of it.
func TestOneManagerTellsOfASession(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, handler := way(t)
			v := s.visitor()
			v.at(handler, "/admin/")
			assert.Len(t, v.login().Cookies(), 1)
			assert.LessOrEqual(t, len(v.get("/admin/").Cookies()), 1)
			assert.True(t, v.loggedIn())
			a := v.do("POST", "/admin/logout", url.Values{"token": {v.get("/admin/").token()}}.Encode())
			assert.Equal(t, http.StatusSeeOther, a.StatusCode)
			assert.False(t, v.loggedIn())
		})
	}
}

// Somebody else knows the cookie that a browser comes with, since it is from there.
func TestACookieThatWasPlantedIsWorthNothingAfterALogin(t *testing.T) {
	t.Parallel()
	for name, way := range ways {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, handler := way(t)
			manager := s.handler.sessions.manager
			ctx, err := manager.Load(t.Context(), "")
			require.NoError(t, err)
			manager.Put(ctx, "basket", "of the host")
			token, _, err := manager.Commit(ctx)
			require.NoError(t, err)
			for what, planted := range map[string]string{"of a session": token, "of none": randomToken()} {
				cookies := []*http.Cookie{{Name: manager.Cookie.Name, Value: planted, Path: manager.Cookie.Path}}
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

func TestItsOwnSessionsEnd(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	t.Context().Done() // makes its channel here, or it would be of the first bubble
	newVisitor := func() *visitor {
		v := s.visitor()
		v.at(s.mux, "/admin/")
		v.login()
		return v
	}
	t.Run("after an hour without a request", func(t *testing.T) {
		synctest.Test(t, func(t *testing.T) {
			v := newVisitor()
			for range 3 { // each request begins the hour anew
				time.Sleep(ownIdleTimeout - time.Second)
				assert.True(t, v.loggedIn())
			}
			time.Sleep(ownIdleTimeout)
			assert.False(t, v.loggedIn())
		})
	})
	t.Run("after twelve hours in any case", func(t *testing.T) {
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

func hostSessions() *scs.SessionManager {
	manager := scs.New()
	manager.IdleTimeout = manager.Lifetime / 2
	manager.Cookie.Secure = true
	return manager
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

// Who is not logged in could fill the store otherwise.
func TestALogoutOfNobodyWritesNothing(t *testing.T) {
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
