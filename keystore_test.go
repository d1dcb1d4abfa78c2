package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestTouch(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	lastUse := func(s *service) time.Time {
		key, err := s.store.Get(t.Context(), s.key.ID)
		require.NoError(t, err)
		return key.LastUsedAt
	}
	t.Run("a refusal is not a use", func(t *testing.T) {
		forbid, err := apikey.New(s.store, apikey.Options{Authorize: func(*http.Request, *apikey.Key) error { return errors.New("no") }})
		require.NoError(t, err)
		get(forbid.Handler(http.NotFoundHandler()), "/", "X-API-Key: "+s.valid)
		get(s.handler, "/", "X-API-Key: "+s.valid, "X-API-Key: "+s.other)
		assert.Zero(t, lastUse(s))
	})
	t.Run("an accepted request is a use", func(t *testing.T) {
		get(s.handler, "/", "X-API-Key: "+s.valid)
		assert.WithinDuration(t, time.Now(), lastUse(s), time.Minute)
	})
	t.Run("the Toucher is found in wrapped stores", func(t *testing.T) {
		s := newService(t, apikey.Options{})
		auth, err := apikey.New(wrapper{wrapper{s.store}}, apikey.Options{})
		require.NoError(t, err)
		get(auth.Handler(http.NotFoundHandler()), "/", "X-API-Key: "+s.valid)
		assert.NotZero(t, lastUse(s))
	})
}

func TestRecordAddress(t *testing.T) {
	t.Parallel()
	proxied := apikey.TrustProxies(netip.MustParsePrefix("10.0.0.0/8"))
	unknown := func(*http.Request) (netip.Addr, bool) { return netip.MustParseAddr("192.0.2.9"), false }
	mapped := func(*http.Request) (netip.Addr, bool) { return netip.MustParseAddr("::ffff:192.0.2.9%eth0"), true }
	for _, test := range []struct {
		name    string
		options apikey.Options
		peer    string
		want    string
	}{
		{"is off by default", apikey.Options{ClientAddr: proxied}, "192.0.2.1:1234", ""},
		{"records the peer", apikey.Options{RecordAddress: true}, "192.0.2.1:1234", "192.0.2.1"},
		{"records an IPv4 address without its IPv6 form", apikey.Options{RecordAddress: true}, "[::ffff:192.0.2.1]:1234", "192.0.2.1"},
		{"records an address without its zone", apikey.Options{RecordAddress: true}, "[fe80::1%eth0]:1234", "fe80::1"},
		{"records the client behind a proxy", apikey.Options{RecordAddress: true, ClientAddr: proxied}, "10.0.0.1:1234", "2001:db8::7"},
		{"records the result of another ClientAddr in the same form", apikey.Options{RecordAddress: true, ClientAddr: mapped}, "192.0.2.1:1234", "192.0.2.9"},
		{"records no address that ClientAddr does not know", apikey.Options{RecordAddress: true, ClientAddr: unknown}, "192.0.2.1:1234", ""},
		{"records no address of a Unix socket", apikey.Options{RecordAddress: true}, "@", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t, test.options)
			r := newRequest("/")
			r.RemoteAddr = test.peer
			r.Header.Set("X-API-Key", s.valid)
			r.Header.Set("X-Forwarded-For", "2001:db8::7")
			w := httptest.NewRecorder()
			s.handler.ServeHTTP(w, r)
			require.Equal(t, http.StatusOK, w.Code)
			key, err := s.store.Get(t.Context(), s.key.ID)
			require.NoError(t, err)
			require.NotZero(t, key.LastUsedAt)
			want, _ := netip.ParseAddr(test.want)
			require.Equal(t, want, key.LastUsedAddr)
		})
	}
	t.Run("records no address of a key that did not arrive by HTTP", func(t *testing.T) {
		t.Parallel()
		s := newService(t, apikey.Options{RecordAddress: true})
		_, err := s.auth.Verify(t.Context(), apikey.NewSecret(s.valid))
		require.NoError(t, err)
		key, err := s.store.Get(t.Context(), s.key.ID)
		require.NoError(t, err)
		require.NotZero(t, key.LastUsedAt)
		require.False(t, key.LastUsedAddr.IsValid())
	})
}

// A wrapper is a store around another one, like a cache.
type wrapper struct{ inner apikey.KeyStore }

func (w wrapper) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return w.inner.Lookup(ctx, d)
}

func (w wrapper) Unwrap() apikey.KeyStore {
	return w.inner
}

func TestStoreAs(t *testing.T) {
	t.Parallel()
	inner := memstore.New()
	found, ok := apikey.StoreAs[apikey.KeyManager](wrapper{wrapper{inner}})
	assert.True(t, ok)
	assert.Same(t, inner, found)
	_, ok = apikey.StoreAs[interface{ Flush(context.Context) error }](wrapper{inner})
	assert.False(t, ok, "an interface that no store implements")
	_, ok = apikey.StoreAs[apikey.Toucher](wrapper{nil})
	assert.False(t, ok, "a wrapper around nil")
	_, ok = apikey.StoreAs[apikey.Toucher](nil)
	assert.False(t, ok, "a nil store")
}

func TestDigestIsNotPrinted(t *testing.T) {
	t.Parallel()
	d := apikey.Digest{0: 0xca, 1: 0xfe, 2: 0xba, 3: 0xbe}
	type holder struct{ Digest apikey.Digest }
	for _, value := range []any{d, &d, []apikey.Digest{d}, holder{d}, map[apikey.Digest]int{d: 1}, fmt.Errorf("lost: %v", d)} {
		for _, verb := range []string{"%v", "%+v", "%#v", "%s", "%q", "%x", "%X", "%d"} {
			shown := fmt.Sprintf(verb, value)
			for _, form := range []string{"cafe", "CAFE", "202 254", "0xca"} {
				assert.NotContains(t, shown, form, verb)
			}
		}
	}
	var log strings.Builder
	slog.New(slog.NewJSONHandler(&log, nil)).Info("m", "digest", d)
	assert.Contains(t, log.String(), `"digest":"REDACTED"`)
}
