package apikey

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"time"
)

// The path of a request:
//
//	Handler       serves the admitted request, or calls Refuse (refuse.go)
//	Authenticate  calls judge and admit
//	judge         calls extract and decide, and reports the Event (decide.go, event.go)
//	extract       finds the key in the request (extract.go, query.go)
//	decide        computes the digest (format.go) and looks it up (keystore.go), calls Options.Adopt for
//	              an unknown key of another system, checks the key (key.go) and its networks
//	              (network.go), and calls Options.Authorize
//	admit         copies the request for the handler (admit.go, layer.go)

// A Middleware admits the requests that carry a valid key and refuses the others. It is immutable
// and safe for concurrent use. Make it with [New]; do not copy it.
type Middleware struct {
	store      KeyStore
	toucher    Toucher // nil if the store does not record the last use of a key
	format     *Format
	sources    sources
	adopt      func(context.Context, Secret) (*Key, error) // nil unless the service adopts keys
	addr       func(*http.Request) (netip.Addr, bool)
	recordAddr bool
	authorize  func(*http.Request, *Key) error
	onRefuse   func(http.ResponseWriter, *http.Request, error)
	observe    func(context.Context, Event)
	logger     *slog.Logger
	outages    outages
	preflight  bool
}

// Handler returns a handler that calls next for requests with a valid key, and refuses the others
// with [Middleware.Refuse]. In next, [FromContext] returns the key of the request.
//
// If the key is in the query, Handler removes it from the URL, RequestURI and Form of the request
// that next receives. Redirects and logs of next therefore do not contain it. Handler sets
// "Cache-Control: private" unless that field is set already and, if the key was in the query,
// "Referrer-Policy: no-referrer". It passes the ResponseWriter on unchanged, so next can remove
// these fields. Put [KeepPrivate] around a reverse proxy or a file server.
//
// Handlers may be nested, including those of several Middlewares. Each of them decides about the
// request as the client sent it, wherever the key was.
//
// Handler decides once, before it calls next. A stream or WebSocket outlives the revocation of its
// key unless it calls [Middleware.Check] from time to time.
func (m *Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		admitted, err := m.Authenticate(w, r)
		if err != nil {
			m.Refuse(w, r, err)
			return
		}
		serveCopy(w, r, admitted, next)
	})
}

// Optional is like [Middleware.Handler], except that it also serves requests without a key, as
// anonymous ones. It still refuses an invalid key. Put [Require] or Handler behind it on the routes
// that need a key. Such a Handler decides again, but reports an [Event] only if its decision
// differs.
//
// In an anonymous request, [FromContext] returns the identity of a [NewContext] further out, but
// not the identity of another Middleware.
//
// Optional adds the header fields that may carry a key to Vary (RFC 9110 section 12.5.5). A shared
// cache then does not serve an anonymous response to a request with a key.
func (m *Middleware) Optional(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		m.sources.addVary(w.Header())
		admitted, err := m.Authenticate(w, r)
		switch {
		case err == ErrMissing: // not errors.Is: a wrapped ErrMissing is a refusal or an outage
			var key *Key
			if l := layerOf(r.Context()).deciding(); l != nil && l.kind == layerNewContext {
				key = l.key
			}
			admitted = m.admitAnonymous(r, key)
		case err != nil:
			m.Refuse(w, r, err)
			return
		}
		serveCopy(w, r, admitted, next)
	})
}

// serveCopy calls next with a copy of r that a layer made. Then it copies two fields back to r for
// net/http and middleware further out: the form, whose temporary files net/http removes, and the
// pattern of the route.
func serveCopy(w http.ResponseWriter, r, copied *http.Request, next http.Handler) {
	defer func() { r.MultipartForm, r.Pattern = copied.MultipartForm, copied.Pattern }()
	next.ServeHTTP(w, copied)
}

// Authenticate makes the decision of [Middleware.Handler] for routers whose middleware is not made
// of http.Handler. If the request is admitted, Authenticate sets the header fields of the response
// and returns the request to serve, which carries the identity. Otherwise it returns an error that
// wraps one of the reasons of this package, such as [ErrMissing]; pass it to [Middleware.Refuse]
// with the original request.
func (m *Middleware) Authenticate(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	if m.preflight && isPreflight(r) {
		return m.admitAnonymous(r, nil), nil
	}
	var found extraction
	key, err := m.judge(r, &found)
	if err != nil {
		return nil, err
	}
	return m.admit(w, r, key, &found), nil
}

// Check returns the key of a request if it is valid now, without writing a response. To check a
// long stream again, pass the request that a Handler of this Middleware admitted. The Key is
// shared: do not write to it. Check returns the errors of [Middleware.Authenticate].
func (m *Middleware) Check(r *http.Request) (*Key, error) {
	var found extraction
	return m.judge(r, &found)
}

// Verify returns the Key of a secret that did not arrive by HTTP, for example by gRPC or a queue,
// if it is valid now. It does not call Options.Authorize, because there is no request, and it
// refuses keys with Networks, because there is no address. The Key is shared: do not write to it.
// Verify returns the errors of [Middleware.Authenticate].
func (m *Middleware) Verify(ctx context.Context, s Secret) (*Key, error) {
	var e Event
	if m.observe != nil {
		e.begin = time.Now()
	}
	value := s.Reveal()
	if isBlankValue(value) {
		e.Err = ErrMissing
	} else {
		e.Key, e.end, e.Err = m.decide(ctx, value, nil, nil)
	}
	m.report(ctx, &e)
	if e.Err != nil {
		return nil, e.Err
	}
	return e.Key, nil
}

// Extract returns the key that a request presents in the Sources, without a decision: it does not
// check the Format, look the key up or report an [Event]. Use it where a request must not be served
// at all, for example because it arrived over plain HTTP. Extract returns [ErrMissing],
// [ErrAmbiguous], or the error of a [SourceFunc].
func (m *Middleware) Extract(r *http.Request) (Secret, error) {
	var found extraction
	if err := m.sources.extract(r, layerOf(r.Context()), &found); err != nil {
		return Secret{}, m.redactError(err, "")
	}
	return NewSecret(found.key), nil
}
