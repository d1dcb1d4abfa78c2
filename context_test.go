package apikey_test

import (
	"context"
	"testing"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey"
)

func TestFromContext(t *testing.T) {
	t.Parallel()
	_, ok := apikey.FromContext(t.Context())
	assert.False(t, ok, "a context without an identity")

	scopes := []string{"a"}
	ctx := apikey.NewContext(t.Context(), apikey.Key{ID: "1", Scopes: scopes})
	scopes[0] = "b"
	key, ok := apikey.FromContext(ctx)
	assert.True(t, ok)
	assert.Equal(t, apikey.Key{ID: "1", Scopes: []string{"a"}}, key, "the context has a copy")

	type own struct{}
	ctx = context.WithValue(ctx, own{}, 7)
	key, _ = apikey.FromContext(ctx)
	assert.Equal(t, "1", key.ID, "a derived context")
	assert.Equal(t, 7, apikey.NewContext(ctx, apikey.Key{}).Value(own{}), "other values remain")
}

func TestActor(t *testing.T) {
	t.Parallel()
	assert.Empty(t, apikey.Actor(t.Context()))
	assert.Equal(t, "alice", apikey.Actor(apikey.WithActor(t.Context(), "alice")))
}
