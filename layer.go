package apikey

import (
	"context"
	"net/http"
	"net/url"
	"sync/atomic"
)

// A layer is the context of a request that one of our handlers passed on. It is the context itself
// rather than a value in one. It also contains the value of a header field, so that a request costs
// one allocation.
type layer struct {
	context.Context
	kind       layerKind
	middleware *Middleware // nil for NewContext
	key        *Key        // nil for an anonymous request, a preflight and Conceal

	// original is the request that this layer received, or nil if the layer passed on its URL and
	// header unchanged. Layers further in decide about it. An atomic.Pointer is opaque to
	// reflection, so a dump of the context does not follow it to a key.
	original atomic.Pointer[http.Request]

	cacheControl [1]string // see Middleware.admit
}

// A layerKind says which function made a layer.
type layerKind uint8

const (
	layerConceal    layerKind = iota // Conceal, which decides nothing
	layerMiddleware                  // Handler, Optional or Authenticate
	layerNewContext                  // NewContext
)

type layerKey struct{}

// Value returns the layer itself to layerOf, and delegates other keys to the context further out.
func (l *layer) Value(key any) any {
	if key == (layerKey{}) {
		return l
	}
	return l.Context.Value(key)
}

// layerOf returns the innermost layer around a context, or nil.
func layerOf(ctx context.Context) *layer {
	l, _ := ctx.Value(layerKey{}).(*layer)
	return l
}

// outer returns the next layer further out, or nil.
func (l *layer) outer() *layer { return layerOf(l.Context) }

// deciding returns the innermost layer, from l outwards, that decided who the caller is, or nil.
func (l *layer) deciding() *layer {
	for l != nil && l.kind == layerConceal {
		l = l.outer()
	}
	return l
}

// changed returns the innermost layer, from l outwards, that has an original, or nil.
func (l *layer) changed() *layer {
	for l != nil && l.original.Load() == nil {
		l = l.outer()
	}
	return l
}

// admittedBy reports whether a layer of m, from l outwards, admitted the request with the same key.
func (l *layer) admittedBy(m *Middleware, key *Key) bool {
	for ; l != nil; l = l.outer() {
		if l.middleware == m && l.key != nil && l.key.ID == key.ID {
			return true
		}
	}
	return false
}

// An admission is a layer and the request that it passes on, in one allocation.
type admission struct {
	layer
	request http.Request
}

// An admissionWithURL is an admission that also contains the URL of its request.
type admissionWithURL struct {
	admission
	url            url.URL
	referrerPolicy [1]string
}

// pass returns a copy of r whose context is the layer. The compiler inlines WithContext and keeps
// the copy that it returns on the stack.
func (a *admission) pass(r *http.Request, kind layerKind, m *Middleware, key *Key) *http.Request {
	a.Context, a.kind, a.middleware, a.key = r.Context(), kind, m, key
	a.request = *r.WithContext(&a.layer)
	return &a.request
}

// pass returns a copy of r with a URL of its own. r becomes the original of the layer.
func (a *admissionWithURL) pass(r *http.Request, kind layerKind, m *Middleware, key *Key) *http.Request {
	inner := a.admission.pass(r, kind, m, key)
	a.url = *r.URL
	inner.URL = &a.url
	a.original.Store(r)
	return inner
}
