package apikey_test

import (
	"context"
	"net/http"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
)

func TestFromContext(t *testing.T) {
	t.Parallel()
	_, ok := apikey.FromContext(t.Context())
	assert.False(t, ok, "nothing in a context without an identity")

	scopes := []string{"a"}
	ctx := apikey.NewContext(t.Context(), apikey.Key{ID: "1", Scopes: scopes})
	scopes[0] = "b"
	key, ok := apikey.FromContext(ctx)
	assert.True(t, ok)
	assert.Equal(t, apikey.Key{ID: "1", Scopes: []string{"a"}}, key, "the context has its own copy")

	type own struct{}
	ctx = context.WithValue(ctx, own{}, 7)
	key, _ = apikey.FromContext(ctx)
	assert.Equal(t, "1", key.ID, "also further in")
	assert.Equal(t, 7, apikey.NewContext(ctx, apikey.Key{}).Value(own{}), "other values stay visible")
}

func TestRequire(t *testing.T) {
	t.Parallel()
	var events []apikey.Event
	s := newService(t, apikey.Options{Observe: func(_ context.Context, e apikey.Event) { events = append(events, e) }})
	key, _ := s.issue(t, apikey.Key{Name: "Two scopes", Scopes: []string{"read", "write"}})
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, test := range []struct {
		name   string
		scopes []string
		key    string
		status int
	}{
		{"a key with the scope", []string{"read"}, key, 200},
		{"a key with all scopes", []string{"write", "read"}, key, 200},
		{"no scope asks for any key", nil, s.other, 200},
		{"a key with one scope of two", []string{"read", "admin"}, key, 403},
		{"a key without scopes", []string{"read"}, s.other, 403},
		{"a scope in another case", []string{"Read"}, key, 403},
		{"the beginning of a scope", []string{"rea"}, key, 403},
		{"scopes have no wildcard", []string{"*"}, key, 403},
		{"the empty scope is nobody's", []string{""}, key, 403},
	} {
		t.Run(test.name, func(t *testing.T) {
			events = nil
			w := get(s.auth.Handler(apikey.Require(test.scopes...)(ok)), "/", "X-API-Key: "+test.key)
			assert.Equal(t, test.status, w.Code)
			if test.status == 403 {
				assert.Len(t, events, 2, "a decision of its own")
				assert.Equal(t, "forbidden", events[1].Outcome())
				assert.NotEmpty(t, events[1].Key.Name)
			}
		})
	}
	t.Run("without a Middleware it is a 401", func(t *testing.T) {
		w := get(apikey.Require()(mustNotServe(t)), "/")
		assert.Equal(t, 401, w.Code)
		assert.Equal(t, "ApiKey", w.Header().Get("WWW-Authenticate"))
	})
	t.Run("NewContext serves in tests", func(t *testing.T) {
		r := newRequest("/")
		r = r.WithContext(apikey.NewContext(r.Context(), apikey.Key{Scopes: []string{"read"}}))
		assert.Equal(t, 200, serve(apikey.Require("read")(ok), r).Code)
		assert.Equal(t, 403, serve(apikey.Require("write")(ok), r).Code)
	})
	t.Run("its scopes are its own", func(t *testing.T) {
		scopes := []string{"admin"}
		h := s.auth.Handler(apikey.Require(scopes...)(ok))
		scopes[0] = "read"
		assert.Equal(t, 403, get(h, "/", "X-API-Key: "+key).Code)
	})
}

func TestActor(t *testing.T) {
	t.Parallel()
	assert.Empty(t, apikey.Actor(t.Context()))
	assert.Equal(t, "alice", apikey.Actor(apikey.WithActor(t.Context(), "alice")))
}
