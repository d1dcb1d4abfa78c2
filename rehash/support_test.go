package rehash

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// The hashes were computed with hashlib and hmac of Python.
const (
	giteaToken   = "0123456789abcdef0123456789abcdef01234567"
	giteaSalt    = "Xy3AbCdE9z"
	giteaHash    = "e94356577416b0be1092aa83171170ef6afcea3a3f22449e68c9198bfde5aef7e7313132846574ead17df3f4da373f5d463b"
	grafanaToken = "glsa_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef_85196f58"
	grafanaHash  = "fd7c7914bfafc2f371ea59ff8d0e900ca5cedfb0733bf8be47b29c143cf2d324931685f25b97994154fb28977043d78859c3"
	sha512Token  = "Ab3dEf6h.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
	sha512Hash   = "sha512$$ea288c70520612d98e84f1f9f901b29eeed831493987503b4a9a3a55236e66cf7fb4a45ec27d408679cdfb194b7bc89b664e5b2043c77e87be5906de79f70c5f"
	pbkdf2Token  = "Zz3dEf6h.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
	pbkdf2Hash   = "pbkdf2_sha256$1000$saltsalt$57mI0KNwtbzs/v+UUC0sbgbRGJHNe3f/xsyjmxnsfXc="
	sanctumPlain = "a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2"
	sanctumHash  = "001e010b1366780304f9219b5fbfdc2a71449c45e860449690cc46cfb76fa569"
	strapiHash   = "d81bc28f5e3011b916eb25d04c04657cd852ad4b8fb4a5560bbe5593f7014c555ce629f6f61721fe3f350848b44f0b3e90dceecfe2fb3c0d6bb3913b0d2cbc78"
)

var strapiToken = strings.Repeat("0123456789abcdef", 16)

func strapi() Scheme { return Strapi(apikey.NewSecret("salt-of-strapi")) }

func row(t testing.TB) func(Row, error) Row {
	return func(r Row, err error) Row {
		t.Helper()
		require.NoError(t, err)
		return r
	}
}

// A service accepts keys of other systems.
type service struct {
	t       testing.TB
	store   *memstore.Store
	issuer  *apikey.Issuer
	adopter *Adopter
	keys    *apikey.Middleware
}

func newService(t testing.TB, o Options, peppers ...apikey.Secret) *service {
	t.Helper()
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true, Peppers: peppers})
	require.NoError(t, err)
	s := &service{t: t, store: memstore.New()}
	s.issuer, err = apikey.NewIssuer(s.store, apikey.IssuerOptions{Format: format})
	require.NoError(t, err)
	s.adopter, err = New(s.store, s.issuer, o)
	require.NoError(t, err)
	s.keys, err = apikey.New(s.store, apikey.Options{Format: format, Adopt: s.adopter.Adopt})
	require.NoError(t, err)
	return s
}

// pend stores a pending key, whose deadline is in 100 hours.
func (s *service) pend(r Row) apikey.Key {
	s.t.Helper()
	key, err := r.Import(s.t.Context(), s.issuer, apikey.ImportedKey{
		Name: "CI", Owner: "ann", Scopes: []string{"read"}, Metadata: map[string]string{"source": "test"},
		CreatedAt: time.Now().Add(-time.Hour), ExpiresAt: time.Now().Add(1000 * time.Hour),
	}, time.Now().Add(100*time.Hour))
	require.NoError(s.t, err)
	return key
}

// request sends a request with a key and returns the status and the ID of the key that the service saw.
func (s *service) request(key string) (int, string) {
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", key)
	w := httptest.NewRecorder()
	s.keys.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		k, _ := apikey.FromContext(r.Context())
		w.Write([]byte(k.ID))
	})).ServeHTTP(w, r)
	if w.Code != 200 {
		return w.Code, ""
	}
	return w.Code, w.Body.String()
}

func (s *service) refused(key, why string) {
	s.t.Helper()
	status, _ := s.request(key)
	assert.Equal(s.t, 401, status, why)
}

// counting returns a scheme that counts its hashes. If hold is not nil, each hash waits until hold is closed.
func counting(s Scheme, n *atomic.Int64, hold <-chan struct{}) Scheme {
	verify := s.verify
	s.verify = func(text, hash string) bool {
		n.Add(1)
		if hold != nil {
			<-hold
		}
		return verify(text, hash)
	}
	return s
}
