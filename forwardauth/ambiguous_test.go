package forwardauth_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
)

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

func TestRequestsWithoutAHostArePermitted(t *testing.T) {
	inEachDialect(t, func(t *testing.T, d dialect, s *service) {
		key, _ := s.issue(t, apikey.NewKey{Name: "Backup job"})
		r := with(d.ask("GET", "/library"), "X-API-Key: "+key)
		if r.Host = ""; d.options.Convention == forwardauth.ForwardedURI {
			r.Header.Set("X-Forwarded-Host", "") // as Caddy and HAProxy do for an HTTP/1.0 request
		}
		assert.Equal(t, "200", status(s.answer(r)))
		assert.Empty(t, s.seen.Host)
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
			if field == "X-Forwarded-Host" {
				continue // empty for a request without a host
			}
			r.Header.Set(field, "")
			assert.Equal(t, "503", status(s.answer(r)), "with an empty %s", field)
		}
		assert.Equal(t, "503", status(s.answer(with(subrequest("GET", "/other"), "X-API-Key: "+key))), "of another convention")
	})
}
