package admin

import (
	"net/http"
	"net/url"
	"strings"
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
	assert.Equal(t, http.SameSiteLaxMode, set[0].SameSite, "a link from elsewhere works")
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
			s.store.gate("List", entered, leave)
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
