package apikey_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestOptional(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	caller := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, ok := apikey.FromContext(r.Context())
		fmt.Fprint(w, key.ID, ok)
	})
	mux := http.NewServeMux()
	mux.Handle("/open", caller)
	mux.Handle("/closed", s.auth.Handler(caller))
	mux.Handle("/scoped", apikey.Require("library:read")(caller))
	h := s.auth.Optional(mux)
	another := newService(t, apikey.Options{})
	wrapped := fmt.Errorf("second factor: %w", apikey.ErrMissing)
	forbidden := newService(t, apikey.Options{Authorize: func(*http.Request, *apikey.Key) error { return wrapped }})
	unavailable, err := apikey.New(storeFunc(func(context.Context, apikey.Digest) (*apikey.Key, error) { return nil, wrapped }), apikey.Options{Logger: slog.New(slog.DiscardHandler)})
	require.NoError(t, err)
	failing, err := apikey.New(s.store, apikey.Options{Logger: slog.New(slog.DiscardHandler), Sources: []apikey.Source{
		apikey.Query("api_key"), apikey.SourceFunc("failing", func(*http.Request) (string, error) { return "", apikey.ErrMissing })}})
	require.NoError(t, err)
	for _, test := range []struct {
		name   string
		h      http.Handler
		target string
		status int
		body   string
	}{
		{"a request without a key is served", h, "/open", 200, "false"},
		{"a valid key gives an identity", h, "/open?api_key={valid}", 200, s.key.ID + "true"},
		{"an unknown key is refused", h, "/open?api_key={unknown}", 401, ""},
		{"two keys are refused", h, "/open?api_key={valid}&api_key={other}", 400, ""},
		{"a refusal of Authorize that wraps ErrMissing is a refusal", forbidden.auth.Optional(mustNotServe(t)), "/?api_key=" + forbidden.valid, 403, ""},
		{"an outage that wraps ErrMissing is an outage", unavailable.Optional(mustNotServe(t)), "/?api_key={valid}", 503, ""},
		{"a SourceFunc that fails with ErrMissing is an outage", failing.Optional(mustNotServe(t)), "/?api_key={valid}", 503, ""},
		{"Handler behind Optional refuses a request without a key", h, "/closed", 401, ""},
		{"Handler behind Optional accepts a key that was removed from the query", h, "/closed?api_key={valid}", 200, s.key.ID + "true"},
		{"Require behind Optional refuses a request without a key", h, "/scoped", 401, ""},
		{"Require behind Optional accepts a key", h, "/scoped?api_key={valid}", 200, s.key.ID + "true"},
		{"Handler of another Middleware refuses a key that it does not know", s.auth.Handler(another.auth.Handler(caller)), "/?api_key={valid}", 401, ""},
		{"Optional of another Middleware refuses a key that it does not know", s.auth.Handler(another.auth.Optional(caller)), "/?api_key={valid}", 401, ""},
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

func TestOptionalSetsVary(t *testing.T) {
	t.Parallel()
	find := func(*http.Request) (string, error) { return "", nil }
	for _, test := range []struct {
		name    string
		sources []apikey.Source
		want    []string
	}{
		{"the default sources", nil, []string{"X-API-Key, X-Emby-Token, Authorization"}},
		{"only a query", []apikey.Source{apikey.Query("k")}, nil},
		{"each field once", []apikey.Source{apikey.Bearer(), apikey.Scheme("Own"), apikey.SourceFunc("f", find, "authorization", "X-F")}, []string{"Authorization, X-F"}},
		{"a SourceFunc that names no field", []apikey.Source{apikey.Header("X"), apikey.SourceFunc("f", find)}, []string{"*"}},
	} {
		s := newService(t, apikey.Options{Sources: test.sources})
		open := s.auth.Optional(s.auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.Header().Add("Vary", "Accept") })))
		require.Equal(t, append(test.want, "Accept"), get(open, "/").Header().Values("Vary"), test.name)
	}
	s := newService(t, apikey.Options{})
	require.Equal(t, []string{"X-API-Key, X-Emby-Token, Authorization"}, get(s.auth.Optional(s.handler), "/", "X-API-Key: "+s.valid).Header().Values("Vary"), "a request with a key")
	w := httptest.NewRecorder()
	w.Header().Set("Vary", "Origin")
	s.auth.Optional(s.handler).ServeHTTP(w, newRequest("/"))
	require.Equal(t, []string{"Origin", "X-API-Key, X-Emby-Token, Authorization"}, w.Header().Values("Vary"), "an earlier Vary is kept")
}

func TestNestedDecisionIsReportedIfItDiffers(t *testing.T) {
	t.Parallel()
	var outcomes []string
	s := newService(t, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { outcomes = append(outcomes, e.Outcome()) }})
	h := s.auth.Optional(s.auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	swapped := s.auth.Optional(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		r.Header.Set("X-API-Key", s.other) // as other middleware might
		s.handler.ServeHTTP(w, r)
	}))
	for _, test := range []struct {
		name, target, line string
		h                  http.Handler
		want               []string
	}{
		{"the same key in a header", "/", "X-API-Key: {valid}", h, []string{"accepted"}},
		{"the same key in the query", "/?api_key={valid}", "X-None: x", h, []string{"accepted"}},
		{"no key", "/", "X-None: x", h, []string{"missing", "missing"}},
		{"another key", "/", "X-API-Key: {valid}", swapped, []string{"accepted", "accepted"}},
	} {
		outcomes = nil
		get(test.h, s.fill(test.target), s.fill(test.line))
		assert.Equal(t, test.want, outcomes, test.name)
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
		{"a preflight passes if that is allowed", true, "OPTIONS", preflight, 200},
		{"a preflight needs a key otherwise", false, "OPTIONS", preflight, 401},
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
				assert.False(t, known, "the request has no identity")
				assert.Equal(t, "/", seen.RequestURI, "the URL contains no key")
			}
		})
	}
}
