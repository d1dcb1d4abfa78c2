package admin

import (
	"context"
	"crypto/rand"
	"crypto/tls"
	"encoding/base64"
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
	"golang.org/x/crypto/argon2"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

const testPassword = "correct horse battery staple"

// testHash is the cheapest hash that New accepts, made once, because hashing takes long by design.
var testHash = sync.OnceValue(func() apikey.Secret { return apikey.NewSecret(cheapHash(testPassword)) })

func cheapHash(password string) string {
	salt := make([]byte, saltLen)
	rand.Read(salt)
	sum := argon2.IDKey([]byte(password), salt, 5, 7168, 1, sumLen)
	return "$argon2id$v=19$m=7168,t=5,p=1$" + base64.RawStdEncoding.EncodeToString(salt) + "$" + base64.RawStdEncoding.EncodeToString(sum)
}

// ann makes every client an administrator, without the cost of a login.
func ann(r *http.Request) (manage.Access, error) { return named("ann")(r) }

// named makes every client an administrator with a name.
func named(actor string) func(*http.Request) (manage.Access, error) {
	return func(*http.Request) (manage.Access, error) {
		return manage.Access{Actor: actor, AllOwners: true, AnyScope: true}, nil
	}
}

// deskOf returns the desk of a store.
func deskOf(t testing.TB, store apikey.KeyManager, o apikey.IssuerOptions) *manage.Desk {
	t.Helper()
	issuer, err := apikey.NewIssuer(store, o)
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	return desk
}

// A site serves a dashboard under /admin/ and an API at /api, over TLS.
type site struct {
	t       testing.TB
	handler *dashboard
	store   *testStore
	issuer  *apikey.Issuer
	mux     *http.ServeMux
	server  *httptest.Server
	log     *strings.Builder
}

func newSite(t testing.TB, o Options) *site {
	t.Helper()
	s := &site{t: t, store: &testStore{Store: memstore.New()}, log: &strings.Builder{}}
	desk := deskOf(t, s.store, apikey.IssuerOptions{})
	s.issuer = desk.Issuer()
	if o.Authorize == nil && o.PasswordHash.Reveal() == "" {
		o.PasswordHash = testHash()
	}
	o.Logger = slog.New(slog.NewTextHandler(&lockedWriter{to: s.log}, nil))
	var err error
	s.handler, err = newDashboard(desk, o)
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

// limit gives the dashboard an issuer with options.
func (s *site) limit(o apikey.IssuerOptions) { s.t.Helper(); s.over(s.store, o) }

// over lets the dashboard use another store.
func (s *site) over(store apikey.KeyManager, o apikey.IssuerOptions) {
	s.t.Helper()
	s.handler.desk = deskOf(s.t, store, o)
	s.issuer = s.handler.desk.Issuer()
}

// plain hides the optional methods of a store.
type plain struct{ apikey.KeyManager }

func (p plain) If(c apikey.Condition) apikey.KeyManager {
	return p.KeyManager.(apikey.Conditional).If(c)
}

// keys returns the names of all keys, the oldest first.
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
	made, key, err := s.issuer.Issue(s.t.Context(), apikey.NewKey{Name: name})
	require.NoError(s.t, err)
	return made.Reveal(), key
}

func (s *site) make(k apikey.NewKey) apikey.Key {
	s.t.Helper()
	_, made, err := s.issuer.Issue(s.t.Context(), k)
	require.NoError(s.t, err)
	return made
}

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

// regexpKey finds a key of the default Format.
var regexpKey = regexp.MustCompile(`ak_[0-9A-Za-z]{36}`)

// recordedSessions records all data that is written to a session store.
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

// A testStore is a memstore whose methods wait or fail on demand.
type testStore struct {
	*memstore.Store
	mu    sync.Mutex
	gates map[string]func() // by method: makes its next call wait
	errs  map[string]error  // by method: its result

	passes int // calls that succeed before errs counts
}

func (s *testStore) fails(method string, err error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.errs, s.passes = map[string]error{method: err}, 0
}

// failsAfter makes a method fail after n calls.
func (s *testStore) failsAfter(method string, n int, err error) {
	s.fails(method, err)
	s.mu.Lock()
	defer s.mu.Unlock()
	s.passes = n
}

// gate makes the next call of a method close entered and wait until leave is closed.
func (s *testStore) gate(method string, entered, leave chan struct{}) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.gates = map[string]func(){method: func() { close(entered); <-leave }}
}

func (s *testStore) pass(method string) error {
	s.mu.Lock()
	wait, err := s.gates[method], s.errs[method]
	delete(s.gates, method)
	if err != nil && s.passes > 0 {
		s.passes--
		err = nil
	}
	s.mu.Unlock()
	if wait != nil {
		wait()
	}
	return err
}

func (s *testStore) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	if err := s.pass("List"); err != nil {
		return apikey.Page{}, err
	}
	return s.Store.List(ctx, o)
}

func (s *testStore) Count(ctx context.Context, o apikey.ListOptions) (apikey.Count, error) {
	if err := s.pass("Count"); err != nil {
		return apikey.Count{}, err
	}
	return s.Store.Count(ctx, o)
}

func (s *testStore) Get(ctx context.Context, id string) (apikey.Key, error) {
	if err := s.pass("Get"); err != nil {
		return apikey.Key{}, err
	}
	return s.Store.Get(ctx, id)
}

func (s *testStore) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	return s.If(apikey.Condition{}).Create(ctx, d, key)
}

func (s *testStore) If(c apikey.Condition) apikey.KeyManager { return testView{s, s.Store.If(c)} }

// A testView is a view of a testStore. Its methods wait or fail as those of the store.
type testView struct {
	*testStore
	view apikey.KeyManager
}

func (v testView) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	if err := v.pass("Create"); err != nil {
		return err
	}
	return v.view.Create(ctx, d, key)
}

func (v testView) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	if err := v.pass("Revoke"); err != nil {
		return apikey.Key{}, err
	}
	return v.view.Revoke(ctx, id)
}

func (v testView) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	if err := v.pass("Update"); err != nil {
		return apikey.Key{}, err
	}
	return v.view.Update(ctx, id, p)
}

func (v testView) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	if err := v.pass("Replace"); err != nil {
		return apikey.Key{}, err
	}
	return v.view.Replace(ctx, id, expiresAt, d, successor)
}

func (s *testStore) RevokeAll(ctx context.Context, owner string) (int, error) {
	if err := s.pass("RevokeAll"); err != nil {
		return 0, err
	}
	return s.Store.RevokeAll(ctx, owner)
}

func (s *testStore) Audit(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
	if err := s.pass("Audit"); err != nil {
		return apikey.AuditPage{}, err
	}
	return s.Store.Audit(ctx, o)
}

func (s *testStore) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if err := s.pass("Lookup"); err != nil {
		return nil, err
	}
	return s.Store.Lookup(ctx, d)
}

func (s *testStore) Successors(ctx context.Context, ids []string) (map[string]string, error) {
	if err := s.pass("Successors"); err != nil {
		return nil, err
	}
	return s.Store.Successors(ctx, ids)
}
