package apikey

import (
	"fmt"
	"net/http"
	"slices"
)

// Require returns middleware that admits requests whose key has all of these scopes, or any key if
// there are no scopes. Put it behind [Middleware.Handler] or [Middleware.Optional], in the chain of
// one or more routes.
//
// Other requests get 403, or 401 if they carry no key. The Middleware that admitted the request
// writes the response and reports a separate [Event] whose Duration is 0. Without a Middleware,
// Require itself writes the response. A preflight that Options.AllowPreflight admitted passes.
func Require(scopes ...string) func(http.Handler) http.Handler {
	scopes = slices.Clone(scopes)
	missing := &scopeError{scopes}
	return func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch l := layerOf(r.Context()).deciding(); {
			case l.permits(r, scopes):
				next.ServeHTTP(w, r)
			case l != nil && l.key != nil:
				Refuse(w, r, missing)
			default:
				Refuse(w, r, ErrMissing)
			}
		})
	}
}

// Refuse refuses a request that a [Middleware] further out admitted, as [Require] does. It is for
// middleware with rules of its own, such as package limit. The admitting Middleware writes the response
// for err, as [Middleware.Refuse] describes, and reports a separate [Event] whose Duration is 0. Without
// a Middleware, Refuse itself writes the response. A nil error counts as [ErrUnavailable].
func Refuse(w http.ResponseWriter, r *http.Request, err error) {
	if err == nil {
		err = ErrUnavailable
	}
	m, e := &standalone, Event{Method: r.Method, RemoteAddr: r.RemoteAddr}
	if l := layerOf(r.Context()).deciding(); l != nil {
		if l.middleware != nil {
			m = l.middleware
		}
		e.Key = l.key
	}
	e.Err = m.redactError(err, "")
	m.report(r.Context(), &e)
	m.Refuse(w, r, e.Err)
}

// ReadWrite is [Require] with one scope for GET, HEAD and OPTIONS and another scope for every other
// method. The write scope does not include the read scope. Middleware behind it must not change the
// method, as X-HTTP-Method-Override does.
func ReadWrite(read, write string) func(http.Handler) http.Handler {
	return func(next http.Handler) http.Handler {
		reads, writes := Require(read)(next), Require(write)(next)
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			switch r.Method {
			case http.MethodGet, http.MethodHead, http.MethodOptions:
				reads.ServeHTTP(w, r)
			default:
				writes.ServeHTTP(w, r)
			}
		})
	}
}

// permits reports whether a request passes Require. l is the layer that decided about the request, or
// nil.
func (l *layer) permits(r *http.Request, scopes []string) bool {
	switch {
	case l == nil:
		return false
	case l.key != nil:
		return l.key.HasScopes(scopes...)
	}
	return l.middleware.preflight && isPreflight(r)
}

// standalone writes the refusals of Require and Refuse if no Middleware admitted the request.
var standalone = Middleware{format: defaultFormat, sources: sources{challenges: []string{"ApiKey"}}}

// A scopeError is the [ErrForbidden] of a key that lacks one of these scopes.
type scopeError struct{ scopes []string }

func (e *scopeError) Error() string {
	return fmt.Sprintf("%v: want the scopes %q", ErrForbidden, e.scopes)
}

func (e *scopeError) Unwrap() error { return ErrForbidden }
