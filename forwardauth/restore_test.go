package forwardauth_test

import (
	"io"
	"net/http"
	"net/netip"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestKeyIsFoundWhereTheClientSentIt(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, issued := s.issue(t, apikey.NewKey{Name: "Backup job"})
		for name, r := range map[string]*http.Request{
			"in the header":         with(d.ask("GET", "/library?limit=5"), "X-API-Key: "+key),
			"by the Bearer scheme":  with(d.ask("GET", "/library?limit=5"), "Authorization: Bearer "+key),
			"in the query":          d.ask("GET", "/library?limit=5&api_key="+key),
			"escaped in the query":  d.ask("GET", "/library?Api%5FKey="+key+"&limit=5"),
			"in header and query":   with(d.ask("GET", "/library?limit=5&api_key="+key), "X-API-Key: "+key),
			"in the X-Emby-Token":   with(d.ask("GET", "/library?limit=5"), "X-Emby-Token: "+key),
			"in two different ones": with(d.ask("GET", "/library?limit=5"), "X-Emby-Token: "+key, "X-API-Key: "+key),
		} {
			res := s.answer(r)
			require.Equal(t, "200", status(res), name)
			assert.Equal(t, issued.ID, res.Header.Get("X-Apikey-Id"), name)
			assert.Equal(t, "/library?limit=5", s.seen.RequestURI, name)
			assert.Equal(t, "limit=5", s.seen.URL.RawQuery, name)
		}
	})
}

func TestRefusedKeys(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		other, _ := s.issue(t, apikey.NewKey{Name: "Other job"})
		for name, test := range map[string]struct {
			status string
			r      *http.Request
		}{
			"no key":                              {"401", d.ask("GET", "/library")},
			"a wrong key":                         {"401", with(d.ask("GET", "/library"), "X-API-Key: "+key+"x")},
			"a wrong key in the query":            {"401", d.ask("GET", "/library?api_key="+key+"x")},
			"two keys in the header":              {"400", with(d.ask("GET", "/library"), "X-API-Key: "+key, "X-API-Key: "+other)},
			"two keys in the query":               {"400", d.ask("GET", "/library?api_key="+key+"&api_key="+other)},
			"two keys, one in header, one in URI": {"400", with(d.ask("GET", "/library?api_key="+other), "X-API-Key: "+key)},
			"a key hidden by a semicolon":         {"400", with(d.ask("GET", "/library?a=1;api_key="+other), "X-API-Key: "+key)},
		} {
			assert.Equal(t, test.status, status(s.answer(test.r)), name)
			assert.Nil(t, s.seen, name)
		}
		s.failing.Store(true)
		assert.Equal(t, "503", status(s.answer(with(d.ask("GET", "/library"), "X-API-Key: "+key))), "an outage")
	})
}

func TestRulesSeeTheOriginalRequest(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		plain, _ := s.issue(t, apikey.NewKey{Name: "plain"})
		admin, _ := s.issue(t, apikey.NewKey{Name: "admin", Scopes: []string{"admin"}})
		deleter, _ := s.issue(t, apikey.NewKey{Name: "deleter", Scopes: []string{"delete"}})
		for _, test := range []struct {
			name, method, uri, key, status string
		}{
			{"a public path", "GET", "/library", plain, "200"},
			{"a path that needs a scope", "GET", "/admin/users", plain, "403"},
			{"a path that needs a scope, with it", "GET", "/admin/users", admin, "200"},
			{"an escaped letter", "GET", "/%61dmin/users", plain, "403"},
			{"a query behind the path", "GET", "/admin?x=/library", plain, "403"},
			{"a method that needs a scope", "DELETE", "/library", plain, "403"},
			{"a method that needs a scope, with it", "DELETE", "/library", deleter, "200"},
			{"another method", "POST", "/library", plain, "200"},
		} {
			r := with(d.ask(test.method, test.uri), "X-API-Key: "+test.key)
			assert.Equal(t, test.status, status(s.answer(r)), test.name)
			require.NotNil(t, s.seen, test.name)
			assert.Equal(t, test.method, s.seen.Method, test.name)
			assert.Equal(t, test.uri, s.seen.URL.RequestURI(), test.name)
			assert.Equal(t, "example.com", s.seen.Host, test.name)
			sent, err := io.ReadAll(s.seen.Body)
			require.NoError(t, err)
			assert.Empty(t, sent, test.name)
			assert.Zero(t, s.seen.ContentLength, test.name)
		}
	})
}

func TestAuthorizeSeesTheOriginalRequestWithoutKeysAndProxyFields(t *testing.T) {
	t.Parallel()
	for _, d := range dialects {
		t.Run(d.name, func(t *testing.T) {
			t.Parallel()
			var seen *http.Request
			s := newService(t, d.options, func(o *apikey.Options) {
				o.Authorize = func(r *http.Request, _ *apikey.Key) error { seen = r; return nil }
			})
			key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
			require.Equal(t, "200", status(s.answer(with(d.ask("PUT", "/a?b=c&api_key="+key), "Cookie: d=e"))))
			assert.Equal(t, "PUT", seen.Method)
			assert.Equal(t, "/a?b=c", seen.RequestURI)
			assert.Equal(t, "/a?b=c", seen.URL.String())
			assert.Equal(t, clientAddr+":0", seen.RemoteAddr)
			assert.Equal(t, "d=e", seen.Header.Get("Cookie"))
			for name := range seen.Header {
				assert.NotContains(t, []string{"X-Original-Uri", "X-Original-Method", "X-Forwarded-Uri", "X-Forwarded-Method"}, name)
			}
		})
	}
}

func TestOnlyTrustedPeersAreAnswered(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		for _, peer := range []string{"10.0.0.8:1", "127.0.0.1:1", "[::1]:1", "[fe80::1%eth0]:1", "@", "", "10.0.0.7"} {
			r := with(d.ask("GET", "/library"), "X-API-Key: "+key)
			r.RemoteAddr = peer
			res := s.answer(r)
			assert.Equal(t, "403", status(res), peer)
			assert.Nil(t, s.seen, peer)
			assert.Equal(t, "no-store", res.Header.Get("Cache-Control"))
			assert.JSONEq(t, `{"type":"about:blank","title":"Forbidden","status":403,"detail":"Only trusted proxies can ask this service."}`, body(t, res))
		}
		r := with(d.ask("GET", "/library"), "X-API-Key: "+key)
		r.RemoteAddr = "[::ffff:10.0.0.7]:1"
		assert.Equal(t, "200", status(s.answer(r)), "an IPv4 address of a socket for both families")
	})
}

func TestKeysWithNetworksAreBoundToTheAddressOfTheClient(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		office, _ := s.issue(t, apikey.NewKey{Name: "office", Networks: []netip.Prefix{netip.MustParsePrefix("203.0.113.0/24")}})
		inner, _ := s.issue(t, apikey.NewKey{Name: "inner", Networks: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/8")}})
		for _, test := range []struct{ name, key, forwardedFor, status, remoteAddr string }{
			{"from its network", office, "203.0.113.9", "200", "203.0.113.9:0"},
			{"from another network", office, "198.51.100.1", "403", ""},
			{"an address that the client wrote", office, "203.0.113.9, 198.51.100.1", "403", ""},
			{"behind two proxies", office, "203.0.113.9, 10.0.0.7", "200", "203.0.113.9:0"},
			{"only the proxy is named", inner, "10.0.0.7", "403", ""},
			{"text that is not an address", inner, "unknown", "403", ""},
			{"a neighbour of the proxy", inner, "10.0.0.8", "200", "10.0.0.8:0"},
		} {
			r := with(d.ask("GET", "/library"), "X-API-Key: "+test.key)
			r.Header.Set("X-Forwarded-For", test.forwardedFor)
			assert.Equal(t, test.status, status(s.answer(r)), test.name)
			if test.status == "200" {
				assert.Equal(t, test.remoteAddr, s.seen.RemoteAddr, test.name)
			}
		}
	})
}

func TestTheSubrequestOfTheProxyIsNotChanged(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		r := with(d.ask("POST", "/library?api_key="+key), "X-API-Key: "+key)
		before := r.Clone(t.Context())
		require.Equal(t, "200", status(s.answer(r)))
		assert.Equal(t, before.Header, r.Header)
		assert.Equal(t, before.URL, r.URL)
		assert.Equal(t, before.RequestURI+before.Method+before.RemoteAddr+before.Host, r.RequestURI+r.Method+r.RemoteAddr+r.Host)
	})
}
