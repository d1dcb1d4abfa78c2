package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestNewRefusesInvalidOptions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name      string
		store     apikey.KeyStore
		options   apikey.Options
		wantError string
	}{
		{"no store", nil, apikey.Options{}, "KeyStore: nil"},
		{"a nil pointer as the store", (*memstore.Store)(nil), apikey.Options{}, "KeyStore: nil"},
		{"a nil function as the store", storeFunc(nil), apikey.Options{}, "KeyStore: nil"},
		{"a realm that ends its quotes", memstore.New(), apikey.Options{Realm: `a", error="b`}, "Realm"},
		{"a realm with a line break", memstore.New(), apikey.Options{Realm: "a\r\nSet-Cookie: x"}, "Realm"},
		{"Adopt without AllowImported", memstore.New(), apikey.Options{Adopt: func(context.Context, apikey.Secret) (*apikey.Key, error) { return nil, apikey.ErrNotFound }}, "Adopt: apikey.Format(ak_, peppers: 0) does not accept imported keys"},
		{"a realm of 101 characters", memstore.New(), apikey.Options{Realm: strings.Repeat("r", 101)}, "Realm"},
	} {
		t.Run(test.name, func(t *testing.T) {
			auth, err := apikey.New(test.store, test.options)
			assert.Nil(t, auth)
			require.ErrorIs(t, err, apikey.ErrInvalid)
			assert.ErrorContains(t, err, test.wantError)
		})
	}
}

func TestAuthorize(t *testing.T) {
	t.Parallel()
	var verdict error
	var seen *http.Request
	var event apikey.Event
	s := newService(t, apikey.Options{
		Sources: []apikey.Source{apikey.Header("X-API-Key"), apikey.Bearer(), apikey.Query("api_key")},
		Authorize: func(r *http.Request, key *apikey.Key) error {
			seen = r
			if key.Name != "Backup job" {
				return errors.New("not this key")
			}
			return verdict
		},
		Observe: func(_ context.Context, e apikey.Event) { event = e },
	})
	t.Run("no error permits the key", func(t *testing.T) {
		assert.Equal(t, 200, get(s.handler, "/", "X-API-Key: "+s.valid).Code)
	})
	t.Run("an error is a 403, and the response does not contain it", func(t *testing.T) {
		w := get(s.handler, "/", "X-API-Key: "+s.other)
		assert.Equal(t, 403, w.Code)
		assert.NotContains(t, w.Body.String(), "not this key")
		assert.Equal(t, "forbidden", event.Outcome())
		assert.Equal(t, "Home automation", event.Key.Name)
		assert.ErrorContains(t, event.Err, "not this key")
	})
	t.Run("an error that wraps ErrUnavailable is a 503", func(t *testing.T) {
		verdict = fmt.Errorf("policy server: %w", apikey.ErrUnavailable)
		defer func() { verdict = nil }()
		assert.Equal(t, 503, get(s.handler, "/", "X-API-Key: "+s.valid).Code)
	})
	t.Run("Authorize is not called for invalid keys", func(t *testing.T) {
		seen = nil
		for _, key := range []string{s.revoked, s.expired, s.unknown, "nonsense"} {
			get(s.handler, "/", "X-API-Key: "+key)
		}
		assert.Nil(t, seen)
	})
	t.Run("the request of Authorize contains no key", func(t *testing.T) {
		get(s.handler, "/p?a=1&api_key="+s.valid+"&b=2", "X-API-Key: "+s.valid, "Authorization: Bearer "+s.valid, "Authorization: Basic dTpw")
		require.NotNil(t, seen)
		assert.NotContains(t, fmt.Sprintf("%v %v %v", seen.URL, seen.RequestURI, seen.Header), s.valid)
		assert.Equal(t, "/p?a=1&b=2", seen.RequestURI)
		assert.Equal(t, []string{"Bearer REDACTED", "Basic dTpw"}, seen.Header.Values("Authorization"))
		assert.Equal(t, "REDACTED", seen.Header.Get("X-API-Key"))
	})
	t.Run("the request of the handler keeps its header", func(t *testing.T) {
		s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
			assert.Equal(t, s.valid, r.Header.Get("X-API-Key"))
		})).ServeHTTP(httptest.NewRecorder(), newRequest("/", "X-API-Key: "+s.valid))
	})
}

func TestVerify(t *testing.T) {
	t.Parallel()
	var event apikey.Event
	s := newService(t, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { event = e }})
	for _, test := range []struct {
		name string
		key  string
		want error
	}{
		{"a valid key", s.valid, nil},
		{"no key", "", apikey.ErrMissing},
		{"a space", " ", apikey.ErrMissing},
		{"a malformed key", "x", apikey.ErrMalformed},
		{"an unknown key", s.unknown, apikey.ErrNotFound},
		{"a revoked key", s.revoked, apikey.ErrRevoked},
		{"an expired key", s.expired, apikey.ErrExpired},
	} {
		t.Run(test.name, func(t *testing.T) {
			key, err := s.auth.Verify(t.Context(), apikey.NewSecret(test.key))
			assert.ErrorIs(t, err, test.want)
			assert.ErrorIs(t, event.Err, test.want)
			if test.want == nil {
				assert.Equal(t, s.key.ID, key.ID)
			} else {
				assert.Nil(t, key)
			}
		})
	}
}

func TestMiddlewareCheck(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{Authorize: func(r *http.Request, _ *apikey.Key) error {
		if r.URL.Path == "/closed" {
			return errors.New("closed to keys")
		}
		return nil
	}})
	for name, r := range map[string]*http.Request{"header": newRequest("/", "X-API-Key: "+s.valid), "query": newRequest("/?api_key=" + s.valid)} {
		var admitted *http.Request
		serve(s.auth.Conceal(s.auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) { admitted = r }))), r)
		key, err := s.auth.Check(admitted)
		require.NoError(t, err, name)
		require.Equal(t, s.key.ID, key.ID, name)
		closed := admitted.Clone(admitted.Context())
		closed.URL.Path = "/closed"
		_, err = s.auth.Check(closed)
		require.ErrorIs(t, err, apikey.ErrForbidden, name)
	}
	for _, test := range []struct {
		key  string
		want error
	}{{s.revoked, apikey.ErrRevoked}, {"", apikey.ErrMissing}, {s.unknown, apikey.ErrNotFound}, {"x", apikey.ErrMalformed}} {
		key, err := s.auth.Check(newRequest("/", "X-API-Key: "+test.key))
		require.ErrorIs(t, err, test.want)
		require.Nil(t, key)
	}
}
