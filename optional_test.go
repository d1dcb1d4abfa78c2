package apikey_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestOptional(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	whoever := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, ok := apikey.FromContext(r.Context())
		fmt.Fprint(w, key.ID, ok)
	})
	mux := http.NewServeMux()
	mux.Handle("/open", whoever)
	mux.Handle("/closed", s.auth.Handler(whoever))
	mux.Handle("/scoped", apikey.Require("library:read")(whoever))
	h := s.auth.Optional(mux)
	elsewhere := newService(t, apikey.Options{})
	wrapped := fmt.Errorf("second factor: %w", apikey.ErrMissing)
	forbidding := newService(t, apikey.Options{Authorize: func(*http.Request, *apikey.Key) error { return wrapped }})
	broken, err := apikey.New(storeFunc(func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, wrapped }), apikey.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	odd, err := apikey.New(s.store, apikey.Options{Logger: slog.New(slog.DiscardHandler), Sources: []apikey.Source{
		apikey.Query("api_key"), apikey.SourceFunc("odd", func(*http.Request) (string, error) { return "", apikey.ErrMissing })}})
	require.NoError(t, err)
	for _, test := range []struct {
		name   string
		h      http.Handler
		target string
		status int
		body   string
	}{
		{"no key is served", h, "/open", 200, "false"},
		{"a valid key is known", h, "/open?api_key={K}", 200, s.key.ID + "true"},
		{"a wrong key is refused", h, "/open?api_key={W}", 401, ""},
		{"two keys are refused", h, "/open?api_key={K}&api_key={O}", 400, ""},
		{"a key that Authorize refuses by an ErrMissing is refused", forbidding.auth.Optional(mustNotServe(t)), "/?api_key=" + forbidding.good, 403, ""},
		{"an outage that wraps ErrMissing is an outage", broken.Optional(mustNotServe(t)), "/?api_key={K}", 503, ""},
		{"a SourceFunc that fails with ErrMissing is an outage", odd.Optional(mustNotServe(t)), "/?api_key={K}", 503, ""},
		{"Handler behind it refuses without a key", h, "/closed", 401, ""},
		{"Handler behind it accepts the query's key that is already gone", h, "/closed?api_key={K}", 200, s.key.ID + "true"},
		{"Require behind it refuses without a key", h, "/scoped", 401, ""},
		{"Require behind it accepts", h, "/scoped?api_key={K}", 200, s.key.ID + "true"},
		{"Handler of another Middleware does not accept what this one did", s.auth.Handler(elsewhere.auth.Handler(whoever)), "/?api_key={K}", 401, ""},
		{"Optional of another Middleware leaves the identity", s.auth.Handler(elsewhere.auth.Optional(whoever)), "/?api_key={K}", 200, s.key.ID + "true"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := get(test.h, s.fill(test.target))
			assert.Equal(t, test.status, w.Code)
			if test.status == 200 {
				assert.Equal(t, test.body, w.Body.String())
			}
		})
	}
}

func TestPreflight(t *testing.T) {
	t.Parallel()
	preflight := []string{"Origin: https://app.example", "Access-Control-Request-Method: GET"}
	for _, test := range []struct {
		name   string
		allow  bool
		method string
		lines  []string
		status int
	}{
		{"a preflight passes where that is allowed", true, "OPTIONS", preflight, 200},
		{"a preflight needs a key elsewhere", false, "OPTIONS", preflight, 401},
		{"OPTIONS without Origin needs a key", true, "OPTIONS", preflight[1:], 401},
		{"OPTIONS without Access-Control-Request-Method needs a key", true, "OPTIONS", preflight[:1], 401},
		{"GET with a preflight's headers needs a key", true, "GET", preflight, 401},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t, apikey.Options{AllowPreflight: test.allow})
			r := newRequest("/?api_key=wrong", test.lines...)
			r.Method = test.method
			var seen *http.Request
			w := serve(s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { seen = r })), r)
			assert.Equal(t, test.status, w.Code)
			assert.Zero(t, s.store.lookups.Load())
			if test.status == 200 {
				_, known := apikey.FromContext(seen.Context())
				assert.False(t, known, "no identity")
				assert.Equal(t, "/", seen.RequestURI, "no key")
			}
		})
	}
}
