package admin

import (
	"strings"
	"testing"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

func TestNewNeedsAWayToIdentifyAdministrators(t *testing.T) {
	t.Parallel()
	desk := newSite(t, Options{}).handler.desk
	for name, o := range map[string]Options{
		"neither":                       {},
		"both":                          {PasswordHash: testHash(), Authorize: ann},
		"a password in clear":           {PasswordHash: apikey.NewSecret(testPassword)},
		"sessions without login":        {Authorize: ann, Sessions: scs.New()},
		"a hash of one space":           {PasswordHash: apikey.NewSecret(" ")},
		"the hash of an empty password": {PasswordHash: apikey.NewSecret(cheapHash(""))},
	} {
		t.Run(name, func(t *testing.T) {
			_, err := New(desk, o)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.NotContains(t, err.Error(), testPassword)
		})
	}
	for _, desk := range []*manage.Desk{nil, {}} {
		_, err := New(desk, Options{PasswordHash: testHash()})
		require.ErrorIs(t, err, apikey.ErrInvalid)
	}
}

func TestInvalidOptionsAreRefused(t *testing.T) {
	t.Parallel()
	desk := newSite(t, Options{}).handler.desk
	for _, test := range []struct {
		name, field string
		o           Options
	}{
		{"an origin with a path", "TrustedOrigins", Options{TrustedOrigins: []string{"https://keys.example.com/admin"}}},
		{"an origin without a scheme", "TrustedOrigins", Options{TrustedOrigins: []string{"keys.example.com"}}},
		{"a long name", "Name", Options{Name: strings.Repeat("x", 101)}},
		{"a scope with a space", "Scopes", Options{Scopes: []string{"a b"}}},
		{"a manager without a store", "Sessions", Options{Sessions: &scs.SessionManager{}}},
		{"a home that runs a script", "Home", Options{Home: "javascript:alert(1)"}},
		{"a home on another host that looks like a path", "Home", Options{Home: "//evil.example"}},
		{"a home with backslashes", "Home", Options{Home: `/\\evil.example`}},
		{"a home without its slash", "Home", Options{Home: "home"}},
		{"a home without a host", "Home", Options{Home: "https:///"}},
		{"a home with a password", "Home", Options{Home: "https://user:kkk@example.com/"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			test.o.PasswordHash = testHash()
			_, err := New(desk, test.o)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.field)
			assert.NotContains(t, err.Error(), "kkk")
		})
	}
}

func TestAllowedHostsAreChecked(t *testing.T) {
	t.Parallel()
	desk := newSite(t, Options{}).handler.desk
	for _, host := range []string{
		"", "https://keys.example.com", "keys.example.com/", "*.example.com", "*", "user@keys.example.com", "keys.example.com:", "keys.example.com:0",
		"keys.example.com:65536", "keys.example.com:http", "keys.example.com:080", ":8096", "2001:db8::1", "[192.0.2.1]", "[2001:db8::1", "[fe80::1%25eth0]",
		"schlüssel.example", "a b", "keys.example.com\n", "[keys]:80",
	} {
		_, err := New(desk, Options{PasswordHash: testHash(), AllowedHosts: []string{"keys.example.com", host}})
		require.ErrorIs(t, err, apikey.ErrInvalid, host)
		assert.ErrorContains(t, err, "AllowedHosts", host)
	}
	for _, host := range []string{"localhost", "localhost:8096", "192.0.2.1", "[2001:db8::1]:443", "xn--schlssel-95a.example", "my_host"} {
		_, err := New(desk, Options{PasswordHash: testHash(), AllowedHosts: []string{host}})
		assert.NoError(t, err, host)
	}
}

func TestExampleReplacesTheWordKEY(t *testing.T) {
	t.Parallel()
	for command, want := range map[string]string{
		defaultExample:                        "curl -H 'X-API-Key: ak_x' https://your-service.example/",
		"curl -H 'X-API-KEY: KEY' https://x/": "curl -H 'X-API-KEY: ak_x' https://x/",
		"curl https://x/?api_key=KEY":         "curl https://x/?api_key=ak_x",
		"KEY":                                 "ak_x",
		"KEY KEY":                             "ak_x ak_x",
		"echo $API_KEY KEY KEY_FILE":          "echo $API_KEY ak_x KEY_FILE",
	} {
		assert.Equal(t, want, parseExample(command).with("ak_x"), command)
	}
	for _, none := range []string{"", "curl -H 'X-API-KEY: key'", "KEYS", "éKEY", "1KEY", "KEY-FILE"} {
		assert.Equal(t, none, parseExample(none).with("ak_x"))
		if none != "" {
			_, err := New(newSite(t, Options{}).handler.desk, Options{PasswordHash: testHash(), Example: none})
			require.ErrorIs(t, err, apikey.ErrInvalid, none)
			assert.ErrorContains(t, err, "Example")
		}
	}
}
