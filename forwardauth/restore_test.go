package forwardauth_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
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

func TestAmbiguousURIsAreRefused(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		ask := func(uri string) string { return status(s.answer(with(d.ask("GET", uri), "X-API-Key: "+key))) }
		for name, uri := range map[string]string{
			"dot segments":                 "/library/../admin",
			"dot segments at the end":      "/library/..",
			"escaped dot segments":         "/library/%2e%2E/admin",
			"half escaped dot segments":    "/library/.%2e/admin",
			"a single dot":                 "/./admin",
			"a double slash":               "//admin",
			"a double slash further on":    "/library//admin",
			"an escaped slash":             "/library%2Fadmin",
			"an escaped slash, lower case": "/library/..%2fadmin",
			"a backslash":                  `/library/..\admin`,
			"an escaped backslash":         "/library/..%5Cadmin",
			"a path parameter":             "/admin;x=1/users",
			"an escaped path parameter":    "/library/..%3B/admin",
			"an escape of an escape":       "/%2561dmin",
			"an escaped question mark":     "/admin%3Fx",
			"an escaped fragment":          "/admin%23x",
			"a fragment":                   "/library#/admin",
			"a fragment after the query":   "/library?a#b",
			"a query that is not UTF-8":    "/library?a=\xff",
			"a NUL":                        "/admin%00",
			"a line break":                 "/admin%0d%0a",
			"a control character":          "/admin\x01",
			"a space":                      "/library admin",
			"a space in the query":         "/library?a b",
			"a bad escape":                 "/admin%2",
			"an overlong slash":            "/library%c0%afadmin",
			"text that is not UTF-8":       "/library\xff",
			"an absolute URI":              "http://example.com/library",
			"an authority":                 "example.com:80",
			"a relative path":              "library",
			"an asterisk":                  "*",
			"a long URI":                   "/" + strings.Repeat("a", 33<<10),
		} {
			if got := ask(uri); d.options.Convention == forwardauth.RequestLine && !strings.HasPrefix(uri, "/") {
				assert.Contains(t, []string{"400", "503"}, got, name) // the prefix alone does not tell them apart
			} else {
				assert.Equal(t, "400", got, name)
			}
			assert.Nil(t, s.seen, name)
		}
		for name, uri := range map[string]string{
			"a slash at the end":           "/library/",
			"escaped letters and spaces":   "/library/%4d%20y",
			"text that is not ASCII":       "/b%C3%BCcher",
			"the same without escapes":     "/bücher",
			"dots in a name":               "/a..b/.hidden/...",
			"a percent sign":               "/100%25",
			"anything else in the query":   "/library?a=../%2F//;%00&b=%zz",
			"an empty query":               "/library?",
			"the characters of a segment":  "/a:@!$&'()*+,=~-._",
			"an escaped comma and a colon": "/a%2Cb%3Ac",
		} {
			assert.Equal(t, "200", ask(uri), name)
		}
	})
}

func TestAmbiguousMethodsAreRefused(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		for _, method := range []string{"delete", "Get", "GET,DELETE", "GET ", "G\xffT", strings.Repeat("A", 33)} {
			r := with(d.ask("GET", "/library"), "X-API-Key: "+key)
			if d.options.Convention == forwardauth.RequestLine {
				r.Method = method
			} else {
				r = with(d.ask(method, "/library"), "X-API-Key: "+key)
			}
			assert.Equal(t, "400", status(s.answer(r)), method)
			assert.Nil(t, s.seen, method)
		}
	})
}

func TestAmbiguousHostsAreRefused(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		ask := func(host string) string {
			r := with(d.ask("GET", "/library"), "X-API-Key: "+key)
			if d.options.Convention == forwardauth.ForwardedURI {
				r.Header.Set("X-Forwarded-Host", host)
			} else {
				r.Host = host
			}
			return status(s.answer(r))
		}
		for _, host := range []string{"example.com.", "example.com.:80", "example.com, other", "a b", "a/b", "a@b", "b\xfccher", strings.Repeat("a", 301)} {
			assert.Equal(t, "400", ask(host), host)
			assert.Nil(t, s.seen, host)
		}
		for host, want := range map[string]string{"Admin.Example.COM:80": "admin.example.com:80", "[2001:DB8::1]:80": "[2001:db8::1]:80", "a_b": "a_b"} {
			assert.Equal(t, "200", ask(host), host)
			assert.Equal(t, want, s.seen.Host)
		}
	})
}

func TestTwoForwardedHostsAreRefused(t *testing.T) {
	t.Parallel()
	s := newService(t, dialects[1].options, nil)
	key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
	r := with(dialects[1].ask("GET", "/library"), "X-API-Key: "+key, "X-Forwarded-Host: example.com")
	assert.Equal(t, "400", status(s.answer(r)))
}

func TestFieldsThatContradictEachOtherAreRefused(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		for _, line := range []string{
			"X-Original-URI: /other", "X-Forwarded-Uri: /other", "X-Original-URL: /other", "X-Rewrite-URL: /other",
			"X-Original-URL: https://example.com/other", "X-Original-Method: HEAD", "X-Forwarded-Method: HEAD",
			"X-Original-URI: ", "X-Forwarded-Uri: /library?",
		} {
			assert.Equal(t, "400", status(s.answer(with(d.ask("GET", "/library"), "X-API-Key: "+key, line))), line)
			assert.Nil(t, s.seen, line)
		}
		for _, field := range []string{"X-Original-URI", "X-Original-Method", "X-Forwarded-Uri", "X-Forwarded-Method"} {
			value := "/library"
			if strings.HasSuffix(field, "Method") {
				value = "GET"
			}
			r := with(d.ask("GET", "/library"), "X-API-Key: "+key)
			r.Header.Set(field, value)
			assert.Equal(t, "200", status(s.answer(r)), "%s that agrees", field)
			r.Header[http.CanonicalHeaderKey(field)] = []string{value, value}
			assert.Equal(t, "400", status(s.answer(r)), "%s twice", field)
		}
		r := with(d.ask("GET", "/library"), "X-API-Key: "+key, "X-Original-URL: https://example.com/library")
		assert.Equal(t, "200", status(s.answer(r)), "an absolute X-Original-URL that agrees")
	})
}

func TestIncompleteSubrequestsAreRefused(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		complete := with(d.ask("GET", "/library"), "X-API-Key: "+key)
		require.Equal(t, "200", status(s.answer(complete)))
		for field := range complete.Header {
			if field == "X-Api-Key" {
				continue
			}
			r := complete.Clone(t.Context())
			r.Header.Del(field)
			assert.Equal(t, "503", status(s.answer(r)), "without %s", field)
			assert.Nil(t, s.seen, field)
			r.Header.Set(field, "")
			assert.Equal(t, "503", status(s.answer(r)), "with an empty %s", field)
		}
		assert.Equal(t, "503", status(s.answer(with(subrequest("GET", "/other"), "X-API-Key: "+key))), "of another convention")
	})
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
