package apikey

import (
	"context"
	"log/slog"
	"net/http"
	"net/netip"
	"reflect"
)

// Options configures [New]. The zero value is ready for use.
type Options struct {
	// Sources are the places that may carry a key. Nil means Header("X-API-Key"),
	// Header("X-Emby-Token"), Query("api_key") and Prefixed(Bearer()). An empty slice is an error.
	Sources []Source

	// Format checks and digests keys. Nil means the default Format: the prefix "ak", no pepper, no
	// imported keys.
	Format *Format

	// Adopt returns the key of a secret that the store does not know, or [ErrNotFound]. It is for keys
	// of another system whose digests the store cannot have yet; see package rehash. Nil means that
	// unknown keys are refused. Adopt requires a Format that accepts imported keys. The Middleware
	// calls it concurrently, and only if the secret has the form of an imported key. The errors of
	// Adopt mean the same as those of KeyStore.Lookup.
	Adopt func(context.Context, Secret) (*Key, error)

	// Authorize is the service's own rule; nil permits every valid key. An error refuses the
	// request with 403, or with 503 if it wraps [ErrUnavailable], and is logged. Every decision
	// calls Authorize, so nested Handlers call it several times. Authorize is called concurrently.
	//
	// The request is the one that the client sent, without its keys. The URL has no parameters of
	// [Query] sources, and REDACTED replaces the key within each header field. The path is never
	// changed. A router may serve a route at other paths too, such as //admin for /admin; [Require]
	// on the route applies to all of them. Authorize must not read the body.
	Authorize func(r *http.Request, key *Key) error

	// ClientAddr returns the address of the client; nil means the address in RemoteAddr. Set it
	// behind reverse proxies; see [TrustProxies]. It is called for keys with Networks, and for every
	// accepted request if RecordAddress is set. If it returns false, or an address that is not in the
	// Networks of the key, the request is refused with 403. The request still contains the key, so do
	// not log it. ClientAddr is called concurrently.
	ClientAddr func(*http.Request) (netip.Addr, bool)

	// RecordAddress records the address of the client with the last use of each key, as the key's
	// LastUsedAddr. The address of a person is personal data. Inform these people, and see the privacy
	// note in docs/keys.md.
	RecordAddress bool

	// OnRefuse writes the response to a refused request; nil writes problem+json as described at
	// [Middleware.Refuse]. The error is for operators: do not show it to clients. The URL of the
	// request contains no key. Cache-Control and, if the URL contained a key, Referrer-Policy are
	// set already. OnRefuse is called concurrently.
	OnRefuse func(http.ResponseWriter, *http.Request, error)

	// Observe receives each decision before the handler runs; nil ignores them. It must not block,
	// because the request waits for it. Observe is called concurrently.
	Observe func(context.Context, Event)

	// Logger receives outages at level Error and other refusals at level Debug; nil means
	// slog.Default(). During an outage it receives the first refused request, and then every ten
	// seconds the number of further ones. It never receives a key, a path or a query.
	Logger *slog.Logger

	// Realm is the realm in WWW-Authenticate (RFC 9110 section 11.5); "" omits it. At most 100
	// printable ASCII characters other than `"` and `\`.
	Realm string

	// AllowPreflight admits CORS preflights without a key, and lets them pass [Require]. A
	// preflight is a request with method OPTIONS, an Origin and an Access-Control-Request-Method.
	// Browsers send it without credentials, and any client can forge it. Handlers must answer
	// OPTIONS with the preflight response only, and middleware must not change OPTIONS into another
	// method.
	AllowPreflight bool
}

// New returns a Middleware that looks up keys in store. The error wraps an [InvalidError] if store
// is nil or contains a nil pointer, or if an option is out of its limits.
func New(store KeyStore, o Options) (*Middleware, error) {
	if isNil(store) {
		return nil, invalid("KeyStore", "nil; want a store, such as memstore.New()")
	}
	if !validRealm(o.Realm) {
		return nil, invalid("Realm", "%s: want at most %d printable ASCII characters other than \" and \\", quote(o.Realm), maxText)
	}
	format := o.Format
	if format == nil {
		format = defaultFormat
	}
	if o.Adopt != nil && !format.allowImported {
		return nil, invalid("Adopt", "%v does not accept imported keys; want FormatOptions.AllowImported", format)
	}
	s, err := newSources(o.Sources, format, o.Realm)
	if err != nil {
		return nil, err
	}
	m := &Middleware{
		store:      store,
		format:     format,
		sources:    s,
		adopt:      o.Adopt,
		addr:       o.ClientAddr,
		recordAddr: o.RecordAddress,
		authorize:  o.Authorize,
		onRefuse:   o.OnRefuse,
		observe:    o.Observe,
		logger:     o.Logger,
		preflight:  o.AllowPreflight,
	}
	if m.addr == nil {
		m.addr = peerAddr
	}
	m.toucher, _ = StoreAs[Toucher](store)
	return m, nil
}

// defaultFormat is the Format of a Middleware or an Issuer whose options have none.
var defaultFormat, _ = NewFormat("ak", FormatOptions{})

// isNil reports whether store is nil or contains a nil pointer, map, function, channel or slice.
func isNil(store KeyStore) bool {
	switch v := reflect.ValueOf(store); v.Kind() {
	case reflect.Invalid:
		return true
	case reflect.Pointer, reflect.Map, reflect.Func, reflect.Chan, reflect.Slice:
		return v.IsNil()
	}
	return false
}
