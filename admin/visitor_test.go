package admin

import (
	"crypto/tls"
	"io"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"

	"github.com/stretchr/testify/require"
)

// A visitor is a browser that keeps cookies and does not follow redirects.
type visitor struct {
	s      *site
	client *http.Client
	header http.Header // sent with every request
	prefix string      // of the dashboard

	account string // sent with every form, if it names none; "" is an administrator's
}

func (s *site) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	client := *s.server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &visitor{s: s, client: &client, header: http.Header{}, prefix: "/admin/"}
}

// at sends the requests of a visitor to a handler under a prefix, without a network.
func (v *visitor) at(h http.Handler, prefix string) {
	v.client.Transport, v.prefix = inProcess{h, true}, prefix
}

// inProcess serves requests by a handler.
type inProcess struct {
	handler http.Handler
	tls     bool
}

func (p inProcess) RoundTrip(r *http.Request) (*http.Response, error) {
	in := httptest.NewRequestWithContext(r.Context(), r.Method, r.URL.RequestURI(), r.Body)
	in.Header, in.Host = r.Header.Clone(), r.Host
	if p.tls {
		in.TLS = &tls.ConnectionState{}
	}
	w := httptest.NewRecorder()
	p.handler.ServeHTTP(w, in)
	return w.Result(), nil
}

// An answer is a response with its body.
type answer struct {
	*http.Response
	body string
}

func (v *visitor) do(method, path, body string) answer {
	v.s.t.Helper()
	if method == "POST" && v.account != "" && !strings.Contains(body, "account=") {
		body += "&account=" + v.account
	}
	r, err := http.NewRequestWithContext(v.s.t.Context(), method, v.s.server.URL+path, strings.NewReader(body))
	require.NoError(v.s.t, err)
	r.Header.Set("Sec-Fetch-Site", "same-origin")
	if body != "" {
		r.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	for name, values := range v.header {
		r.Header[name] = values
	}
	if host := v.header.Get("Host"); host != "" {
		r.Host = host
	}
	response, err := v.client.Do(r)
	require.NoError(v.s.t, err)
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	require.NoError(v.s.t, err)
	return answer{response, string(text)}
}

func (v *visitor) get(path string) answer { v.s.t.Helper(); return v.do("GET", path, "") }

// hrefs finds the URLs in a page.
var hrefs = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)

var nonceInPage = regexp.MustCompile(`name="nonce" value="([^"]+)"`)

// nonce returns the nonce of the form in a page, or "".
func (a answer) nonce() string {
	if found := nonceInPage.FindStringSubmatch(a.body); found != nil {
		return found[1]
	}
	return ""
}

// post loads the page with the form, fills the form in and sends it.
func (v *visitor) post(path string, fields ...string) answer {
	v.s.t.Helper()
	form := url.Values{"nonce": {v.get(path).nonce()}}
	for i := 0; i+1 < len(fields); i += 2 {
		form.Add(fields[i], fields[i+1])
	}
	return v.do("POST", path, form.Encode())
}

func (v *visitor) login() answer {
	v.s.t.Helper()
	a := v.post(v.prefix+"login", "password", testPassword)
	require.Equal(v.s.t, http.StatusSeeOther, a.StatusCode, a.body)
	return a
}

func (v *visitor) tryLogin(password string) int {
	v.s.t.Helper()
	return v.post("/admin/login", "password", password).StatusCode
}

// loginAgain logs in within a session.
func (v *visitor) loginAgain() {
	v.s.t.Helper()
	form := url.Values{"password": {testPassword}}
	require.Equal(v.s.t, http.StatusSeeOther, v.do("POST", "/admin/login", form.Encode()).StatusCode)
}

func (v *visitor) loggedIn() bool {
	v.s.t.Helper()
	return v.get(v.prefix).StatusCode == http.StatusOK
}

// cookies returns the cookies that the visitor sends to the dashboard.
func (v *visitor) cookies() []*http.Cookie {
	u, _ := url.Parse(v.s.server.URL + v.prefix)
	return v.client.Jar.Cookies(u)
}

func (v *visitor) set(cookies []*http.Cookie) {
	u, _ := url.Parse(v.s.server.URL + v.prefix)
	v.client.Jar.SetCookies(u, cookies)
}
