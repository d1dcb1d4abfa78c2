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

func TestASecondDecisionIsObservedOnlyIfItDiffers(t *testing.T) {
	t.Parallel()
	var outcomes []string
	s := newService(t, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { outcomes = append(outcomes, e.Outcome()) }})
	h := s.auth.Optional(s.auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	swapped := s.auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-API-Key", s.other) // by whatever stands between
		s.handler.ServeHTTP(w, r)
	}))
	for _, test := range []struct {
		name, target, line string
		h                  http.Handler
		want               []string
	}{
		{"the same key in a header", "/", "X-API-Key: {K}", h, []string{"accepted"}},
		{"the same key in the query", "/?api_key={K}", "X-None: x", h, []string{"accepted"}},
		{"no key", "/", "X-None: x", h, []string{"missing", "missing"}},
		{"another key", "/", "X-API-Key: {K}", swapped, []string{"accepted", "accepted"}},
	} {
		outcomes = nil
		get(test.h, s.fill(test.target), s.fill(test.line))
		assert.Equal(t, test.want, outcomes, test.name)
	}
}

func TestAPreflightPassesRequire(t *testing.T) {
	t.Parallel()
	for _, allow := range []bool{true, false} {
		refused := 0
		s := newService(t, apikey.Options{AllowPreflight: allow, OnRefuse: func(w http.ResponseWriter, _ *http.Request, err error) {
			refused++
			w.WriteHeader(apikey.StatusCode(err))
		}})
		served := 0
		h := apikey.Require("library:read")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { served++ }))
		r := newRequest("/", "Origin: https://app.example", "Access-Control-Request-Method: GET")
		r.Method = "OPTIONS"
		want := map[bool]int{true: 200, false: 401}[allow]
		assert.Equal(t, want, serve(s.auth.Handler(h), r).Code)
		assert.Equal(t, want, serve(s.auth.Optional(h), r).Code)
		assert.Equal(t, 401, serve(s.auth.Optional(h), newRequest("/")).Code, "what is no preflight")
		assert.Equal(t, 401, serve(s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Method = "DELETE" // a method override behind the Middleware
			h.ServeHTTP(w, r)
		})), r.Clone(t.Context())).Code, "what is no preflight any more")
		if allow {
			assert.Equal(t, 2, served)
			assert.Equal(t, 2, refused, "by the Refuse of the Middleware")
		} else {
			assert.Zero(t, served)
		}
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
