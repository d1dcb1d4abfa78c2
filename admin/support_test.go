package admin

import (
	"crypto/tls"
	"io"
	"log/slog"
	"net/http"
	"net/http/cookiejar"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/alexedwards/scs/v2"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

const testPassword = "correct horse battery staple"

// testHash is made once: hashing takes long by design.
var testHash = sync.OnceValue(func() string {
	hash, err := HashPassword(apikey.NewSecret(testPassword))
	if err != nil {
		panic(err)
	}
	return hash
})

// A site is a dashboard being served under /admin/ by TLS, and an API beside it at /api.
type site struct {
	t       testing.TB
	handler *Handler
	store   *auditedStore
	issuer  *apikey.Issuer
	mux     *http.ServeMux
	server  *httptest.Server
	log     *strings.Builder
}

func newSite(t testing.TB, o Options) *site {
	t.Helper()
	s := &site{t: t, store: &auditedStore{Store: memstore.New()}, log: &strings.Builder{}}
	var err error
	s.issuer, err = apikey.NewIssuer(s.store, nil)
	require.NoError(t, err)
	if o.Authorize == nil && o.PasswordHash == "" {
		o.PasswordHash = testHash()
	}
	o.Logger = slog.New(slog.NewTextHandler(&lockedWriter{to: s.log}, nil))
	s.handler, err = New(s.issuer, o)
	require.NoError(t, err)
	auth, err := apikey.New(s.store, apikey.Options{Logger: o.Logger})
	require.NoError(t, err)
	s.mux = http.NewServeMux()
	s.mux.Handle("/admin/", http.StripPrefix("/admin", s.handler))
	s.mux.Handle("/api", auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	s.server = httptest.NewTLSServer(s.mux)
	t.Cleanup(s.server.Close)
	return s
}

type lockedWriter struct {
	mu sync.Mutex
	to io.Writer
}

func (w *lockedWriter) Write(b []byte) (int, error) {
	w.mu.Lock()
	defer w.mu.Unlock()
	return w.to.Write(b)
}

// keys returns all keys, the oldest first.
func (s *site) keys() (names []string) {
	page, err := s.store.List(s.t.Context(), apikey.ListOptions{})
	require.NoError(s.t, err)
	for _, key := range page.Keys {
		names = append([]string{key.Name}, names...)
	}
	return names
}

func (s *site) newest() apikey.Key {
	page, err := s.store.List(s.t.Context(), apikey.ListOptions{Limit: 1})
	require.NoError(s.t, err)
	return page.Keys[0]
}

func (s *site) issue(name string) (secret string, key apikey.Key) {
	s.t.Helper()
	made, key, err := s.issuer.Issue(s.t.Context(), apikey.Key{Name: name})
	require.NoError(s.t, err)
	return made.Reveal(), key
}

// A visitor is a browser, as far as HTTP goes: it keeps cookies and does not follow redirects.
type visitor struct {
	s      *site
	client *http.Client
	header http.Header // that it sends with every request
	prefix string      // of the dashboard
}

func (s *site) visitor() *visitor {
	jar, err := cookiejar.New(nil)
	require.NoError(s.t, err)
	client := *s.server.Client()
	client.Jar = jar
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
	return &visitor{s, &client, http.Header{}, "/admin/"}
}

// at makes a visitor see the dashboard where another handler has it, without a network.
func (v *visitor) at(h http.Handler, prefix string) {
	v.client.Transport, v.prefix = inProcess{h, true}, prefix
}

// inProcess hands requests to a handler as a server would.
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

// An answer is a response that has been read.
type answer struct {
	*http.Response
	body string
}

func (v *visitor) do(method, path, body string) answer {
	v.s.t.Helper()
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

// hrefs finds the links of a page.
var hrefs = regexp.MustCompile(`(?:href|src|action)="([^"]*)"`)

var tokenInPage = regexp.MustCompile(`name="token" value="([^"]+)"`)

// token returns the last form token in a page, which is that of its own form.
func (a answer) token() string {
	found := tokenInPage.FindAllStringSubmatch(a.body, -1)
	if len(found) == 0 {
		return ""
	}
	return found[len(found)-1][1]
}

// post loads the page with the form and sends it, filled in.
func (v *visitor) post(path string, fields ...string) answer {
	v.s.t.Helper()
	form := url.Values{"token": {v.get(path).token()}}
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

func (v *visitor) loggedIn() bool {
	v.s.t.Helper()
	return v.get(v.prefix).StatusCode == http.StatusOK
}

// cookies are those that the visitor sends to the dashboard.
func (v *visitor) cookies() []*http.Cookie {
	u, _ := url.Parse(v.s.server.URL + v.prefix)
	return v.client.Jar.Cookies(u)
}

func (v *visitor) set(cookies []*http.Cookie) {
	u, _ := url.Parse(v.s.server.URL + v.prefix)
	v.client.Jar.SetCookies(u, cookies)
}

// regexpKey finds a key of the default Format.
var regexpKey = regexp.MustCompile(`ak_[0-9A-Za-z]{36}`)

// recordedSessions remember all that was ever written to a store of sessions.
type recordedSessions struct {
	scs.Store
	mu  sync.Mutex
	all strings.Builder
}

func (s *recordedSessions) Commit(token string, data []byte, expiry time.Time) error {
	s.mu.Lock()
	s.all.Write(data)
	s.mu.Unlock()
	return s.Store.Commit(token, data, expiry)
}

func (s *recordedSessions) written() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.all.String()
}

// regexpNext finds the link to the next page.
var regexpNext = regexp.MustCompile(`rel="next" href="([^"]+)"`)
