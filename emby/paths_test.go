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

// hostPatterns are routes of a host's own.
var hostPatterns = []string{
	"GET /Users/{id}", "/Users/Public", "GET example.org/Items/{item}/Images/{name...}", "/web/", "/Branding/{$}", "/Größe/a%20b",
	"no path",
}

func TestPathsSpellsPathsAsThePatternsDo(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listen(t, emby.Paths(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		io.WriteString(w, r.URL.EscapedPath()+" = "+r.URL.Path)
	}), hostPatterns...))
	for _, test := range []struct{ name, target, want string }{
		{"a path as it should be", "/System/Info", "/System/Info"},
		{"lower case", "/system/info", "/System/Info"},
		{"upper case", "/SYSTEM/INFO/PUBLIC", "/System/Info/Public"},
		{"/emby", "/emby/System/Info", "/System/Info"},
		{"/mediabrowser", "/mediabrowser/System/Info", "/System/Info"},
		{"a prefix in another case, and a path too", "/EMBY/system/info", "/System/Info"},
		{"an escaped letter", "/%65mby/s%79stem/info", "/System/Info"},
		{"slashes too many", "//emby//System//Info/", "/System/Info"},
		{"one prefix only", "/emby/emby/System/Info", "/emby/System/Info"},
		{"a name that begins like a prefix", "/embyx/System/Info", "/embyx/System/Info"},
		{"a prefix alone", "/emby", "/"},
		{"a prefix and a slash", "/Emby/", "/"},
		{"the root", "/", "/"},

		{"a wildcard keeps its case", "/users/BoB", "/Users/BoB"},
		{"a wildcard keeps its escapes", "/emby/users/a%2Fb+c%20D", "/Users/a%2Fb+c%20D"},
		{"a name goes before a wildcard", "/users/public", "/Users/Public"},
		{"a rest keeps its bytes", "/items/1/images/a//B%2f/", "/Items/1/Images/a//B%2f/"},
		{"a subtree", "/WEB/Index.HTML", "/web/Index.HTML"},
		{"the root of a subtree", "/Web/", "/web/"},
		{"an end", "/branding", "/Branding/"},
		{"a pattern with letters beyond ASCII and a blank", "/Gr%C3%B6%C3%9Fe/A%20B", "/Gr%C3%B6%C3%9Fe/a%20b"},
		{"what matches no pattern", "/Other/Thing", "/Other/Thing"},
		{"what matches no pattern, under a prefix", "/emby/other/Thing//", "/other/Thing//"},
		{"letters that only fold to ours", "/users/x/%E2%84%AA", "/users/x/%E2%84%AA"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			decoded, err := url.PathUnescape(test.want)
			require.NoError(t, err)
			assert.Equal(t, test.want+" = "+decoded, raw(t, "GET "+test.target+"?a=/emby/").body)
		})
	}
	t.Run("what is no path", func(t *testing.T) {
		t.Parallel()
		var seen string
		r := httptest.NewRequest("CONNECT", "example.org:443", nil)
		emby.Paths(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { seen = r.URL.Path + r.Host })).ServeHTTP(httptest.NewRecorder(), r)
		assert.Equal(t, "example.org:443", seen)
	})
}

func TestAPatternOfTheRequestsMethodGoesBeforeOthers(t *testing.T) {
	t.Parallel()
	patterns := []string{"GET /Users/{id}", "POST /Users/Public", "DELETE\t/Users/Mine", "/Users/All"}
	for request, want := range map[string]string{
		"GET /users/public":    "/Users/public",
		"HEAD /users/public":   "/Users/public",
		"POST /users/public":   "/Users/Public",
		"GET /users/mine":      "/Users/mine",
		"DELETE /users/mine":   "/Users/Mine",
		"GET /users/all":       "/Users/All",
		"DELETE /users/public": "/Users/Public", // which no pattern has: it is for the mux to refuse
		"DELETE /users/bob":    "/Users/bob",
	} {
		method, target, _ := strings.Cut(request, " ")
		var got string
		handler := http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { got = r.URL.Path })
		emby.Paths(handler, patterns...).ServeHTTP(httptest.NewRecorder(), httptest.NewRequest(method, target, nil))
		assert.Equal(t, want, got, request)
	}
}

func TestRoutesAreFoundUnderEveryPath(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	raw := s.listen(t, emby.Paths(s.auth.Handler(s.mux)))
	for _, target := range []string{"/System/Info", "/system/info", "/emby/System/Info", "/mediabrowser/System/Info", "/Emby/SYSTEM/info", "//System/Info"} {
		assert.Equal(t, 200, raw(t, "GET "+target+"?api_key={K}").StatusCode, target)
		assert.Equal(t, 401, raw(t, "GET "+target).StatusCode, target)
		assert.Equal(t, 401, raw(t, "GET "+target+"?api_key={R}").StatusCode, target)
	}
}

func TestKeysInPathsAreConcealed(t *testing.T) {
	t.Parallel()
	const canary = "ak_CANARY+%2F"
	for _, test := range []struct{ name, target, want string }{
		{"a delete", "/Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"in another case", "/auth/KEYS/" + canary, "/Auth/Keys/REDACTED"},
		{"with a prefix", "/emby/Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"with slashes too many", "//Auth//Keys//" + canary + "/", "/Auth/Keys/REDACTED"},
		{"with escaped letters", "/%41uth/Key%73/" + canary, "/Auth/Keys/REDACTED"},
		{"with a query", "/Auth/Keys/" + canary + "?a=%31", "/Auth/Keys/REDACTED?a=%31"},
		{"with an empty query", "/Auth/Keys/" + canary + "?", "/Auth/Keys/REDACTED?"},
		{"Emby's way", "/Auth/Keys/" + canary + "/Delete", "/Auth/Keys/REDACTED/Delete"},
		{"Emby's way in lower case", "/auth/keys/" + canary + "/delete", "/Auth/Keys/REDACTED/Delete"},
		{"a key with a slash that is not encoded", "/Auth/Keys/a/" + canary, "/Auth/Keys/REDACTED/REDACTED"},
		{"what follows a delete", "/Auth/Keys/a/Delete/" + canary, "/Auth/Keys/REDACTED/REDACTED"},
		{"a key that is called Delete", "/Auth/Keys/Delete", "/Auth/Keys/REDACTED"},
		{"the list", "/Auth/Keys/?a=1", "/Auth/Keys/?a=1"},
		{"a second prefix", "/emby/emby/Auth/Keys/" + canary, "/emby/Auth/Keys/REDACTED"},
		{"further in", "/a%2Fb/c/auth/keys/" + canary + "/x", "/a/b/c/Auth/Keys/REDACTED/REDACTED"},
		{"dots before", "/x/../Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"dots before, escaped", "/x/%2E%2e/Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"dots above the root", "/../../Auth/Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"dots between", "/Auth/./x/../Keys/" + canary, "/Auth/Keys/REDACTED"},
		{"dots behind", "/Auth/Keys/../" + canary, "/Auth/Keys/REDACTED/REDACTED"},
		{"an escaped slash before the key", "/Auth/Keys%2F" + canary, "/Auth/Keys/REDACTED"},
		{"escaped slashes everywhere", "/emby%2fAuth%2fKeys%2f" + canary, "/emby/Auth/Keys/REDACTED"},
		{"one of the names alone", "/Auth/x/Keys/a", "/Auth/x/Keys/a"},
		{"an absolute URI", "http://localhost/Auth/Keys/" + canary + "?a", "/Auth/Keys/REDACTED?a"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			r := httptest.NewRequest("DELETE", test.target, nil)
			r.RequestURI = test.target
			before := r.URL.String()
			// Even a host that registers these paths itself, in its own spelling.
			emby.Paths(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
				assert.Equal(t, test.want, r.RequestURI)
				assert.NotContains(t, r.URL.String(), "CANARY")
				assert.NotContains(t, r.URL.Path, "CANARY")
			}), "/auth/keys/{key}", "/auth/{anything...}").ServeHTTP(httptest.NewRecorder(), r)
			assert.Equal(t, before, r.URL.String(), "the request itself is not changed")
		})
	}
}

func TestWhatTheHandlerDidIsHandedBack(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	r := httptest.NewRequest("GET", "/emby/System/Info?api_key="+s.good, nil)
	emby.Paths(s.auth.Handler(s.mux)).ServeHTTP(httptest.NewRecorder(), r)
	assert.Equal(t, "GET /System/Info", r.Pattern)
}

// behindKeys finds a key by the path to it.
var behindKeys = regexp.MustCompile(`(?s)/[Aa][Uu][Tt][Hh]/+[Kk][Ee][Yy][Ss]/+([^/].*)`)

// FuzzPaths: no panic, no key behind /Auth/Keys, a URL whose two forms of path agree, and
// nothing changed in the request that came.
func FuzzPaths(f *testing.F) {
	for _, seed := range []string{
		"/emby/system/info", "//EMBY//%2e%2E/x", "/auth/keys/a%2Fb/delete", "/emby", "/Auth/Keys/SECRET/x", "/users/%E2%84%AA", "/%", "*", "",
		"/web//..%2f", "/branding/%00", "/Items/{item}/Images/%zz", "/emby/Auth/Keys/%53ECRET", "/SECRET/Auth/Keys",
		"/emby/emby/Auth/Keys/SECRET", "/x/..%2FAuth/./Keys%2fSECRET", "/Auth/Keys/../Keys/SECRET",
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
				if behind := behindKeys.FindStringSubmatch(shown); err == nil && behind != nil {
					switch behind[1] {
					case "REDACTED", "REDACTED/Delete", "REDACTED/REDACTED":
					default:
						t.Fatalf("%q: shows %q", path, behind[1])
					}
				}
			}
			http.NewServeMux().ServeHTTP(httptest.NewRecorder(), inner)
		}), hostPatterns...).ServeHTTP(httptest.NewRecorder(), r)
		if *u != before || r.RequestURI != path {
			t.Fatalf("%q: changed", path)
		}
	})
}
