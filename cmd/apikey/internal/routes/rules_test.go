package routes

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const testRules = `
rules:
  - match: /
    any_key: true
  - match: GET /health
    public: true
  - match: /docs/
    public: true
  - match: GET /library/{id...}
    scopes: [library:read]
  - match: DELETE /library/{id...}
    scopes: [library:read, library:write]
  - match: /admin/
    scopes: [staff]
  - match: GET /library
    any_key: true
  - match: /pages/{page}
    public: true
  - match: /pages/admin/
    scopes: [staff]
  - match: /v1/books:search
    scopes: [search]
  - match: /@team
    public: true
  - match: /café/{id}
    public: true
  - match: /books
    scopes: [books]
  - match: staff.example.com/
    scopes: [staff]
`

// ask returns what a request needs: "refused", "public", "key", or the scopes.
func ask(t testing.TB, table *Table, method, host, uri string, fields ...string) string {
	t.Helper()
	u, err := url.ParseRequestURI(uri)
	require.NoError(t, err)
	r := &http.Request{Method: method, Host: host, URL: u, RequestURI: uri, Header: http.Header{}}
	for _, field := range fields {
		name, value, _ := strings.Cut(field, ": ")
		r.Header.Add(name, value)
	}
	switch d, ok := table.Demand(r); {
	case !ok:
		return "refused"
	case d.Public:
		return "public"
	case len(d.Scopes) == 0:
		return "key"
	default:
		slices.Sort(d.Scopes)
		return strings.Join(d.Scopes, " ")
	}
}

func TestDemands(t *testing.T) {
	t.Parallel()
	table, err := Parse([]byte(testRules))
	require.NoError(t, err)
	for _, test := range []struct{ rule, method, host, uri, want string }{
		{"a public route needs no key", "GET", "a.example", "/health", "public"},
		{"HEAD needs the same as GET", "HEAD", "a.example", "/health", "public"},
		{"another method falls to the rule for all methods", "POST", "a.example", "/health", "key"},
		{"a route needs its scope", "GET", "a.example", "/library/1", "library:read"},
		{"the query does not count", "GET", "a.example", "/library/1?x=/health", "library:read"},
		{"a method needs its scopes", "DELETE", "a.example", "/library/1", "library:read library:write"},
		{"a subtree needs its scope", "GET", "a.example", "/admin/users", "staff"},
		{"a redirect of the mux is a refusal", "GET", "a.example", "/admin", "refused"},
		{"case of the path does not count", "GET", "a.example", "/ADMIN/users", "staff"},
		{"case of the path does not make it public", "GET", "a.example", "/HEALTH", "key"},
		{"a slash at the end does not lose a rule", "DELETE", "a.example", "/v1/books:search/", "search"},
		{"a slash at the end does not make it public", "GET", "a.example", "/health/", "key"},
		{"a named path differs from the subtree", "GET", "a.example", "/library", "key"},
		{"a wildcard does not open a subtree", "GET", "a.example", "/pages/admin", "staff"},
		{"a wildcard opens the others", "GET", "a.example", "/pages/team", "public"},
		{"another case outside of ASCII does not lose a rule", "DELETE", "a.example", "/v1/book%C5%BF:%C5%BFearch", "search"},
		{"a Kelvin sign is a k", "GET", "a.example", "/boo%E2%84%AAs", "books"},
		{"a dotless i is an i", "GET", "a.example", "/adm%C4%B1n/users", "staff"},
		{"an escape of a letter does not lose a rule", "GET", "a.example", "/%61dmin/users", "staff"},
		{"an escape of a letter does not make it public", "GET", "a.example", "/%68ealth", "key"},
		{"an escape of a letter in the other case", "GET", "a.example", "/%41DMIN/users", "staff"},
		{"an escape of a colon does not lose a rule", "GET", "a.example", "/v1/books%3Asearch", "search"},
		{"an escape of an at sign does not make it public", "GET", "a.example", "/%40team", "key"},
		{"an escape that is needed is read", "GET", "a.example", "/caf%C3%A9/1", "public"},
		{"an escape in a wildcard is read", "GET", "a.example", "/library/J%C3%BCrgen%20%40home", "library:read"},
		{"a host has its rules", "GET", "staff.example.com", "/x", "staff"},
		{"case of the host does not count", "GET", "STAFF.example.com", "/x", "staff"},
		{"a port of the host does not count", "GET", "staff.example.com:8443", "/x", "staff"},
		{"a dot at the end of the host does not count", "GET", "staff.example.com.", "/x", "staff"},
		{"a request without a host is refused", "GET", "", "/health", "refused"},
		{"a host with a path is refused", "GET", "a.example/staff", "/health", "refused"},
		{"a host with a user is refused", "GET", "x@a.example", "/health", "refused"},
		{"an IPv6 address is a host", "GET", "[::1]:8080", "/health", "public"},
		{"CONNECT is refused", "CONNECT", "a.example", "/health", "refused"},
		{"a method in lower case is refused", "get", "a.example", "/health", "refused"},
		{"a path with dots is refused", "GET", "a.example", "/docs/../admin/", "refused"},
		{"a path with empty segments is refused", "GET", "a.example", "//health", "refused"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			assert.Equal(t, test.want, ask(t, table, test.method, test.host, test.uri))
		})
	}
}

func TestReplacedMethodsNeedTheScopesOfBoth(t *testing.T) {
	t.Parallel()
	table, err := Parse([]byte(testRules))
	require.NoError(t, err)
	const both = "library:read library:write"
	for _, test := range []struct{ rule, method, uri, field, want string }{
		{"X-HTTP-Method-Override", "GET", "/library/1", "X-HTTP-Method-Override: DELETE", both},
		{"X-HTTP-Method", "GET", "/library/1", "X-HTTP-Method: DELETE", both},
		{"X-Method-Override", "GET", "/library/1", "X-Method-Override: DELETE", both},
		{"in lower case with spaces", "GET", "/library/1", "X-HTTP-Method-Override:  delete ", both},
		{"in the query", "GET", "/library/1?_method=DELETE", "A: b", both},
		{"in the query, escaped", "GET", "/library/1?%5Fmethod=delete", "A: b", both},
		{"in the query, after a semicolon", "GET", "/library/1?a=1;_method=DELETE", "A: b", both},
		{"in the query, beside a malformed escape", "GET", "/library/1?_method=DELETE&x=%", "A: b", both},
		{"in the query, with a malformed escape", "GET", "/library/1?_method=DELETE%", "A: b", "refused"},
		{"in the query, as PHP reads a full stop", "GET", "/library/1?.method=DELETE", "A: b", both},
		{"in the query, as PHP reads a space", "GET", "/library/1?%20+_method=DELETE", "A: b", both},
		{"in the query, as PHP reads a NUL", "GET", "/library/1?_method%00x=DELETE", "A: b", both},
		{"the same method", "GET", "/library/1", "X-HTTP-Method-Override: GET", "library:read"},
		{"a method that the rules do not permit", "GET", "/health", "X-HTTP-Method-Override: CONNECT", "refused"},
		{"text that is not a method", "GET", "/health", "X-HTTP-Method-Override: GET,DELETE", "refused"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			assert.Equal(t, test.want, ask(t, table, test.method, "a.example", test.uri, test.field))
		})
	}
}

func TestReplacedHosts(t *testing.T) {
	t.Parallel()
	table, err := Parse([]byte(testRules))
	require.NoError(t, err)
	for _, test := range []struct{ rule, field, want string }{
		{"X-Forwarded-Host", "X-Forwarded-Host: staff.example.com", "staff"},
		{"X-Original-Host", "X-Original-Host: staff.example.com", "staff"},
		{"X-Host", "X-Host: staff.example.com", "staff"},
		{"X-HTTP-Host-Override", "X-HTTP-Host-Override: staff.example.com", "staff"},
		{"Forwarded", `Forwarded: for=192.0.2.1;HOST="staff.example.com:443"`, "staff"},
		{"in a list, in another case, with a port and a dot", "X-Forwarded-Host: a.example, STAFF.example.com.:8443", "staff"},
		{"behind a user", "X-Forwarded-Host: x@staff.example.com", "staff"},
		{"in a URL", "X-Forwarded-Host: https://staff.example.com/", "staff"},
		{"in another parameter, in which Spring finds host", "Forwarded: xhost=staff.example.com", "staff"},
		{"with a quoted pair", `Forwarded: host="st\aff.example.com"`, "staff"},
		{"the same host", "X-Forwarded-Host: a.example", "public"},
		{"a longer host", "X-Forwarded-Host: staff.example.com.example, my-staff.example.com", "public"},
		{"a host that no rule names", "X-Forwarded-Host: www.example.com", "public"},
		{"text that is not a host", "X-Forwarded-Host: x@/", "public"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			assert.Equal(t, test.want, ask(t, table, "GET", "a.example", "/health", test.field))
		})
	}
}

func TestRequestsWithoutARuleAreRefused(t *testing.T) {
	t.Parallel()
	table, err := Parse([]byte("rules:\n  - match: GET /library\n    public: true\n"))
	require.NoError(t, err)
	assert.Equal(t, "public", ask(t, table, "GET", "a.example", "/library"))
	for rule, request := range map[string][2]string{
		"another path":   {"GET", "/"},
		"another method": {"POST", "/library"},
		"a longer path":  {"GET", "/library/1"},
		"another slash":  {"GET", "/library/"},
		"another case":   {"GET", "/Library"},
		"another escape": {"GET", "/%6Cibrary"},
	} {
		assert.Equal(t, "refused", ask(t, table, request[0], "a.example", request[1]), rule)
	}
}

func TestInvalidRuleFilesAreRefusedWithTheirLine(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ rule, text, problem string }{
		{"an empty file", "", "has no rules"},
		{"an empty list", "rules: []\n", "has no rules"},
		{"an unknown field of a rule", "rules:\n  - match: /\n    scope: [a]\n", "line 3: field scope not found in a rule"},
		{"an unknown field of the file", "rule:\n  - match: /\n", "line 1: field rule not found in the file"},
		{"a field twice", "rules:\n  - match: /\n    public: true\n    match: /a\n", "line 4"},
		{"a value of another kind", "rules:\n  - match: /\n    scopes: read\n", "line 3: cannot unmarshal"},
		{"a second document", "rules:\n  - match: /\n    public: true\n---\nrules: []\n", "has a second document"},
		{"no pattern", "rules:\n  - public: true\n", "line 2: match is missing"},
		{"no permission", "rules:\n  - match: /a\n  - match: /\n    public: true\n", "line 2: /a: want exactly one"},
		{"two permissions", "rules:\n  - match: /\n    public: true\n    scopes: [a]\n", "line 2: /: want exactly one"},
		{"public: false is no permission", "rules:\n  - match: /\n    public: false\n", "line 2: /: want exactly one"},
		{"empty scopes", "rules:\n  - match: /\n    scopes: []\n", "line 2: /: scopes is empty"},
		{"a scope that no key can have", "rules:\n  - match: /\n    scopes: [\"a b\"]\n", "line 2: /: apikey"},
		{"a malformed pattern", "rules:\n  - match: GET library\n    public: true\n", "line 2: "},
		{"a host without a path", "rules:\n  - match: example.com\n    public: true\n", "line 2: "},
		{"a method in lower case", "rules:\n  - match: delete /a\n    scopes: [staff]\n  - match: /a\n    any_key: true\n", "line 2: delete /a: want the method in upper case"},
		{"a wildcard in a segment", "rules:\n  - match: /a{id}\n    public: true\n", "line 2: "},
		{"an escape", "rules:\n  - match: /a%2Fb\n    public: true\n", "line 2: /a%2Fb: write the path without % escapes"},
		{"a host in upper case", "rules:\n  - match: Example.com/\n    public: true\n", "line 2: Example.com/: want the host in lower case"},
		{"a host with a port", "rules:\n  - match: example.com:8080/\n    public: true\n", "line 2: example.com:8080/: want the host in lower case and without a port"},
		{"a conflict", "rules:\n  - match: /a/{x}\n    public: true\n  - match: /{y}/b\n    any_key: true\n", `line 4: pattern "/{y}/b" conflicts with pattern "/a/{x}"`},
		{"the same pattern twice", "rules:\n  - match: GET /a\n    public: true\n  - match: GET /a\n    any_key: true\n", "line 4: "},
		{"patterns that differ in case", "rules:\n  - match: /Users\n    public: true\n  - match: /users\n    any_key: true\n", "line 4: without regard to case, "},
		{"a large file", strings.Repeat("# comment\n", 200_000), "has more than 1048576 bytes"},
		{"text that is not YAML", "rules: [", "line 1"},
	} {
		t.Run(test.rule, func(t *testing.T) {
			_, err := Parse([]byte(test.text))
			require.ErrorContains(t, err, test.problem)
			assert.NotContains(t, err.Error(), ".go:", "a place in the code")
			assert.NotContains(t, err.Error(), "routes.", "a type of Go")
		})
	}
}

func TestRulesOfTheDocument(t *testing.T) {
	t.Parallel()
	table, err := Read("../../deploy/rules.yaml")
	require.NoError(t, err)
	assert.Equal(t, "public", ask(t, table, "GET", "a.example", "/health"))
	assert.Equal(t, "library:read", ask(t, table, "GET", "a.example", "/library/books"))
	assert.Equal(t, "library:read library:write", ask(t, table, "DELETE", "a.example", "/library/books"))
}

// FuzzDemand checks that a request passes as public only at the path of the public rule, and that no request within
// /admin/ passes without the scope.
func FuzzDemand(f *testing.F) {
	table, err := Parse([]byte("rules:\n  - match: GET /open\n    public: true\n  - match: /admin/\n    scopes: [staff]\n  - match: /\n    any_key: true\n"))
	require.NoError(f, err)
	for _, uri := range []string{"/open", "/%6Fpen", "/admin/x", "/ADMIN/x", "/admin", "/%61dmin/", "/admin%2Fx", "/a;/../admin/"} {
		f.Add("GET", "a.example", uri)
	}
	f.Fuzz(func(t *testing.T, method, host, uri string) {
		u, err := url.ParseRequestURI(uri)
		if err != nil {
			return
		}
		d, ok := table.Demand(&http.Request{Method: method, Host: host, URL: u, Header: http.Header{}})
		if !ok {
			return
		}
		if d.Public && (u.EscapedPath() != "/open" || method != "GET" && method != "HEAD") {
			t.Errorf("%q %q %q is public", method, host, uri)
		}
		if strings.HasPrefix(strings.ToLower(u.Path)+"/", "/admin/") && !slices.Contains(d.Scopes, "staff") {
			t.Errorf("%q %q %q does not need the scope", method, host, uri)
		}
	})
}

func FuzzParseRules(f *testing.F) {
	f.Add([]byte(testRules))
	f.Add([]byte("rules: [&a {match: /, public: true}, *a]"))
	f.Fuzz(func(t *testing.T, text []byte) {
		table, err := Parse(text)
		if err == nil {
			ask(t, table, "GET", "a.example", "/")
		}
	})
}
