package apikey

import (
	"context"
	"net/http"
	"net/url"
	"slices"
)

// identity is the context of a request that a Middleware let in. It is the context
// itself, not a value in one, and holds the value of a header, so that it can be one
// allocation together with the request.
type identity struct {
	context.Context
	key          *Key        // nil: let in without one, by Optional or as a preflight
	middleware   *Middleware // nil: put there by NewContext
	cacheControl [1]string   // see Middleware.accept
}

type identityKey struct{}

// Value returns the identity itself to identityOf, and to others what is further out.
func (c *identity) Value(key any) any {
	if key == (identityKey{}) {
		return c
	}
	return c.Context.Value(key)
}

// admission is an identity together with the request that was let in by it, in one
// allocation.
type admission struct {
	identity
	request http.Request
}

// admissionWithURL is the same for a request from whose URL the key was taken out.
type admissionWithURL struct {
	admission
	url            url.URL
	referrerPolicy [1]string
}

// admit returns a copy of r whose context is the identity. WithContext is inlined, and what
// it allocates is not kept, so it stays on the stack.
func (a *admission) admit(r *http.Request, key *Key, m *Middleware) *http.Request {
	a.identity = identity{Context: r.Context(), key: key, middleware: m}
	a.request = *r.WithContext(&a.identity)
	return &a.request
}

func identityOf(ctx context.Context) *identity {
	id, _ := ctx.Value(identityKey{}).(*identity)
	return id
}

// NewContext returns a context in which [FromContext] finds key: for testing a handler
// without a Middleware, or for authenticating in another way.
func NewContext(ctx context.Context, key Key) context.Context {
	key = key.Clone()
	return &identity{Context: ctx, key: &key}
}

// FromContext returns the key that the request was let in with, and false if there
// was none. Its Scopes and Metadata are shared with other requests: read them only.
func FromContext(ctx context.Context) (Key, bool) {
	if id := identityOf(ctx); id != nil && id.key != nil {
		return *id.key, true
	}
	return Key{}, false
}

// Require lets requests through whose key has all of these scopes, or any key if there
// are none. It stands behind the [Middleware], in the chain of one route or of many.
// Others get 403, or 401 if the request has no key, by the Refuse of the Middleware that
// let them in, which observes that as a decision of its own, of no Duration. Preflights that
// a Middleware let in by AllowPreflight pass.
func Require(scopes ...string) func(http.Handler) http.Handler {
	scopes = slices.Clone(scopes)
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			id := identityOf(r.Context())
			switch {
			case id == nil:
			case id.key != nil && id.key.HasScopes(scopes...),
				id.key == nil && id.middleware.preflight && isPreflight(r):
				next.ServeHTTP(w, r)
				return
			}
			m, e := &standalone, Event{Err: ErrMissing, Method: r.Method, RemoteAddr: r.RemoteAddr}
			if id != nil && id.middleware != nil {
				m = id.middleware
			}
			if id != nil && id.key != nil {
				e.Err, e.Key = ErrForbidden, id.key
			}
			m.report(r.Context(), &e)
			m.Refuse(w, r, e.Err)
		})
	}
}

// standalone refuses where no Middleware let the request in.
var standalone = Middleware{challenges: []string{"ApiKey"}}

type actorKey struct{}

// WithActor returns a context that names who makes changes, for the audit trails of
// stores.
func WithActor(ctx context.Context, actor string) context.Context {
	return context.WithValue(ctx, actorKey{}, actor)
}

// Actor returns who makes changes, or "" if the context does not tell.
func Actor(ctx context.Context) string {
	actor, _ := ctx.Value(actorKey{}).(string)
	return actor
}
