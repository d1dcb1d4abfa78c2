package admin

import (
	"crypto/rand"
	"encoding/base64"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"

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

// regexpKey finds a key of the default Format.
var regexpKey = regexp.MustCompile(`ak_[0-9A-Za-z]{36}`)
