package forwardauth_test

import (
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
)

func TestRestoreRefusesOptions(t *testing.T) {
	t.Parallel()
	next := http.NotFoundHandler()
	nginx, line := forwardauth.OriginalURI, forwardauth.RequestLine
	network := func(list ...string) (networks []netip.Prefix) {
		for _, s := range list {
			networks = append(networks, netip.MustParsePrefix(s))
		}
		return networks
	}
	for name, test := range map[string]struct {
		field   string
		next    http.Handler
		options forwardauth.Options
	}{
		"no handler":                      {"next", nil, forwardauth.Options{Convention: nginx, Trusted: trusted}},
		"a nil function":                  {"next", http.HandlerFunc(nil), forwardauth.Options{Convention: nginx, Trusted: trusted}},
		"no convention":                   {"Convention", next, forwardauth.Options{Trusted: trusted}},
		"an unknown convention":           {"Convention", next, forwardauth.Options{Convention: 4, Trusted: trusted}},
		"nothing trusted":                 {"Trusted", next, forwardauth.Options{Convention: nginx}},
		"an empty list":                   {"Trusted", next, forwardauth.Options{Convention: nginx, Trusted: network()}},
		"a zero Prefix":                   {"Trusted[1]", next, forwardauth.Options{Convention: nginx, Trusted: append(network("::1/128"), netip.Prefix{})}},
		"every IPv4 address":              {"Trusted[0]", next, forwardauth.Options{Convention: nginx, Trusted: network("0.0.0.0/0")}},
		"every IPv6 address":              {"Trusted[0]", next, forwardauth.Options{Convention: nginx, Trusted: network("::/0")}},
		"an address with a short length":  {"Trusted[0]", next, forwardauth.Options{Convention: nginx, Trusted: network("10.0.0.7/8")}},
		"a 4-in-6 network":                {"Trusted[0]", next, forwardauth.Options{Convention: nginx, Trusted: network("::ffff:10.0.0.7/128")}},
		"a prefix for nginx":              {"PathPrefix", next, forwardauth.Options{Convention: nginx, Trusted: trusted, PathPrefix: "/check"}},
		"a prefix without a slash":        {"PathPrefix", next, forwardauth.Options{Convention: line, Trusted: trusted, PathPrefix: "check"}},
		"a prefix with a slash at an end": {"PathPrefix", next, forwardauth.Options{Convention: line, Trusted: trusted, PathPrefix: "/check/"}},
		"a prefix with a query":           {"PathPrefix", next, forwardauth.Options{Convention: line, Trusted: trusted, PathPrefix: "/check?a"}},
	} {
		h, err := forwardauth.Restore(test.next, test.options)
		var invalid *apikey.InvalidError
		require.ErrorAs(t, err, &invalid, name)
		assert.Equal(t, test.field, invalid.Field, name)
		assert.Nil(t, h, name)
	}
}

func TestRestoreCopiesTrusted(t *testing.T) {
	t.Parallel()
	list := []netip.Prefix{trusted[0]}
	h, err := forwardauth.Restore(forwardauth.Allow(), forwardauth.Options{Convention: forwardauth.OriginalURI, Trusted: list})
	require.NoError(t, err)
	list[0] = netip.MustParsePrefix("192.0.2.1/32")
	w := httptest.NewRecorder()
	h.ServeHTTP(w, dialects[0].ask("GET", "/"))
	assert.Equal(t, http.StatusOK, w.Code)
}
