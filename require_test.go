package apikey_test

import (
	"context"
	"net/http"
	"net/http/httptest"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
)

func TestRequire(t *testing.T) {
	t.Parallel()
	var events []apikey.Event
	s := newService(t, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { events = append(events, e) }})
	key, _ := s.issue(t, apikey.NewKey{Name: "Two scopes", Scopes: []string{"read", "write"}})
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, test := range []struct {
		name   string
		scopes []string
		key    string
		status int
	}{
		{"a key with the scope", []string{"read"}, key, 200},
		{"a key with all scopes", []string{"write", "read"}, key, 200},
		{"any key, if there are no scopes", nil, s.other, 200},
		{"a key with one scope of two", []string{"read", "admin"}, key, 403},
		{"a key without scopes", []string{"read"}, s.other, 403},
		{"a scope in another case", []string{"Read"}, key, 403},
		{"the beginning of a scope", []string{"rea"}, key, 403},
		{"scopes have no wildcard", []string{"*"}, key, 403},
		{"no key has the empty scope", []string{""}, key, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			events = nil
			w := get(s.auth.Handler(apikey.Require(test.scopes...)(ok)), "/", "X-API-Key: "+test.key)
			assert.Equal(t, test.status, w.Code)
			if test.status == 403 {
				assert.Len(t, events, 2, "Require reports a separate decision")
				assert.Equal(t, "forbidden", events[1].Outcome())
				assert.NotEmpty(t, events[1].Key.Name)
			}
		})
	}
	t.Run("without a Middleware the status is 401", func(t *testing.T) {
		w := get(apikey.Require()(mustNotServe(t)), "/")
		assert.Equal(t, 401, w.Code)
		assert.Equal(t, "ApiKey", w.Header().Get("WWW-Authenticate"))
	})
	t.Run("the identity of NewContext is used", func(t *testing.T) {
		r := newRequest("/")
		r = r.WithContext(apikey.NewContext(r.Context(), apikey.Key{Scopes: []string{"read"}}))
		assert.Equal(t, 200, serve(apikey.Require("read")(ok), r).Code)
		assert.Equal(t, 403, serve(apikey.Require("write")(ok), r).Code)
	})
	t.Run("the scopes are copied", func(t *testing.T) {
		scopes := []string{"admin"}
		h := s.auth.Handler(apikey.Require(scopes...)(ok))
		scopes[0] = "read"
		assert.Equal(t, 403, get(h, "/", "X-API-Key: "+key).Code)
	})
}

func TestPreflightPassesRequire(t *testing.T) {
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
		want := 401
		if allow {
			want = 200
		}
		assert.Equal(t, want, serve(s.auth.Handler(h), r).Code)
		assert.Equal(t, want, serve(s.auth.Optional(h), r).Code)
		assert.Equal(t, 401, serve(s.auth.Optional(h), newRequest("/")).Code, "not a preflight")
		assert.Equal(t, 401, serve(s.auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			r.Method = "DELETE" // as a method override would
			h.ServeHTTP(w, r)
		})), r.Clone(t.Context())).Code, "no longer a preflight")
		if allow {
			assert.Equal(t, 2, served)
			assert.Equal(t, 2, refused, "the Middleware wrote the refusals")
		} else {
			assert.Zero(t, served)
		}
	}
}

func TestReadWriteRequiresTheScopeOfTheMethod(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	h := s.auth.Handler(apikey.ReadWrite("read", "write")(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	for method, scope := range map[string]string{
		"GET": "read", "HEAD": "read", "OPTIONS": "read",
		"POST": "write", "PUT": "write", "PATCH": "write", "DELETE": "write", "TRACE": "write", "get": "write", "PROPFIND": "write",
	} {
		for _, has := range []string{"read", "write"} {
			secret, _ := s.issue(t, apikey.NewKey{Name: has, Scopes: []string{has}})
			r := httptest.NewRequest(method, "/", nil)
			r.Header.Set("X-API-Key", secret)
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			want := 403
			if has == scope {
				want = 200
			}
			assert.Equal(t, want, w.Code, "%s with the scope %s", method, has)
		}
	}
}

func TestRefuseWithoutAnErrorIsUnavailable(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	refuse := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { apikey.Refuse(w, r, nil) })
	assert.Equal(t, http.StatusServiceUnavailable, get(s.auth.Handler(refuse), "/", s.fill("X-API-Key: {valid}")).Code, "behind a Middleware")
	assert.Equal(t, http.StatusServiceUnavailable, get(refuse, "/").Code, "without a Middleware")
}
