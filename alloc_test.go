package apikey_test

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// A discard is a ResponseWriter that keeps its header alone, as that of a server does
// not count here.
type discard struct{ header http.Header }

func (d discard) Header() http.Header         { return d.header }
func (d discard) Write(b []byte) (int, error) { return len(b), nil }
func (d discard) WriteHeader(int)             {}

var escaped *http.Request

func TestAllocationsOfARequest(t *testing.T) {
	if raceDetector {
		t.Skip("skipped: the race detector changes what is allocated")
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
		{"a key in the header: the request's copy together with its context", apikey.Options{}, "/", "X-API-Key: {K}", 1},
		{"with a pepper", apikey.Options{Format: peppered}, "/", "X-API-Key: {K}", 1},
		{"a key in the query: the URI too", apikey.Options{}, "/x?a=1&api_key={K}&b=2", "", 2},
		{"a key alone in the query: its URI is a part of what was there", apikey.Options{}, "/x?api_key={K}", "", 1},
		{"a header whose name is not canonical", apikey.Options{Sources: []apikey.Source{apikey.Header("x-SERVICE-token")}}, "/", "X-Service-Token: {K}", 1},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, test.options)
			future := time.Now().Add(time.Hour)
			_, err := s.store.Update(t.Context(), s.key.ID, apikey.Patch{ExpiresAt: &future})
			require.NoError(t, err)
			h := s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { escaped = r }))
			w := discard{http.Header{}}
			r := newRequest(s.fill(test.target))
			if name, value, ok := strings.Cut(s.fill(test.line), ": "); ok {
				r.Header.Set(name, value)
			}
			escaped = nil
			assert.Equal(t, test.want, testing.AllocsPerRun(200, func() {
				clear(w.header)
				h.ServeHTTP(w, r)
			}))
			require.NotNil(t, escaped, "the request was let in")
		})
	}
}

func TestARefusalAllocatesNothingBeforeItsResponse(t *testing.T) {
	s := newService(t, apikey.Options{})
	for _, test := range []struct{ name, target, line string }{
		{"no key", "/?a=1", ""},
		{"a key that is too short", "/", "X-API-Key: " + s.good[:30]},
		{"a key with a character that none has", "/", "X-API-Key: " + s.good[:38] + "-"},
		{"wrong check characters", "/", "X-API-Key: " + s.good[:33] + "000000"},
		{"a misshapen key in the query", "/?api_key=x", ""},
		{"a key of 1 MiB", "/", "X-API-Key: ak_" + strings.Repeat("x", 1<<20)},
		{"an unknown key", "/", "X-API-Key: " + s.unknown},
	} {
		t.Run(test.name, func(t *testing.T) {
			r := newRequest(test.target)
			if name, value, ok := strings.Cut(test.line, ": "); ok {
				r.Header.Set(name, value)
			}
			w := discard{http.Header{}}
			assert.Zero(t, testing.AllocsPerRun(100, func() {
				if _, err := s.auth.Authenticate(w, r); err == nil {
					t.Fatal("accepted")
				}
			}))
		})
	}
}
