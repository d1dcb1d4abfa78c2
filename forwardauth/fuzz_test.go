package forwardauth_test

import (
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
)

// FuzzRestore sends a URI, a method and a field of another convention. A permitted URI must not belong to
// another rule for a server that decodes and cleans the path, even several times.
func FuzzRestore(f *testing.F) {
	for _, uri := range []string{
		"/library?limit=5", "/admin", "/%61dmin/", "/library/%2e%2e/admin", "//admin", "/a;/../admin", "/..;/admin", `/\admin`,
		"/%252e%252e/admin", "/admin%3Fa", "/a%2F..%2Fadmin", "http://h/admin", "*", "/admin#", "/?a=/admin", "/%",
	} {
		f.Add(uri, "GET", "")
		f.Add(uri, "DELETE", uri)
	}
	var services []*service
	var seen *http.Request
	for _, d := range dialects {
		s := &service{}
		rules := http.NewServeMux()
		rules.Handle("/", forwardauth.Allow())
		rules.Handle("/admin", apikey.Require()(forwardauth.Allow()))
		rules.Handle("/admin/", apikey.Require()(forwardauth.Allow()))
		o := d.options
		o.Trusted = trusted
		var err error
		s.handler, err = forwardauth.Restore(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			seen = r
			rules.ServeHTTP(w, r)
		}), o)
		require.NoError(f, err)
		services = append(services, s)
	}
	f.Fuzz(func(t *testing.T, uri, method, other string) {
		var answers []string
		for i, s := range services {
			seen = nil
			r := dialects[i].ask("GET", "/")
			if o := dialects[i].options; o.Convention == forwardauth.RequestLine {
				r.Method, r.RequestURI = method, o.PathPrefix+uri
			} else {
				for _, field := range []string{"X-Original-Uri", "X-Original-Method", "X-Forwarded-Uri", "X-Forwarded-Method"} {
					if r.Header[field] != nil && strings.HasSuffix(field, "Uri") {
						r.Header[field] = []string{uri}
					} else if r.Header[field] != nil {
						r.Header[field] = []string{method}
					}
				}
			}
			if other != "" {
				r.Header["X-Rewrite-Url"] = []string{other}
			}
			got := status(s.answer(r))
			if got == "503" && uri != "" && method != "" && strings.HasPrefix(uri, "/") {
				t.Fatalf("%s: %q is reported as a fault of the proxy", dialects[i].name, uri)
			}
			if seen == nil {
				answers = append(answers, "refused")
				continue
			}
			answers = append(answers, got)
			if seen.RequestURI != uri || seen.Method != method || seen.URL.RequestURI() == "" {
				t.Fatalf("%q was restored as %q", uri, seen.RequestURI)
			}
			if other != "" && !strings.HasSuffix(other, uri) {
				t.Fatalf("%q passed beside %q", uri, other)
			}
			if got == "200" && isAdmin(uri) {
				t.Fatalf("%q passed the rule of /admin", uri)
			}
		}
		if uri != "" && strings.HasPrefix(uri, "/") && method != "" && len(slices.Compact(answers)) != 1 {
			t.Fatalf("%q %q got %v", method, uri, answers)
		}
	})
}

// isAdmin reports whether a careless server may read a URI as one under /admin.
func isAdmin(uri string) bool {
	uri, _, _ = strings.Cut(uri, "?")
	for range 3 {
		readings := []string{uri, strings.ReplaceAll(uri, `\`, "/")}
		segments := strings.Split(readings[1], "/")
		for i := range segments {
			segments[i], _, _ = strings.Cut(segments[i], ";")
		}
		readings = append(readings, strings.Join(segments, "/"))
		for _, reading := range readings {
			reading, _, _ = strings.Cut(reading, "?")
			reading, _, _ = strings.Cut(reading, "#")
			reading, _, _ = strings.Cut(reading, "\x00")
			if cleaned := path.Clean("/" + reading); cleaned == "/admin" || strings.HasPrefix(cleaned, "/admin/") {
				return true
			}
		}
		decoded, err := url.PathUnescape(uri)
		if err != nil {
			return false
		}
		uri = decoded
	}
	return false
}
