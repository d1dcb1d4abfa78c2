package admin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"golang.org/x/crypto/argon2"

	"github.com/latchkey-dev/apikey"
)

func TestItDoesNotStartWithoutAnAdministrator(t *testing.T) {
	t.Parallel()
	issuer := newSite(t, Options{}).issuer
	someone := func(*http.Request) (string, error) { return "someone", nil }
	for name, o := range map[string]Options{
		"neither":                 {},
		"both":                    {PasswordHash: testHash(), Authorize: someone},
		"a password in clear":     {PasswordHash: testPassword},
		"sessions without login":  {Authorize: someone, Sessions: scs.New()},
		"a blank hash":            {PasswordHash: " "},
		"the hash of no password": {PasswordHash: hashOfNothing()},
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

// hashOfNothing is what HashPassword does not make.
func hashOfNothing() string {
	salt := []byte("saltsalt")
	sum := argon2.IDKey(nil, salt, 5, 7168, 1, sumLen)
	return "$argon2id$v=19$m=7168,t=5,p=1$" + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(sum)
}

func TestOptionsThatAreRefused(t *testing.T) {
	t.Parallel()
	issuer := newSite(t, Options{}).issuer
	for _, test := range []struct {
		name, field string
		o           Options
	}{
		{"a key of forms that is short", "FormKey", Options{FormKey: apikey.NewSecret(strings.Repeat("k", minFormKey-1))}},
		{"an origin with a path", "TrustedOrigins", Options{TrustedOrigins: []string{"https://keys.example.com/admin"}}},
		{"an origin without a scheme", "TrustedOrigins", Options{TrustedOrigins: []string{"keys.example.com"}}},
		{"a name that is long", "Name", Options{Name: strings.Repeat("x", 101)}},
		{"a scope with a blank", "Scopes", Options{Scopes: []string{"a b"}}},
		{"a manager without a store", "Sessions", Options{Sessions: &scs.SessionManager{}}},
		{"a text with another verb", "Text.DaysAgo", Options{Text: &Text{DaysAgo: "%s"}}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.o.PasswordHash = testHash()
			_, err := New(issuer, test.o)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.field)
			assert.NotContains(t, err.Error(), "kkk")
		})
	}
}

func TestATrustedOriginMaySendForms(t *testing.T) {
	t.Parallel()
	for origin, status := range map[string]int{"https://keys.example.com": http.StatusSeeOther, "https://evil.example": http.StatusForbidden} {
		s := newSite(t, Options{TrustedOrigins: []string{"https://keys.example.com"}})
		v := s.visitor()
		v.header["Sec-Fetch-Site"] = nil // of a browser that has none
		v.header.Set("Origin", origin)
		assert.Equal(t, status, v.post("/admin/login", "password", testPassword).StatusCode, origin)
	}
}
