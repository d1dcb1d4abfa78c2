package emby_test

import (
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	pathpkg "path"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
)

// servicePatterns are routes of a service.
var servicePatterns = []string{
	"GET /Users/{id}", "/Users/Public", "GET example.org/Items/{item}/Images/{name...}", "/web/", "/Branding/{$}", "/Größe/a%20b",
	"no path",
}

func TestPathsSpellsPathsLikePatterns(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listen(t, emby.Paths(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.EscapedPath()+" = "+r.URL.Path)
	}), servicePatterns...))
	for _, test := range []struct{ name, target, want string }{
		{"a path in the route's spelling", "/System/Info", "/System/Info"},
		{"lower case", "/system/info", "/System/Info"},
		{"upper case", "/SYSTEM/INFO/PUBLIC", "/System/Info/Public"},
		{"/emby", "/emby/System/Info", "/System/Info"},
		{"/mediabrowser", "/mediabrowser/System/Info", "/System/Info"},
		{"a prefix and a path in another case", "/EMBY/system/info", "/System/Info"},
		{"an escaped letter", "/%65mby/s%79stem/info", "/System/Info"},
		{"extra slashes", "//emby//System//Info/", "/System/Info"},
		{"a base URL that ends in a slash", "//System/Info", "/System/Info"},
		{"a prefix and a base URL that ends in a slash", "/emby//System/Info", "/System/Info"},
		{"many slashes", "/////emby////System///Info///", "/System/Info"},
		{"a dot segment", "/./System/Info", "/System/Info"},
		{"a dot segment after a prefix", "/emby/./system/info", "/System/Info"},
		{"an escaped dot segment", "/emby/%2e/system/%2E/info", "/System/Info"},
		{"a dot segment at the end", "/system/info/.", "/System/Info"},
		{"two dots", "/x/../emby/y/%2E./System/Info", "/System/Info"},
		{"two dots above the root", "/../../System/Info", "/System/Info"},
		{"two dots at the end", "/x/..", "/"},
		{"dots in a path that matches no pattern", "/emby/other/./x/../Thing//", "/other/Thing/"},
		{"segments that begin with dots", "/Other/.x/..y/...", "/Other/.x/..y/..."},
		{"escaped slashes around dots", "/Other%2F..%2Fx", "/Other%2F..%2Fx"},
		{"only one prefix", "/emby/emby/System/Info", "/emby/System/Info"},
		{"a segment that begins with emby", "/embyx/System/Info", "/embyx/System/Info"},
		{"only a prefix", "/emby", "/"},
		{"a prefix and a slash", "/Emby/", "/"},
		{"the root", "/", "/"},

		{"a wildcard keeps its case", "/users/BoB", "/Users/BoB"},
		{"a wildcard keeps its escapes", "/emby/users/a%2Fb+c%20D", "/Users/a%2Fb+c%20D"},
		{"a literal precedes a wildcard", "/users/public", "/Users/Public"},
		{"a multi-segment wildcard keeps its bytes", "/items/1/images/a//B%2f/", "/Items/1/Images/a//B%2f/"},
		{"a subtree", "/WEB/Index.HTML", "/web/Index.HTML"},
		{"the root of a subtree", "/Web/", "/web/"},
		{"an exact root, {$}", "/branding", "/Branding/"},
		{"a pattern with letters beyond ASCII and a space", "/Gr%C3%B6%C3%9Fe/A%20B", "/Gr%C3%B6%C3%9Fe/a%20b"},
		{"a path that matches no pattern", "/Other/Thing", "/Other/Thing"},
		{"a path that matches no pattern, after a prefix", "/emby/other/Thing//", "/other/Thing//"},
		{"a Unicode letter that folds to k", "/users/x/%E2%84%AA", "/users/x/%E2%84%AA"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			decoded, err := url.PathUnescape(test.want)
			require.NoError(t, err)
			assert.Equal(t, test.want+" = "+decoded, raw(t, "GET "+test.target+"?a=/emby/").body)
		})
	}
	t.Run("a CONNECT request", func(t *testing.T) {
		t.Parallel()
		var seen string
		r := httptest.NewRequest("CONNECT", "example.org:443", nil)
		emby.Paths(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.URL.Path + r.Host })).ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, "example.org:443", seen)
	})
}

func TestPatternWithTheMethodComesFirst(t *testing.T) {
	t.Parallel()
	patterns := []string{"GET /Users/{id}", "POST /Users/Public", "DELETE\t/Users/Mine", "/Users/All"}
	for request, want := range map[string]string{
		"GET /users/public":    "/Users/public",
		"HEAD /users/public":   "/Users/public",
		"POST /users/public":   "/Users/Public",
		"GET /users/mine":      "/Users/mine",
		"DELETE /users/mine":   "/Users/Mine",
		"GET /users/all":       "/Users/All",
		"DELETE /users/public": "/Users/Public", // no pattern has DELETE, and the ServeMux responds with 405
		"DELETE /users/bob":    "/Users/bob",
	} {
		method, target, _ := strings.Cut(request, " ")
		var got string
		handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL.Path })
		emby.Paths(handler, patterns...).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, target, nil))
		assert.Equal(t, want, got, request)
	}
}

func TestRoutesHaveSeveralPaths(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listen(t, emby.Paths(s.auth.Handler(s.mux)))
	for _, target := range []string{"/System/Info", "/system/info", "/emby/System/Info", "/mediabrowser/System/Info", "/Emby/SYSTEM/info", "//System/Info"} {
		assert.Equal(t, 200, raw(t, "GET "+target+"?api_key={K}").StatusCode, target)
		assert.Equal(t, 401, raw(t, "GET "+target).StatusCode, target)
		assert.Equal(t, 401, raw(t, "GET "+target+"?api_key={R}").StatusCode, target)
	}
}

func TestPathsConcealsKeys(t *testing.T) {
	t.Parallel()
	const canary = "ak_CANARY+%2F"
	for _, test := range []struct{ name, target, want string }{
		{"a delete", "/Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"in another case", "/auth/KEYS/" + canary, "/Auth/Keys/REDACTED"},
		{"with a prefix", "/emby/Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"with extra slashes", "//Auth//Keys//" + canary + "/", "/Auth/Keys/REDACTED"},
		{"with escaped letters", "/%41uth/Key%73/" + canary, "/Auth/Keys/REDACTED"},
		{"with a query", "/Auth/Keys/" + canary + "?a=%31", "/Auth/Keys/REDACTED?a=%31"},
		{"with an empty query", "/Auth/Keys/" + canary + "?", "/Auth/Keys/REDACTED?"},
		{"Emby's POST", "/Auth/Keys/" + canary + "/Delete", "/Auth/Keys/REDACTED/Delete"},
		{"Emby's POST in lower case", "/auth/keys/" + canary + "/delete", "/Auth/Keys/REDACTED/Delete"},
		{"a key with an unescaped slash", "/Auth/Keys/a/" + canary, "/Auth/Keys/REDACTED/REDACTED"},
		{"segments after Delete", "/Auth/Keys/a/Delete/" + canary, "/Auth/Keys/REDACTED/REDACTED"},
		{"a key named Delete", "/Auth/Keys/Delete", "/Auth/Keys/REDACTED"},
		{"the path of the list", "/Auth/Keys/?a=1", "/Auth/Keys/?a=1"},
		{"a second prefix", "/emby/emby/Auth/Keys/" + canary, "/emby/Auth/Keys/REDACTED"},
		{"deeper in a path", "/a%2Fb/c/auth/keys/" + canary + "/x", "/a/b/c/Auth/Keys/REDACTED/REDACTED"},
		{"dots before", "/x/../Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"dots before, escaped", "/x/%2E%2e/Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"dots above the root", "/../../Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"dots between", "/Auth/./x/../Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"dots after", "/Auth/Keys/../" + canary, "/Auth/Keys/REDACTED/REDACTED"},
		{"an escaped slash before the key", "/Auth/Keys%2F" + canary, "/Auth/Keys/REDACTED"},
		{"escaped slashes everywhere", "/emby%2fAuth%2fKeys%2f" + canary, "/emby/Auth/Keys/REDACTED"},
		{"dots that resolve in two ways", "/Auth/x%2F..%2F../../Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"a path longer than 8 KiB", "/Auth/Keys/" + canary + strings.Repeat("/", 1<<20), "/Auth/Keys/REDACTED"},
		{"a key longer than 8 KiB", "/Auth/Keys/" + canary + strings.Repeat("x", 1<<20), "/Auth/Keys/REDACTED"},
		{"other segments between Auth and Keys", "/Auth/x/Keys/a", "/Auth/x/Keys/a"},
		{"an absolute URI", "http://localhost/Auth/Keys/" + canary + "?a", "/Auth/Keys/REDACTED?a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("DELETE", test.target, nil)
			r.RequestURI = test.target
			before := r.URL.String()
			// A service cannot undo this by patterns of its own for these paths.
			emby.Paths(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				assert.Equal(t, test.want, r.RequestURI)
				assert.NotContains(t, r.URL.String(), "CANARY")
				assert.NotContains(t, r.URL.Path, "CANARY")
			}), "/auth/keys/{key}", "/auth/{anything...}").ServeHTTP(httptest.NewRecorder(), r)
			assert.Equal(t, before, r.URL.String(), "the original request does not change")
		})
	}
}

// Paths does not compare a long path with the patterns. Otherwise the work for a request could grow
// with the length of the path multiplied by the number of patterns.
func TestLongPathMatchesNoPattern(t *testing.T) {
	t.Parallel()
	const bound = 8 << 10
	spell := func(path string) (spelled string) {
		handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { spelled = r.URL.EscapedPath() })
		emby.Paths(handler, "/Users/{name}").ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", path, nil))
		return spelled
	}
	name := strings.Repeat("x", bound-len("/users/"))
	assert.Equal(t, "/Users/"+name, spell("/users/"+name))
	assert.Equal(t, "/users/x"+name, spell("/users/x"+name))
	slashes := strings.Repeat("/", bound-len("users/x"))
	assert.Equal(t, "/Users/x", spell(slashes+"users/x"))
	assert.Equal(t, slashes+"/users/x", spell(slashes+"/users/x"))
	assert.Equal(t, "/users/x"+name, spell("/emby/users/x"+name), "the prefix is removed")
}

func TestPathsReturnsThePattern(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	r := httptest.NewRequest("GET", "/emby/System/Info?api_key="+s.good, nil)
	emby.Paths(s.auth.Handler(s.mux)).ServeHTTP(httptest.NewRecorder(), r)
	assert.Equal(t, "GET /System/Info", r.Pattern)
}

// afterKeys matches /Auth/Keys and the text after it.
var afterKeys = regexp.MustCompile(`(?s)/[Aa][Uu][Tt][Hh]/+[Kk][Ee][Yy][Ss]/+([^/].*)`)

// FuzzPaths checks that Paths does not panic and shows no key after /Auth/Keys. Path and RawPath of
// the URL must agree, and the original request must not change.
func FuzzPaths(f *testing.F) {
	for _, seed := range []string{
		"/emby/system/info", "//EMBY//%2e%2E/x", "/auth/keys/a%2Fb/delete", "/emby", "/Auth/Keys/SECRET/x", "/users/%E2%84%AA", "/%", "*", "",
		"/web//..%2f", "/branding/%00", "/Items/{item}/Images/%zz", "/emby/Auth/Keys/%53ECRET", "/SECRET/Auth/Keys",
		"/emby/emby/Auth/Keys/SECRET", "/x/..%2FAuth/./Keys%2fSECRET", "/Auth/Keys/../Keys/SECRET",
		"/./system/%2e/info", "/Auth/x%2F..%2F../../Keys/SECRET", "//emby//..//System/Info/.",
	} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, path string) {
		u, err := url.ParseRequestURI(path)
		if err != nil || u.Host != "" {
			return
		}
		r := &http.Request{Method: "GET", URL: u, RequestURI: path, Header: http.Header{}}
		before := *u
		emby.Paths(http.HandlerFunc(func(_ http.ResponseWriter, inner *http.Request) {
			decoded, err := url.PathUnescape(inner.URL.EscapedPath())
			if err != nil || decoded != inner.URL.Path {
				t.Fatalf("%q: escaped %q, path %q", path, inner.URL.EscapedPath(), inner.URL.Path)
			}
			uri, _, _ := strings.Cut(inner.RequestURI, "?")
			uri, err = url.PathUnescape(uri)
			for _, shown := range []string{uri, pathpkg.Clean(uri), inner.URL.Path, pathpkg.Clean(inner.URL.Path)} {
				if after := afterKeys.FindStringSubmatch(shown); err == nil && after != nil {
					switch after[1] {
					case "REDACTED", "REDACTED/Delete", "REDACTED/REDACTED":
					default:
						t.Fatalf("%q: the path shows %q", path, after[1])
					}
				}
			}
			http.NewServeMux().ServeHTTP(httptest.NewRecorder(), inner)
		}), servicePatterns...).ServeHTTP(httptest.NewRecorder(), r)
		if *u != before || r.RequestURI != path {
			t.Fatalf("%q: the original request changed", path)
		}
	})
}
