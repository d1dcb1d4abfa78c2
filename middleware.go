package apikey

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"
	"strings"
	"time"
)

// The path of a request:
//
//	Handler       serves the admitted request, or calls Refuse (refuse.go)
//	Authenticate  calls judge and admit
//	judge         calls extract and decide, and reports the Event (event.go)
//	extract       finds the key in the request (extract.go, query.go)
//	decide        computes the digest (format.go), looks it up (keystore.go), calls Options.Adopt for an
//	              unknown key of another system, Check (key.go) and Options.Authorize
//	admit         copies the request for the handler (layer.go)

// A Middleware admits the requests that carry a valid key and refuses the others. It is immutable
// and safe for concurrent use. Make it with [New]; do not copy it.
type Middleware struct {
	store      KeyStore
	toucher    Toucher // nil if the store does not record the last use of a key
	format     *Format
	sources    sources
	adopt      func(context.Context, Secret) (*Key, error) // nil unless the service takes over keys
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

// serveCopy serves with next a copy of r that a layer made. It copies back two fields for net/http
// and middleware further out: the form, whose temporary files net/http removes, and the pattern of
// the route.
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

// judge extracts the key of a request, decides about it, and reports the decision.
func (m *Middleware) judge(r *http.Request, found *extraction) (*Key, error) {
	ctx := r.Context()
	var begin, end time.Time
	if m.observe != nil {
		begin = time.Now()
	}
	l := layerOf(ctx)
	err := m.sources.extract(r, l, found)
	var key *Key
	source := ""
	if err == nil {
		source = m.sources.names[found.source]
		key, end, err = m.decide(ctx, found.key, r, l)
	} else {
		err = m.redactError(err, "")
	}
	if err != nil || m.observe != nil && !l.admittedBy(m, key) {
		m.report(ctx, &Event{Err: err, Key: key, Source: source, Method: r.Method, RemoteAddr: r.RemoteAddr, begin: begin, end: end})
	}
	if err != nil {
		return nil, err
	}
	return key, nil
}

// decide looks up the presented key and checks whether it may be used now. It returns a known key
// even with an error. The time is the end of the decision, or zero if report must read the clock.
// The request r may be nil. The layer l is around r.
func (m *Middleware) decide(ctx context.Context, presented string, r *http.Request, l *layer) (*Key, time.Time, error) {
	d, ok := m.format.digest(presented)
	if !ok {
		return nil, time.Time{}, ErrMalformed
	}
	key, err := m.store.Lookup(ctx, d)
	if err != nil && m.adopt != nil && errors.Is(err, ErrNotFound) && !strings.HasPrefix(presented, m.format.prefix) {
		if key, err = m.adopt(ctx, NewSecret(presented)); err != nil {
			err = m.redactError(err, presented)
		}
	}
	if err != nil || key == nil {
		return nil, time.Time{}, lookupError(ctx, err)
	}
	// The clock is read after the lookup, because the key may expire during a slow one.
	now := time.Now()
	end := now
	if err := key.Check(now); err != nil {
		return key, end, err
	}
	if len(key.Networks) > 0 && !m.fromNetwork(r, key) {
		return key, end, errNetwork
	}
	if m.authorize != nil && r != nil {
		end = time.Time{} // the duration includes Authorize
		if err := m.authorize(m.requestForAuthorize(r, l, presented), key); isCanceled(ctx, err) {
			return key, end, canceled(ctx)
		} else if err != nil {
			return key, end, fmt.Errorf("%w: %w", ErrForbidden, m.redactError(err, presented))
		}
	}
	if m.toucher != nil {
		m.toucher.Touch(d, Use{now, m.addressToRecord(r)})
	}
	return key, end, nil
}

// addressToRecord returns the address of the client if the service records it. Without a request there
// is no address.
func (m *Middleware) addressToRecord(r *http.Request) netip.Addr {
	if !m.recordAddr || r == nil {
		return netip.Addr{}
	}
	addr, ok := m.addr(r)
	if !ok {
		return netip.Addr{}
	}
	return addr.Unmap().WithZone("")
}

// fromNetwork reports whether a request comes from one of the key's Networks. Without a request
// there is no address.
func (m *Middleware) fromNetwork(r *http.Request, key *Key) bool {
	if r == nil {
		return false
	}
	addr, ok := m.addr(r)
	return ok && key.permits(addr)
}

// lookupError distinguishes an unknown key from a store that could not answer.
func lookupError(ctx context.Context, err error) error {
	switch {
	case isCanceled(ctx, err):
		return canceled(ctx)
	case errors.Is(err, ErrUnavailable):
		return err
	case errors.Is(err, ErrNotFound):
		return ErrNotFound
	case errors.Is(ctx.Err(), context.Canceled):
		return canceled(ctx)
	case err == nil:
		err = errNoAnswer
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, err)
}

var errNoAnswer = errors.New("the store returned neither a key nor an error")

// isCanceled reports whether err means that the client closed the request, which is not an outage.
func isCanceled(ctx context.Context, err error) bool {
	return errors.Is(err, context.Canceled) && errors.Is(ctx.Err(), context.Canceled)
}

func canceled(ctx context.Context) error {
	return fmt.Errorf("%w: %w: %w", ErrUnavailable, errCanceled, context.Cause(ctx))
}

// admit returns the request for the handler and sets the header fields of the response.
func (m *Middleware) admit(w http.ResponseWriter, r *http.Request, key *Key, found *extraction) *http.Request {
	var a *admission
	var admitted *http.Request
	h := w.Header()
	if found.inQuery || m.sources.leftInURI(r) {
		both := new(admissionWithURL)
		a = &both.admission
		admitted = both.pass(r, layerMiddleware, m, key)
		m.sources.removeKeyPairs(admitted, found.pairs)
		both.referrerPolicy[0] = noReferrer
		h["Referrer-Policy"] = both.referrerPolicy[:]
	} else {
		a = new(admission)
		admitted = a.pass(r, layerMiddleware, m, key)
	}

	// A shared cache must not serve the response to other callers. RFC 9111 section 3.5 prevents
	// that only for requests with Authorization. Each response has slices of its own, because
	// handlers may write to them.
	if h["Cache-Control"] == nil {
		a.cacheControl[0] = "private"
		h["Cache-Control"] = a.cacheControl[:]
	}
	return admitted
}

// admitAnonymous returns the request for a handler that serves it without a key. key is an identity
// that NewContext put further out, or nil. A [Require] behind it refuses by this Middleware.
func (m *Middleware) admitAnonymous(r *http.Request, key *Key) *http.Request {
	kind := layerMiddleware
	if key != nil {
		kind = layerNewContext
	}
	if !m.hasKeyParameter(r) {
		return new(admission).pass(r, kind, m, key)
	}
	inner := new(admissionWithURL).pass(r, kind, m, key)
	m.sources.removeKeyPairs(inner, keyPairs{})
	return inner
}

const noReferrer = "no-referrer"

// isPreflight reports whether r is a CORS preflight as the Fetch standard defines it.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}
