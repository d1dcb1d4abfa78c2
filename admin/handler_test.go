package admin

import (
	"encoding/base64"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"reflect"
	"strings"
	"testing"
	"unsafe"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestLinksHoldUnderAnyPrefixAndHost(t *testing.T) {
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

// landing returns the path and query of a link or a redirect, as a browser resolves it.
func landing(t testing.TB, from, location string) string {
	t.Helper()
	base, err := url.Parse("https://dashboard.example" + from)
	require.NoError(t, err)
	to, err := base.Parse(location)
	require.NoError(t, err)
	require.Equal(t, "dashboard.example", to.Host)
	return to.RequestURI()
}

func TestMountWithoutASlashRedirects(t *testing.T) {
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

// A browser that resolves relative links does not read an encoded slash as a slash.
func TestEncodedPathIsNotFound(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	administrator := s.visitor()
	administrator.login()
	for client, v := range map[string]*visitor{"a client without a login": s.visitor(), "an administrator": administrator} {
		for _, path := range []string{"keys%2F" + key.ID + "%2Frevoke", "keys%2f" + key.ID, "keys/" + key.ID + "%2Frotate", "%61dd", "keys/%2e%2e", "assets%2Fstyle.css"} {
			a := v.get("/admin/" + path)
			assert.Equal(t, http.StatusNotFound, a.StatusCode, "%s: %s", client, path)
			for _, link := range hrefs.FindAllStringSubmatch(a.body, -1) {
				if !strings.HasPrefix(link[1], "#") {
					assert.True(t, strings.HasPrefix(landing(t, "/admin/"+path, link[1]), "/admin/"), "%s: %s: %s", client, path, link[1])
				}
			}
		}
	}
}

// ServeMux would redirect such paths, and lose the prefix of the dashboard.
func TestUncleanPathIsNotFound(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	for _, path := range []string{"/add/", "//add", "/./add", "/keys/../add", "/keys//revoke", "/keys/", "/login/.."} {
		r := httptest.NewRequest("GET", "http://placeholder"+path, nil)
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		assert.Equal(t, http.StatusNotFound, w.Code, path)
		assert.Empty(t, w.Header().Get("Location"), path)
	}
}

func TestPathValuesOfTheApplicationAreIgnored(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	_, key := s.issue("Backup job")
	for path, want := range map[string]string{"/": "API keys", "/keys/" + key.ID: "Backup job"} {
		r := httptest.NewRequest("GET", path, nil)
		r.SetPathValue("id", "not an ID")
		w := httptest.NewRecorder()
		s.handler.ServeHTTP(w, r)
		assert.Equal(t, http.StatusOK, w.Code, path)
		assert.Contains(t, w.Body.String(), want)
	}
}

func TestAllowNamesTheMethodsOfAPage(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	for path, want := range map[string]string{
		"logout": "POST", "login": "GET, HEAD, POST", "add": "GET, HEAD, POST", "keys/" + key.ID: "GET, HEAD",
		"keys/" + key.ID + "/revoke": "GET, HEAD, POST", stylePath: "GET, HEAD",
	} {
		for _, method := range []string{"GET", "POST", "PUT", "DELETE", "PATCH", "OPTIONS", "get", "BREW"} {
			if a := v.do(method, "/admin/"+path, ""); a.StatusCode == http.StatusMethodNotAllowed {
				assert.Equal(t, want, a.Header.Get("Allow"), "%s %s", method, path)
			} else {
				assert.Contains(t, strings.Split(want, ", "), method, path)
			}
		}
	}
}

func TestEveryResponseForbidsFramingAndInlineScript(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	for path, status := range map[string]int{
		"/admin/": http.StatusOK, "/admin/nothing": http.StatusNotFound, "/admin/keys/unknown": http.StatusNotFound,
		"/admin/?sort=nonsense": http.StatusBadRequest, "/admin/logout": http.StatusMethodNotAllowed, "/admin/" + stylePath: http.StatusOK,
		"/admin/keys/%2e%2e": http.StatusNotFound,
	} {
		a := v.get(path)
		assert.Equal(t, status, a.StatusCode, path)
		policy := a.Header.Get("Content-Security-Policy")
		for _, want := range []string{"default-src 'none'", "script-src 'self'", "style-src 'self'", "frame-ancestors 'none'", "base-uri 'none'", "form-action 'self'"} {
			assert.Contains(t, policy, want, path)
		}
		assert.NotContains(t, policy, "unsafe", path)
		assert.Equal(t, "nosniff", a.Header.Get("X-Content-Type-Options"))
		assert.NotRegexp(t, `<script[^>]*>[^<]|\sstyle=|\son[a-z]+=`, a.body, path)
	}
	tooLarge := v.do("POST", "/admin/add", "name="+strings.Repeat("x", maxBody))
	assert.Equal(t, http.StatusRequestEntityTooLarge, tooLarge.StatusCode)
	loggedOut := s.visitor().do("POST", "/admin/add", "x=y")
	assert.Equal(t, http.StatusForbidden, loggedOut.StatusCode)
	s.store.fails("List", errors.New("no route to host"))
	outage := v.get("/admin/")
	assert.Equal(t, http.StatusServiceUnavailable, outage.StatusCode)
	for _, a := range []answer{tooLarge, loggedOut, outage} {
		policy := a.Header.Get("Content-Security-Policy")
		assert.Contains(t, policy, "frame-ancestors 'none'", a.Status)
		assert.Contains(t, policy, "script-src 'self'", a.Status)
		assert.NotContains(t, policy, "unsafe", a.Status)
		assert.Equal(t, "DENY", a.Header.Get("X-Frame-Options"), a.Status)
	}
}

// Authorize trusts the network. A page of evil.example makes an administrator's browser request
// evil.example at the dashboard's address.
func TestAnotherHostIsMisdirected(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{
		AllowedHosts: []string{"Keys.example.com", "192.0.2.1:8096", "[2001:db8::1]"},
		Authorize:    named("a client of this network"),
	})
	for host, allowed := range map[string]bool{
		"keys.example.com": true, "KEYS.EXAMPLE.COM": true, "192.0.2.1:8096": true, "[2001:db8::1]": true,
		"evil.example": false, "keys.example.com.evil.example": false, "evil.keys.example.com": false, "keys.example.com:8096": false, "keys.example.com.": false,
		"192.0.2.1": false, "keys.example.com@evil.example": false, "": false, "\"><script>": false,
	} {
		for _, path := range []string{"/", "/add", "/login", "/nothing", "/" + stylePath, ""} {
			for _, method := range []string{"GET", "POST", "PUT"} {
				r := httptest.NewRequest(method, "http://placeholder"+path, nil)
				r.URL.Path, r.RequestURI = path, "/admin"+path
				r.Host = host
				r.Header.Set("Origin", "http://"+host)
				r.Header.Set("Sec-Fetch-Site", "same-origin")
				r.Header.Set("X-Forwarded-Host", "keys.example.com")
				w := httptest.NewRecorder()
				s.handler.ServeHTTP(w, r)
				assert.Equal(t, !allowed, w.Code == http.StatusMisdirectedRequest, "%s %s of %q", method, path, host)
				if !allowed {
					assert.NotContains(t, w.Body.String(), "evil.example")
					assert.NotContains(t, w.Body.String(), "<script>")
					assert.NotContains(t, w.Body.String(), `name="nonce"`)
				}
			}
		}
	}
	assert.Contains(t, s.log.String(), "a request for another host was refused")
}

func TestAnotherHostGetsNoNewKey(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{AllowedHosts: []string{"keys.example.com"}, Authorize: ann})
	v := s.visitor()
	v.header.Set("Host", "keys.example.com")
	form := url.Values{"nonce": {v.get("/admin/add").nonce()}, "name": {"Backup job"}, "expiry": {"never"}}.Encode()
	v.header.Set("Host", "evil.example")
	v.header.Set("Origin", "https://evil.example")
	a := v.do("POST", "/admin/add", form)
	assert.Equal(t, http.StatusMisdirectedRequest, a.StatusCode)
	assert.NotRegexp(t, regexpKey, a.body)
	assert.Empty(t, s.keys())
}

func TestPrintingTheDashboardShowsNoSecret(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	o := Options{PasswordHash: testHash()}
	handler, err := New(s.handler.desk, o)
	require.NoError(t, err)
	phc := testHash().Reveal()
	sum := phc[strings.LastIndexByte(phc, '$')+1:]
	raw, err := base64.RawStdEncoding.DecodeString(sum)
	require.NoError(t, err)
	for name, value := range map[string]any{"Handler": handler, "*Handler": *handler, "Options": o, "*Options": &o} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%x"} {
			shown := fmt.Sprintf(verb, value)
			for _, secret := range []string{sum, fmt.Sprintf("%x", sum), fmt.Sprintf("%x", raw), fmt.Sprint(raw)} {
				assert.NotContains(t, shown, secret, "%s by %s", name, verb)
			}
		}
		dumped := dump(reflect.ValueOf(value), map[unsafe.Pointer]bool{})
		for _, secret := range []string{sum, string(raw)} {
			assert.NotContains(t, dumped, secret, "%s by reflection", name)
		}
	}
}

// dump returns all strings and bytes that reflection reaches. It calls no method.
func dump(v reflect.Value, seen map[unsafe.Pointer]bool) string {
	var all strings.Builder
	switch v.Kind() {
	case reflect.String:
		all.WriteString(v.String())
	case reflect.Uint8:
		all.WriteByte(byte(v.Uint()))
	case reflect.Pointer:
		if !v.IsNil() && !seen[v.UnsafePointer()] {
			seen[v.UnsafePointer()] = true
			all.WriteString(dump(v.Elem(), seen))
		}
	case reflect.Interface:
		all.WriteString(dump(v.Elem(), seen))
	case reflect.Struct:
		for i := range v.NumField() {
			all.WriteString(dump(v.Field(i), seen))
		}
	case reflect.Slice, reflect.Array:
		for i := range v.Len() {
			all.WriteString(dump(v.Index(i), seen))
		}
	case reflect.Map:
		for _, key := range v.MapKeys() {
			all.WriteString(dump(key, seen) + dump(v.MapIndex(key), seen))
		}
	}
	return all.String()
}
