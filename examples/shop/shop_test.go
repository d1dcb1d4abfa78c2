package main

import (
	"net/http"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/manage"
)

func TestMain(m *testing.M) { program.Main(m) }

func TestKeysNeedLessThan20Lines(t *testing.T) {
	t.Parallel()
	source, err := os.ReadFile("keys.go")
	require.NoError(t, err)
	_, part, ok := strings.Cut(string(source), "\n// begin\n")
	require.True(t, ok)
	part, rest, ok := strings.Cut(part, "\n// end\n")
	require.True(t, ok)
	assert.Empty(t, rest)
	lines := 0
	for line := range strings.Lines(part) {
		if line = strings.TrimSpace(line); line != "" && !strings.HasPrefix(line, "//") {
			lines++
		}
	}
	assert.Less(t, lines, 20)
}

func TestPagesNeedALogin(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := s.visitor(t)
	for _, path := range []string{"/", "/settings/keys/", "/settings/keys/add", "/admin/"} {
		r := p.get(path)
		assert.Equal(t, http.StatusSeeOther, r.status, path)
		assert.Equal(t, "/login", r.header.Get("Location"), path)
	}
	assert.Equal(t, http.StatusOK, p.get("/login").status)
	for _, wrong := range []url.Values{{}, {"email": {alice.email}}, {"email": {alice.email}, "password": {bob.demoPassword}},
		{"email": {"nobody@example.com"}, "password": {alice.demoPassword}}} {
		r := p.post("/login", wrong)
		assert.Equal(t, http.StatusUnauthorized, r.status)
		assert.Contains(t, r.body, "Unknown email address or wrong password.")
	}
	assert.Equal(t, http.StatusSeeOther, p.get("/").status, "still logged out")

	p = s.logIn(t, alice)
	assert.Contains(t, p.get("/").body, "Teapot")
	assert.NotContains(t, p.get("/").body, "Black tea", "an order of bob")
	assert.Equal(t, http.StatusOK, p.get("/settings/keys/").status)
	r := p.get("/admin/")
	assert.Equal(t, http.StatusForbidden, r.status, "a customer opens the admin page")
	assert.Equal(t, http.StatusOK, s.logIn(t, carol).get("/admin/").status)

	p.post("/logout", nil)
	assert.Equal(t, http.StatusSeeOther, p.get("/settings/keys/").status)
}

func TestPagesOfOtherSitesChangeNothing(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := s.logIn(t, alice)
	for _, path := range []string{"/logout", "/settings/keys/add", "/admin/add"} {
		r, err := http.NewRequest(http.MethodPost, s.url+path, strings.NewReader("name=Evil"))
		require.NoError(t, err)
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
		r.Header.Set("Sec-Fetch-Site", "cross-site")
		assert.Equal(t, http.StatusForbidden, p.do(r).status, path)
	}
	assert.Equal(t, http.StatusOK, p.get("/").status, "still logged in")
	assert.Empty(t, s.keysOf(t, alice.id))
}

func TestSessionOpensNoAPIAndKeyOpensNoPage(t *testing.T) {
	t.Parallel()
	s := startService(t)
	p := s.logIn(t, alice)
	assert.Equal(t, http.StatusUnauthorized, p.get("/api/orders").status, "a session")
	assert.Equal(t, http.StatusUnauthorized, p.get("/api/keys/keys").status, "a session")
	secret, _ := s.issue(t, apikey.NewKey{Name: "Program", Owner: alice.id, Scopes: customersScopes})
	for _, path := range []string{"/", "/settings/keys/", "/admin/"} {
		r, err := http.NewRequest(http.MethodGet, s.url+path, nil)
		require.NoError(t, err)
		r.Header.Set("X-API-Key", secret)
		assert.Equal(t, http.StatusSeeOther, s.visitor(t).do(r).status, "a key at %s", path)
	}
}

// Each row is a caller of the same routes.
func TestEachCallerReachesOnlyItsRoutes(t *testing.T) {
	t.Parallel()
	s := startService(t)
	issue := func(owner string, scopes ...string) string {
		secret, _ := s.issue(t, apikey.NewKey{Name: "Program", Owner: owner, Scopes: scopes})
		return secret
	}
	login := s.visitor(t).post("/api/token", url.Values{"email": {alice.email}, "password": {alice.demoPassword}})
	require.Equal(t, http.StatusOK, login.status)
	token, _ := login.json(t)["access_token"].(string)
	forged, err := newTokens().sign(alice)
	require.NoError(t, err)
	for _, test := range []struct {
		name, bearer                  string
		read, write, refund, manageIt int
	}{
		{"a key with every scope of a customer", issue(alice.id, customersScopes...), 200, 201, 403, 200},
		{"a key that reads", issue(alice.id, "orders:read"), 200, 403, 403, 403},
		{"a key that writes", issue(alice.id, "orders:write"), 403, 201, 403, 403},
		{"a key that refunds", issue(alice.id, "orders:refund"), 403, 403, 204, 403},
		{"a key that manages keys", issue(alice.id, manage.ScopeManage), 403, 403, 403, 200},
		{"a key without an owner", issue("", append(customersScopes, "orders:refund")...), 403, 403, 403, 403},
		{"a token", token, 200, 201, 403, 403},
		{"a forged token", forged, 401, 401, 401, 401},
		{"nothing", "", 401, 401, 401, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			assert.Equal(t, test.read, s.call(t, test.bearer, "GET", "/api/orders", nil).status, "read")
			assert.Equal(t, test.write, s.call(t, test.bearer, "POST", "/api/orders", order{"Cup", 2}).status, "write")
			assert.Equal(t, test.refund, s.call(t, test.bearer, "DELETE", "/api/orders", nil).status, "refund")
			assert.Equal(t, test.manageIt, s.call(t, test.bearer, "GET", "/api/keys/keys", nil).status, "manage keys")
		})
	}
	bobs := issue(bob.id, "orders:read")
	assert.NotContains(t, s.call(t, bobs, "GET", "/api/orders", nil).body, "Cup", "an order of alice")
	assert.Equal(t, http.StatusBadRequest, s.call(t, token, "GET", "/api/orders", nil, "X-API-Key", bobs).status, "a token and a key")
	assert.Equal(t, http.StatusBadRequest, s.call(t, token, "POST", "/api/orders", order{"Cup", 0}).status, "a quantity of 0")
	assert.Equal(t, http.StatusUnauthorized, s.visitor(t).post("/api/token", url.Values{"email": {alice.email}, "password": {"wrong"}}).status)
}

func TestProgramPrintsTheLogins(t *testing.T) {
	t.Parallel()
	p := program.Start(t, "-addr", "localhost:0", "-db", filepath.Join(t.TempDir(), "shop.db"))
	base := strings.TrimSuffix(strings.Fields(p.Line("Open http"))[1], "/")
	assert.Contains(t, p.Line(bob.email), bob.demoPassword)
	response, err := http.Get(base + "/login")
	require.NoError(t, err)
	response.Body.Close()
	assert.Equal(t, http.StatusOK, response.StatusCode)
}

func TestCustomerHasOneLimit(t *testing.T) {
	t.Parallel()
	s := startService(t)
	login := s.visitor(t).post("/api/token", url.Values{"email": {alice.email}, "password": {alice.demoPassword}})
	token, _ := login.json(t)["access_token"].(string)
	one, key := s.issue(t, apikey.NewKey{Name: "One", Owner: alice.id, Scopes: customersScopes})
	other, _ := s.issue(t, apikey.NewKey{Name: "Other", Owner: alice.id, Scopes: customersScopes})
	bobs, _ := s.issue(t, apikey.NewKey{Name: "Other", Owner: bob.id, Scopes: customersScopes})
	require.NoError(t, s.limits.Take(t.Context(), &key, perMinute[0].Requests-2))
	assert.Equal(t, http.StatusOK, s.call(t, one, "GET", "/api/orders", nil).status, "a key")
	assert.Equal(t, http.StatusOK, s.call(t, token, "GET", "/api/orders", nil).status, "a token")
	// The limit may refill by a few requests while the test runs.
	refused := false
	for range perMinute[0].Requests - 1 {
		refused = refused || s.call(t, other, "GET", "/api/orders", nil).status == http.StatusTooManyRequests
	}
	assert.True(t, refused, "another key of the same customer")
	assert.Equal(t, http.StatusOK, s.call(t, bobs, "GET", "/api/orders", nil).status, "another customer")
	assert.Contains(t, s.logIn(t, alice).get("/settings/keys/keys/"+key.ID).body, "of 300", "the settings page shows what is left")
}
