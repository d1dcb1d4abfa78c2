package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLinksAreRightUnderAnyPrefixAndHost(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	nested := http.NewServeMux()
	nested.Handle("/a/b/c/", http.StripPrefix("/a/b/c", s.handler))
	slashed := http.NewServeMux()
	slashed.Handle("/admin/", http.StripPrefix("/admin/", s.handler))
	for name, mount := range map[string]struct {
		handler http.Handler
		prefix  string
	}{
		"a prefix":                         {s.mux, "/admin/"},
		"no prefix":                        {s.handler, "/"},
		"a prefix of several segments":     {nested, "/a/b/c/"},
		"a prefix stripped with its slash": {slashed, "/admin/"},
	} {
		t.Run(name, func(t *testing.T) {
			_, key := s.issue("Backup job")
			v := s.visitor()
			v.at(mount.handler, mount.prefix)
			v.header.Set("X-Forwarded-Host", "evil.example")
			v.header.Set("Host", "evil.example")
			v.login()
			for path, link := range map[string]string{
				"": `href="./add"`, "add": `action="./add"`, "keys/" + key.ID: `href="../keys/` + key.ID + `/rotate"`,
				"keys/" + key.ID + "/revoke": `action="../../keys/` + key.ID + `/revoke"`,
			} {
				a := v.get(mount.prefix + path)
				assert.Equal(t, http.StatusOK, a.StatusCode, path)
				assert.Contains(t, a.body, link, path)
				assert.NotContains(t, a.body, "evil.example", path)
				assert.NotRegexp(t, `(href|src|action)="(/|https?:)`, a.body, path)
			}
			assert.Equal(t, http.StatusOK, v.get(mount.prefix+stylePath).StatusCode)
			from := mount.prefix + "keys/" + key.ID + "/revoke"
			a := v.post(from)
			assert.Equal(t, mount.prefix+"keys/"+key.ID+"?revoked="+key.ID, landing(t, from, a.Header.Get("Location")))
		})
	}
}

// landing is the path and query that a link or a redirect leads to, as a browser resolves it.
func landing(t *testing.T, from, location string) string {
	t.Helper()
	base, err := url.Parse("https://dashboard.example" + from)
	require.NoError(t, err)
	to, err := base.Parse(location)
	require.NoError(t, err)
	require.Equal(t, "dashboard.example", to.Host)
	return to.RequestURI()
}

func TestWithoutItsSlashTheDashboardIsFoundAllTheSame(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	bare := http.NewServeMux()
	bare.Handle("/some/admin", http.StripPrefix("/some/admin", s.handler))
	v := s.visitor()
	v.at(bare, "/some/admin")
	for _, uri := range []string{"/some/admin", "/some/admin?x=/y/"} {
		a := v.get(uri)
		assert.Equal(t, http.StatusSeeOther, a.StatusCode, uri)
		assert.Equal(t, "./admin/", a.Header.Get("Location"), uri)
	}
}

// An encoded slash is none to the browser that resolves a relative link.
func TestEncodedPathsAreNoPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	administrator := s.visitor()
	administrator.login()
	for who, v := range map[string]*visitor{"nobody": s.visitor(), "an administrator": administrator} {
		for _, path := range []string{"keys%2F" + key.ID + "%2Frevoke", "keys%2f" + key.ID, "keys/" + key.ID + "%2Frotate", "%61dd", "keys/%2e%2e", "assets%2Fstyle.css"} {
			a := v.get("/admin/" + path)
			assert.Equal(t, http.StatusNotFound, a.StatusCode, "%s: %s", who, path)
			for _, link := range hrefs.FindAllStringSubmatch(a.body, -1) {
				if !strings.HasPrefix(link[1], "#") {
					assert.True(t, strings.HasPrefix(landing(t, "/admin/"+path, link[1]), "/admin/"), "%s: %s: %s", who, path, link[1])
				}
			}
		}
	}
}

// The proxy ends TLS: the dashboard sees plain HTTP, and what the browser says of its page.
func TestTheCookieIsSecureWhereverTheBrowserSeesTLS(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for origin, secure := range map[string]bool{"https://dashboard.example": true, "http://dashboard.example": false} {
		v := s.visitor()
		v.client.Transport = inProcess{s.mux, false}
		v.header.Set("Host", "dashboard.example")
		v.header.Set("Origin", origin)
		assert.Equal(t, secure, v.login().Cookies()[0].Secure, origin)
	}
}
