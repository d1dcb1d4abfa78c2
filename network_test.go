package apikey_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func prefixes(networks ...string) (all []netip.Prefix) {
	for _, n := range networks {
		all = append(all, netip.MustParsePrefix(n))
	}
	return all
}

// from returns the status of a request with a key, and the outcome that Observe received.
func from(t *testing.T, o apikey.Options, networks []netip.Prefix, remote string, forwarded ...string) (int, string) {
	t.Helper()
	var outcome string
	o.Observe = func(_ context.Context, e apikey.Event) { outcome = e.Outcome() }
	s := newService(t, o)
	secret, _ := s.issue(t, apikey.NewKey{Name: "Restricted", Networks: networks})
	r := httptest.NewRequest("GET", "/", nil)
	r.RemoteAddr = remote
	r.Header.Set("X-API-Key", secret)
	r.Header["X-Forwarded-For"] = forwarded
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w.Code, outcome
}

func TestKeyWorksOnlyFromItsNetworks(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name     string
		networks []netip.Prefix
		remote   string
		want     bool
	}{
		{"a key without networks works from every address", nil, "198.51.100.1:1234", true},
		{"a key without networks works without an address", nil, "@", true},
		{"an address in a network", prefixes("192.0.2.0/24"), "192.0.2.255:1234", true},
		{"an address beside the network", prefixes("192.0.2.0/24"), "192.0.3.0:1234", false},
		{"an address in the second network", prefixes("192.0.2.0/24", "2001:db8::/32"), "[2001:db8::1]:1234", true},
		{"an IPv4 address that came over an IPv6 socket", prefixes("192.0.2.0/24"), "[::ffff:192.0.2.1]:1234", true},
		{"a network in 4-in-6 form", prefixes("::ffff:192.0.2.0/120"), "192.0.2.1:1234", true},
		{"every IPv4 address is not every address", prefixes("0.0.0.0/0"), "[2001:db8::1]:1234", false},
		{"every IPv6 address is not every address", prefixes("::/0"), "192.0.2.1:1234", false},
		{"every IPv6 address, and an IPv4 address over an IPv6 socket", prefixes("::/0"), "[::ffff:192.0.2.1]:1234", false},
		{"an address with a zone", prefixes("fe80::/10"), "[fe80::1%eth0]:1234", true},
		{"a Unix socket has no address", prefixes("0.0.0.0/0", "::/0"), "@", false},
		{"an empty RemoteAddr", prefixes("0.0.0.0/0", "::/0"), "", false},
		{"a RemoteAddr without a port", prefixes("192.0.2.0/24"), "192.0.2.1", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			code, outcome := from(t, apikey.Options{}, test.networks, test.remote, "192.0.2.1")
			if test.want {
				assert.Equal(t, 200, code)
				assert.Equal(t, "accepted", outcome)
			} else {
				assert.Equal(t, 403, code)
				assert.Equal(t, "network", outcome)
			}
		})
	}
}

func TestTrustProxiesFindsTheClient(t *testing.T) {
	t.Parallel()
	proxies := prefixes("10.0.0.0/8", "2001:db8:ffff::/48")
	for _, test := range []struct {
		name      string
		proxies   []netip.Prefix
		remote    string
		forwarded []string
		want      string // "": no address
	}{
		{"a client without a proxy", proxies, "192.0.2.1:1", nil, "192.0.2.1"},
		{"a client without a proxy is not believed", proxies, "192.0.2.1:1", []string{"198.51.100.1"}, "192.0.2.1"},
		{"a client behind a proxy", proxies, "10.0.0.1:1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"the client wrote an address further left", proxies, "10.0.0.1:1", []string{"198.51.100.1, 192.0.2.1"}, "192.0.2.1"},
		{"the client wrote a line of its own", proxies, "10.0.0.1:1", []string{"198.51.100.1", "192.0.2.1"}, "192.0.2.1"},
		{"the client wrote the address of a proxy", proxies, "10.0.0.1:1", []string{"10.0.0.9, 192.0.2.1"}, "192.0.2.1"},
		{"a chain of proxies", proxies, "10.0.0.1:1", []string{"192.0.2.1, 10.2.2.2,10.3.3.3"}, "192.0.2.1"},
		{"a chain of proxies in several lines", proxies, "10.0.0.1:1", []string{"192.0.2.1", "10.2.2.2", "10.3.3.3"}, "192.0.2.1"},
		{"a proxy of the other family", proxies, "[2001:db8:ffff::1]:1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"a proxy over an IPv6 socket", proxies, "[::ffff:10.0.0.1]:1", []string{"::ffff:192.0.2.1"}, "192.0.2.1"},
		{"addresses with ports", proxies, "10.0.0.1:1", []string{"192.0.2.1:8080, 10.2.2.2:80"}, "192.0.2.1"},
		{"an IPv6 address with a port", proxies, "10.0.0.1:1", []string{"[2001:db8::1]:8080"}, "2001:db8::1"},
		{"an IPv6 address in brackets", proxies, "10.0.0.1:1", []string{"[2001:db8::1]"}, "2001:db8::1"},
		{"a proxy without the field is the client", proxies, "10.0.0.1:1", nil, "10.0.0.1"},
		{"only proxies: the leftmost one is the client", proxies, "10.0.0.1:1", []string{"10.2.2.2"}, "10.2.2.2"},
		{"text that is not an address", proxies, "10.0.0.1:1", []string{"192.0.2.1, unknown"}, ""},
		{"an empty element", proxies, "10.0.0.1:1", []string{"192.0.2.1,"}, ""},
		{"an empty field", proxies, "10.0.0.1:1", []string{""}, ""},
		{"text further left than the client is ignored", proxies, "10.0.0.1:1", []string{"unknown, 192.0.2.1"}, "192.0.2.1"},
		{"an octet with a leading zero", proxies, "10.0.0.1:1", []string{"192.0.2.010"}, ""},
		{"no proxies: the field is not believed", nil, "10.0.0.1:1", []string{"192.0.2.1"}, "10.0.0.1"},
		{"a zero Prefix among the proxies", []netip.Prefix{{}, proxies[0]}, "192.0.2.1:1", nil, ""},
		{"a proxy that mixes IPv4 and IPv6", prefixes("::ffff:0.0.0.0/90"), "192.0.2.1:1", nil, ""},
		{"a proxy in 4-in-6 form", prefixes("::ffff:10.0.0.0/104"), "10.0.0.1:1", []string{"192.0.2.1"}, "192.0.2.1"},
		{"a Unix socket is not trusted", proxies, "@", []string{"192.0.2.1"}, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("GET", "/", nil)
			r.RemoteAddr = test.remote
			r.Header["X-Forwarded-For"] = test.forwarded
			addr, ok := apikey.TrustProxies(test.proxies...)(r)
			if test.want == "" {
				assert.False(t, ok, "an address is %v", addr)
				return
			}
			require.True(t, ok)
			assert.Equal(t, test.want, addr.String())
		})
	}
}

func TestNetworksRestrictTheAddressOfClientAddr(t *testing.T) {
	t.Parallel()
	o := apikey.Options{ClientAddr: apikey.TrustProxies(prefixes("10.0.0.0/8")...)}
	networks := prefixes("192.0.2.0/24")
	code, _ := from(t, o, networks, "10.0.0.1:1", "192.0.2.1")
	assert.Equal(t, 200, code)
	code, outcome := from(t, o, networks, "10.0.0.1:1", "192.0.2.1, unknown")
	assert.Equal(t, 403, code, "an address that cannot be parsed")
	assert.Equal(t, "network", outcome)
	code, _ = from(t, o, prefixes("0.0.0.0/0", "::/0"), "10.0.0.1:1", "unknown")
	assert.Equal(t, 403, code, "an address that cannot be parsed is in no network")
}

func TestVerifyRefusesKeysWithNetworks(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	secret, _ := s.issue(t, apikey.NewKey{Name: "Restricted", Networks: prefixes("0.0.0.0/0", "::/0")})
	_, err := s.auth.Verify(t.Context(), apikey.NewSecret(secret))
	assert.ErrorIs(t, err, apikey.ErrForbidden)
}

func TestNetworksAreCheckedBeforeAuthorizeAndBehindEveryHandler(t *testing.T) {
	t.Parallel()
	asked := 0
	o := apikey.Options{Authorize: func(*http.Request, *apikey.Key) error { asked++; return nil }}
	code, _ := from(t, o, prefixes("192.0.2.0/24"), "198.51.100.1:1")
	assert.Equal(t, 403, code)
	assert.Zero(t, asked)

	s := newService(t, apikey.Options{})
	secret, _ := s.issue(t, apikey.NewKey{Name: "Restricted", Networks: prefixes("192.0.2.0/24")})
	nested := s.auth.Conceal(s.auth.Optional(s.auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))))
	for remote, want := range map[string]int{"192.0.2.1:1": 200, "198.51.100.1:1": 403} {
		r := httptest.NewRequest("GET", "/?api_key="+secret, nil)
		r.RemoteAddr = remote
		w := httptest.NewRecorder()
		nested.ServeHTTP(w, r)
		assert.Equal(t, want, w.Code, remote)
	}
}

func FuzzTrustProxies(f *testing.F) {
	f.Add("10.0.0.1:1", "198.51.100.1", "192.0.2.1")
	f.Add("192.0.2.1:1", "a,b", "[::1]:80")
	trust := apikey.TrustProxies(prefixes("10.0.0.0/8", "fd00::/8")...)
	f.Fuzz(func(t *testing.T, remote, forged, last string) {
		ask := func(lines ...string) (netip.Addr, bool) {
			return trust(&http.Request{RemoteAddr: remote, Header: http.Header{"X-Forwarded-For": lines}})
		}
		addr, ok := ask(last)
		if !ok {
			return
		}
		if again, okAgain := ask(forged, last); addr != again || !okAgain {
			for _, p := range prefixes("10.0.0.0/8", "fd00::/8") {
				if p.Contains(addr) {
					return // every address is a proxy, so the line before names the client
				}
			}
			t.Errorf("the line %q changes the address behind %q from %v to %v", forged, last, addr, again)
		}
	})
}
