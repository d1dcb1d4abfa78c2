package apikey

import "context"

// NewContext returns a context in which [FromContext] returns key. Use it to test a handler without
// a Middleware, or after authenticating a request in another way.
func NewContext(ctx context.Context, key Key) context.Context {
	key = key.Clone()
	return &layer{Context: ctx, kind: layerNewContext, key: &key}
}

// FromContext returns the key with which the request was admitted, or false if it was admitted
// without one. The innermost Middleware around the handler decides. If its Optional served the
// request as anonymous, FromContext returns the identity of a [NewContext] further out, but not the
// identity of another Middleware.
//
// Other requests share the key's Scopes, Networks and Metadata: do not write to them.
func FromContext(ctx context.Context) (Key, bool) {
	if l := layerOf(ctx).deciding(); l != nil && l.key != nil {
		return *l.key, true
	}
	return Key{}, false
}

// SharedKey is like [FromContext], but does not copy the Key. It is for middleware that runs in each
// request. SharedKey returns nil if the request was admitted without a key. Other requests share the
// Key: do not write to it.
func SharedKey(ctx context.Context) *Key {
	if l := layerOf(ctx).deciding(); l != nil {
		return l.key
	}
	return nil
}

type actorKey struct{}

// WithActor returns a context that carries the name of the user who makes changes. Stores record it
// in their audit trail.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor returns the name that [WithActor] put into the context, or "". It is for authors of stores.
func Actor(ctx context.Context) string {
	actor, _ := ctx.Value(actorKey{}).(string)
	return actor
}
