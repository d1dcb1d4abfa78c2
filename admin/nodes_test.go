package admin

import (
	"net/http"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// node returns a site with its own hash of a password and the sessions of all nodes.
func node(t *testing.T, manager *scs.SessionManager, password string) *site {
	t.Helper()
	return newSite(t, Options{PasswordHash: apikey.NewSecret(cheapHash(password)), Sessions: manager})
}

// on sends the requests of a visitor to another node, as a load balancer does.
func (v *visitor) on(s *site) *visitor {
	v.at(s.mux, "/admin/")
	return v
}

func TestSessionHoldsOnNodesWithDifferentHashes(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	one, two := node(t, manager, testPassword), node(t, manager, testPassword)
	v := one.visitor()
	v.on(one).login()
	require.True(t, v.loggedIn())
	assert.False(t, v.on(two).loggedIn(), "a node that has not checked the password")
	assert.Contains(t, two.log.String(), "have different hashes")
	assert.True(t, v.on(one).loggedIn(), "a request to the other node ends no session")

	v.on(two).login()
	for range 3 {
		assert.True(t, v.on(two).loggedIn())
		assert.True(t, v.on(one).loggedIn(), "a login on the other node ends no session")
	}
	v.on(two).do("POST", "/admin/logout", "")
	assert.False(t, v.on(one).loggedIn())
	assert.False(t, v.on(two).loggedIn())
}

func TestLogoutOnAnotherNodeEndsTheSession(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	one, two := node(t, manager, testPassword), node(t, manager, testPassword)
	v := one.visitor()
	v.on(one).login()
	require.True(t, v.on(one).loggedIn())
	require.Equal(t, http.StatusSeeOther, v.on(two).do("POST", "/admin/logout", "").StatusCode)
	assert.False(t, v.on(one).loggedIn())
}

func TestAnotherPasswordEndsASessionOnEachNode(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	one, two := node(t, manager, testPassword), node(t, manager, testPassword)
	v := one.visitor()
	v.on(one).login()
	v.on(two).login()
	changed := [...]*site{node(t, manager, "another password"), node(t, manager, "another password")}
	for _, s := range changed {
		assert.False(t, v.on(s).loggedIn())
		a := v.on(s).post("/admin/add", "name", "Backup job", "expiry", "never")
		assert.NotEqual(t, http.StatusOK, a.StatusCode)
		assert.Empty(t, s.keys())
	}
}

// A session is valid for a hash only if the password was checked against that hash.
func TestLoginOnOneNodeIsNotALoginOnAnother(t *testing.T) {
	t.Parallel()
	manager := hostSessions()
	one, two := node(t, manager, testPassword), node(t, manager, "another password")
	v := one.visitor()
	v.on(one).login()
	require.Equal(t, http.StatusUnauthorized, v.on(two).tryLogin(testPassword))
	assert.False(t, v.on(two).loggedIn())
	assert.True(t, v.on(one).loggedIn())
}
