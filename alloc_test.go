package apikey_test

import (
	"net/http"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// A discardWriter is a ResponseWriter that does not allocate.
type discardWriter struct{ header http.Header }

func (d discardWriter) Header() http.Header         { return d.header }
func (d discardWriter) Write(b []byte) (int, error) { return len(b), nil }
func (d discardWriter) WriteHeader(int)             {}

// escaped makes the request of the handler escape to the heap, as in a service.
var escaped *http.Request

func TestRequestAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("skipped: the race detector changes allocations")
	}
	pepper := apikey.NewSecret(strings.Repeat("p", 32))
	peppered, err := apikey.NewFormat("ak", apikey.FormatOptions{Peppers: []apikey.Secret{pepper}})
	require.NoError(t, err)
	for _, test := range []struct {
		name    string
		options apikey.Options
		target  string
		line    string
		want    float64
	}{
		{"a key in the header: the copy of the request with its context", apikey.Options{}, "/", "X-API-Key: {valid}", 1},
		{"a peppered key", apikey.Options{Format: peppered}, "/", "X-API-Key: {valid}", 1},
		{"a key in the query: also the URI", apikey.Options{}, "/x?a=1&api_key={valid}&b=2", "", 2},
		{"only a key in the query: the URI is a part of the original", apikey.Options{}, "/x?api_key={valid}", "", 1},
		{"a recorded address", apikey.Options{RecordAddress: true}, "/", "X-API-Key: {valid}", 1},
		{"a source with a name that is not canonical", apikey.Options{Sources: []apikey.Source{apikey.Header("x-SERVICE-token")}}, "/", "X-Service-Token: {valid}", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, test.options)
			future := time.Now().Add(time.Hour)
			_, err := s.store.Update(t.Context(), s.key.ID, apikey.Patch{ExpiresAt: &future})
			require.NoError(t, err)
			h := s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { escaped = r }))
			w := discardWriter{http.Header{}}
			r := newRequest(s.fill(test.target))
			if name, value, ok := strings.Cut(s.fill(test.line), ": "); ok {
				r.Header.Set(name, value)
			}
			escaped = nil
			assert.Equal(t, test.want, testing.AllocsPerRun(200, func() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}))
			require.NotNil(t, escaped, "the handler was not called")
		})
	}
}

func TestRefusalAllocations(t *testing.T) {
	s := newService(t, apikey.Options{})
	for _, test := range []struct{ name, target, line string }{
		{"no key", "/?a=1", ""},
		{"a key that is too short", "/", "X-API-Key: " + s.valid[:30]},
		{"a key with a character that is not base62", "/", "X-API-Key: " + s.valid[:38] + "-"},
		{"wrong check characters", "/", "X-API-Key: " + s.valid[:33] + "000000"},
		{"a malformed key in the query", "/?api_key=x", ""},
		{"a key of 1 MiB", "/", "X-API-Key: ak_" + strings.Repeat("x", 1<<20)},
		{"an unknown key", "/", "X-API-Key: " + s.unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(test.target)
			if name, value, ok := strings.Cut(test.line, ": "); ok {
				r.Header.Set(name, value)
			}
			w := discardWriter{http.Header{}}
			assert.Zero(t, testing.AllocsPerRun(100, func() {
				if _, err := s.auth.Authenticate(w, r); err == nil {
					t.Fatal("accepted")
				}
			}))
		})
	}
}

func TestImportedKeyAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("skipped: the race detector changes allocations")
	}
	s := newService(t, apikey.Options{Format: newFormat(t, "ak", apikey.FormatOptions{AllowImported: true})})
	jwt := strings.Repeat("j", 1024)
	_, err := s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(jwt), Name: "Partner"})
	require.NoError(t, err)
	h := s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { escaped = r }))
	w, r := discardWriter{http.Header{}}, newRequest("/")
	r.Header.Set("X-API-Key", jwt)
	escaped = nil
	assert.EqualValues(t, 1, testing.AllocsPerRun(200, func() {
		clear(w.header)
		h.ServeHTTP(w, r)
	}))
	require.NotNil(t, escaped, "the handler was not called")
}

func TestNetworkAllocations(t *testing.T) {
	if raceDetector {
		t.Skip("skipped: the race detector changes allocations")
	}
	for name, clientAddr := range map[string]func(*http.Request) (netip.Addr, bool){
		"the address of the connection":  nil,
		"the address behind two proxies": apikey.TrustProxies(prefixes("10.0.0.0/8")...),
	} {
		t.Run(name, func(t *testing.T) {
			s := newService(t, apikey.Options{ClientAddr: clientAddr})
			secret, _ := s.issue(t, apikey.NewKey{Name: "Restricted", Networks: prefixes("2001:db8::/32", "192.0.2.0/24")})
			h := s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { escaped = r }))
			w, r := discardWriter{http.Header{}}, newRequest("/")
			r.Header.Set("X-API-Key", secret)
			r.RemoteAddr = "192.0.2.1:1234"
			if clientAddr != nil {
				r.RemoteAddr = "10.0.0.1:1234"
				r.Header.Set("X-Forwarded-For", "198.51.100.1, 192.0.2.1, 10.0.0.2")
			}
			escaped = nil
			assert.EqualValues(t, 1, testing.AllocsPerRun(200, func() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}))
			require.NotNil(t, escaped, "the handler was not called")
		})
	}
}
