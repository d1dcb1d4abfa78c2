package admin

import (
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

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

func TestTheHostSaysWhoIsAnAdministrator(t *testing.T) {
	t.Parallel()
	secretCause := errors.New("a cause that is the operator's")
	s := newSite(t, Options{Authorize: func(r *http.Request) (string, error) {
		switch r.Header.Get("X-User") {
		case "ann":
			return "ann@example.com", nil
		case "nobody":
			return "", nil
		case "outage":
			return "", fmt.Errorf("%w: %w", apikey.ErrUnavailable, secretCause)
		}
		return "", secretCause
	}})
	v := s.visitor()
	for user, status := range map[string]int{"ann": http.StatusOK, "nobody": http.StatusForbidden, "eve": http.StatusForbidden, "outage": http.StatusServiceUnavailable} {
		v.header.Set("X-User", user)
		a := v.get("/admin/")
		assert.Equal(t, status, a.StatusCode, user)
		assert.NotContains(t, a.body, "operator")
		assert.Equal(t, http.StatusNotFound, s.visitor().get("/admin/login").StatusCode, "there is no login")
	}
	assert.Contains(t, s.log.String(), "operator")
	v.header.Set("X-User", "ann")
	require.Equal(t, http.StatusOK, v.post("/admin/add", "name", "Backup job", "expiry", "never").StatusCode)
	entries, _, err := s.store.Audit(t.Context(), "", "", 10)
	require.NoError(t, err)
	assert.Equal(t, "ann@example.com", entries[0].Actor)
	stolen := v.get("/admin/add").token()
	v.header.Set("X-User", "eve")
	a := v.do("POST", "/admin/add", url.Values{"token": {stolen}, "name": {"x"}, "expiry": {"never"}}.Encode())
	assert.Equal(t, http.StatusForbidden, a.StatusCode)
}
