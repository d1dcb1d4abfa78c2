package apikey

import (
	"context"
	"log/slog"
	"net/http"
	"reflect"
	"sync/atomic"
	"time"
)

// A Middleware decides which requests carry a valid key. What it decides by never changes,
// and it is safe for concurrent use. Make it with [New]; do not copy it.
type Middleware struct {
	store      KeyStore
	toucher    Toucher // nil: the store does not remember when keys were used
	format     *Format
	sources    sources
	authorize  func(*http.Request, *Key) error
	onRefuse   func(http.ResponseWriter, *http.Request, error)
	observe    func(context.Context, Event)
	logger     *slog.Logger
	challenges []string // values of WWW-Authenticate
	preflight  bool

	// nested is whether anybody ever asked for Optional, behind which a second decision
	// may follow the first. Looking for that in a context that nests deep is dear.
	nested atomic.Bool
}

// Options configures [New]. The zero value is ready for use.
type Options struct {
	// Sources are the places that may carry a key. Nil is Header("X-API-Key"),
	// Header("X-Emby-Token") and Query("api_key"); empty is an error.
	Sources []Source

	// Format is how keys are checked and digested. Nil is the default Format: the
	// prefix "ak", no pepper, no foreign keys.
	Format *Format

	// Authorize is the host's own rule, asked about each valid key; nil permits
	// all. An error refuses with 403, or with 503 if it wraps [ErrUnavailable]; it is
	// logged. The request it gets carries no key, neither in the URL nor in a header;
	// its body must be left alone. Called concurrently.
	Authorize func(r *http.Request, key *Key) error

	// OnRefuse writes the response of a refused request; nil is problem+json, as
	// [Middleware.Refuse] describes it. The error is for operators: do not show it
	// to clients. The request has no key in its URL. Called concurrently.
	OnRefuse func(http.ResponseWriter, *http.Request, error)

	// Observe is told of each decision, before the handler runs; nil is nobody. It
	// delays the request it tells of, so it must not block. Called concurrently.
	Observe func(context.Context, Event)

	// Logger gets outages at level Error and other refusals at level Debug; nil is
	// slog.Default(). It is never given a key, a path or a query.
	Logger *slog.Logger

	// Realm is named in WWW-Authenticate, RFC 9110 section 11.5; "" is none.
	Realm string

	// AllowPreflight lets CORS preflights through without a key and without an
	// identity, also where [Require] stands behind: requests with method OPTIONS, an
	// Origin and an Access-Control-Request-Method. Browsers send them without
	// credentials. So can anybody else: whatever stands behind must do nothing on
	// OPTIONS but answer the preflight, and nothing may turn it into another method.
	AllowPreflight bool
}

// New returns a Middleware that looks keys up in store. A store that is nil, or a nil
// pointer in an interface, is an error, as are options out of their limits; the error
// wraps [ErrInvalid] and names the field.
func New(store KeyStore, o Options) (*Middleware, error) {
	if isNil(store) {
		return nil, invalid("KeyStore: nil; a Middleware needs a store, such as memstore.New()")
	}
	if !validRealm(o.Realm) {
		return nil, invalid("Realm %s: want at most %d printable ASCII characters other than \" and \\", quote(o.Realm), maxText)
	}
	s, err := newSources(o.Sources)
	if err != nil {
		return nil, err
	}
	m := &Middleware{
		store:      store,
		format:     o.Format,
		sources:    s,
		authorize:  o.Authorize,
		onRefuse:   o.OnRefuse,
		observe:    o.Observe,
		logger:     o.Logger,
		challenges: s.challenges(o.Realm),
		preflight:  o.AllowPreflight,
	}
	if m.format == nil {
		m.format = defaultFormat
	}
	m.toucher, _ = StoreAs[Toucher](store)
	return m, nil
}

// defaultFormat serves wherever a *Format is nil.
var defaultFormat, _ = NewFormat("ak", FormatOptions{})

// isNil also finds the nil pointer in a non-nil interface.
func isNil(store KeyStore) bool {
	switch v := reflect.ValueOf(store); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		return v.IsNil()
	}
	return false
}

// Handler serves with next the requests that carry a valid key, and refuses the others.
// The handler finds the key's identity with [FromContext]. A key in the query is gone
// from the URL, RequestURI and Form that it sees, and from redirects that it makes out of
// them. Responses are marked "Cache-Control: private", unless something was set
// already, and if the key was in the query "Referrer-Policy: no-referrer". The
// ResponseWriter is passed on as it is.
//
// The decision is made once, when the request begins: streams and WebSockets outlive
// the revocation of their key. A Handler of another Middleware behind this one finds a
// key in a header, and none that was in the query.
func (m *Middleware) Handler(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		admitted, err := m.Authenticate(w, r)
		if err != nil {
			m.Refuse(w, r, err)
			return
		}
		serveAdmitted(w, r, admitted, next)
	})
}

// Optional is Handler, but also serves requests without any key, for which it puts no
// identity into the context. A wrong key is still refused. [Require] and Handler may stand
// behind it, on the routes that need a key. Such a Handler decides again, but observes
// nothing if it comes to the same.
func (m *Middleware) Optional(next http.Handler) http.Handler {
	m.nested.Store(true)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		admitted, err := m.Authenticate(w, r)
		switch {
		case err == ErrMissing: // itself: what wraps it is a refusal or an outage
			admitted = r // with another Middleware's identity, or NewContext's
			if identityOf(r.Context()) == nil {
				// So that a Require behind this refuses as this Middleware does.
				admitted = r.WithContext(&identity{Context: r.Context(), middleware: m})
			}
		case err != nil:
			m.Refuse(w, r, err)
			return
		}
		serveAdmitted(w, r, admitted, next)
	})
}

func serveAdmitted(w http.ResponseWriter, r, admitted *http.Request, next http.Handler) {
	if admitted != r {
		defer handBack(r, admitted)
	}
	next.ServeHTTP(w, admitted)
}

// handBack tells the original request what became of its copy: net/http removes the
// temporary files of the form that it knows, and middleware outside of us reads the
// pattern of the route.
func handBack(original, served *http.Request) {
	original.MultipartForm, original.Pattern = served.MultipartForm, served.Pattern
}

// Authenticate makes the decision for routers whose chains are not made of
// http.Handler. On success it returns the request to serve, which carries the identity,
// and has set headers of the response; otherwise pass its error to Refuse, with the
// request as it was. The error wraps one of this package's outcomes.
func (m *Middleware) Authenticate(w http.ResponseWriter, r *http.Request) (*http.Request, error) {
	if m.preflight && isPreflight(r) {
		r = m.withoutQueryKey(r)
		// So that a Require behind this knows whose preflight it is.
		return r.WithContext(&identity{Context: r.Context(), middleware: m}), nil
	}
	var begin time.Time
	if m.observe != nil {
		begin = time.Now()
	}
	var c candidate
	err := m.sources.extract(r, concealedIn(r.Context()), &c)
	if err == ErrMissing {
		// An outer handler of this Middleware may have taken the key out of the URL.
		if id := identityOf(r.Context()); id != nil && id.middleware == m && id.key != nil {
			return r, nil
		}
	}
	var key *Key
	var end time.Time
	source := ""
	if err == nil {
		source = m.sources.names[c.source]
		key, end, err = m.decide(r.Context(), c.key, r)
	}
	if err != nil || m.observe != nil && !m.decidedBefore(r.Context(), key) {
		m.report(r.Context(), &Event{Err: err, Key: key, Source: source, Method: r.Method, RemoteAddr: r.RemoteAddr, begin: begin, end: end})
	}
	if err != nil {
		return nil, err
	}
	return m.accept(w, r, key, c.inQuery || m.sources.inURI(r), c.pairs), nil
}

// decidedBefore reports whether this Middleware, further out, has let the request in by the
// same key.
func (m *Middleware) decidedBefore(ctx context.Context, key *Key) bool {
	if !m.nested.Load() {
		return false
	}
	id := identityOf(ctx)
	return id != nil && id.middleware == m && id.key != nil && id.key.ID == key.ID
}

// accept returns the request for the handler.
func (m *Middleware) accept(w http.ResponseWriter, r *http.Request, key *Key, inQuery bool, known pairs) *http.Request {
	var a *admission
	var admitted *http.Request
	h := w.Header()
	if inQuery {
		both := &admissionWithURL{url: *r.URL}
		a = &both.admission
		admitted = a.admit(r, key, m)
		admitted.URL = &both.url
		m.sources.clean(admitted, known, nil)
		both.referrerPolicy[0] = "no-referrer"
		h["Referrer-Policy"] = both.referrerPolicy[:]
	} else {
		a = new(admission)
		admitted = a.admit(r, key, m)
	}

	// A shared cache must not give one caller's response to another: RFC 9111
	// section 3.5 protects only requests with Authorization. The slices are this
	// request's own, since whoever comes later may write to them.
	if h["Cache-Control"] == nil {
		a.cacheControl[0] = "private"
		h["Cache-Control"] = a.cacheControl[:]
	}
	return admitted
}

// isPreflight reports whether r is a CORS preflight, as the Fetch standard defines it.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}
