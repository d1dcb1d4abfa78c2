package forwardauth

import (
	"fmt"
	"maps"
	"net/http"
	"net/netip"
	"net/url"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// Restore returns a handler that turns the subrequest of a trusted proxy into the request that the
// client sent, and passes that request to next. Put it around all handlers that decide: the Middleware,
// [apikey.Require], a mux.
//
// The restored request has the method, the URL, the header and the Host of the original request. Host is
// in lower case. In the convention ForwardedURI it comes from X-Forwarded-Host, and otherwise from the
// subrequest, so the configuration of nginx must set it. Host is empty for a request of HTTP/1.0 without a
// host, for which Caddy sends an empty X-Forwarded-Host. The restored request has no body. RemoteAddr is
// the address of the client with port 0, by the rules of [apikey.TrustProxies], so that a key with
// Networks needs no Options.ClientAddr. If X-Forwarded-For has only addresses of Trusted, RemoteAddr is
// "", and a key with Networks is refused. Restore removes the fields that name the original method and
// URI, and keeps X-Forwarded-For, -Proto and -Host.
//
// Restore refuses, with a fixed text:
//
//   - with 403, a peer that is not among Trusted;
//   - with 400, a URI that servers may read in different ways, such as one with "..", "//", ";" or an
//     escaped slash in the path;
//   - with 400, a method with characters other than A-Z and "-", a host that ends in a dot or has characters
//     that hosts do not have, and two lines of a field that names the method, the URI or the host;
//   - with 400, a method or a URI that differs from the value of X-Original-URI, X-Forwarded-Uri,
//     X-Original-Url, X-Rewrite-Url, X-Original-Method or X-Forwarded-Method;
//   - with 400, a field such as X_Apikey_Id, which many servers take for X-Apikey-Id, and such spellings of
//     X-Real-IP and of fields that begin with X-Forwarded- or X-Original- or replace the method, the URL or the
//     host;
//   - with 400, an upgrade to h2c, because the proxy does not see the requests that follow it;
//   - with 503, a subrequest in which a field of the convention, or X-Forwarded-For, is missing, because
//     the proxy would then pass on the client's own value.
//
// Invalid Options are an error that wraps an [apikey.InvalidError].
func Restore(next http.Handler, o Options) (http.Handler, error) {
	if f, ok := next.(http.HandlerFunc); next == nil || ok && f == nil {
		return nil, invalid("next", "nil; want a handler")
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	o.Trusted = slices.Clone(o.Trusted)
	r := &restorer{
		Options: o,
		client:  apikey.TrustProxies(o.Trusted...),
		next:    next,
		warnings: warnings{
			logger: o.Logger,
		},
	}
	if o.Convention == OriginalURI {
		return onlyAuthStatuses(r), nil
	}
	return r, nil
}

// The fields that name the URI and the method of an original request, in Go's canonical form.
var (
	uriFields    = []string{"X-Original-Uri", "X-Forwarded-Uri", "X-Original-Url", "X-Rewrite-Url"}
	methodFields = []string{"X-Original-Method", "X-Forwarded-Method"}
)

// A restorer is the handler of Restore. It is immutable except for its warnings, and safe for concurrent use.
type restorer struct {
	Options
	client   func(*http.Request) (netip.Addr, bool)
	next     http.Handler
	warnings warnings
}

// ServeHTTP calls the next handler with the original request, or answers a subrequest from which it cannot
// be restored.
func (s *restorer) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	original, err := s.restore(r)
	if err != nil {
		s.warnings.add(r, err)
		refuse(w, err)
		return
	}
	s.next.ServeHTTP(w, original)
}

// restore returns the original request, or one of the reasons that refuse knows.
func (s *restorer) restore(r *http.Request) (*http.Request, error) {
	if !s.trusts(r.RemoteAddr) {
		return nil, errPeer
	}
	t, err := s.target(r)
	if err != nil {
		return nil, err
	}
	u, validURI := parseURI(t.uri)
	host, validHost := parseHost(t.host)
	if !validURI || !validHost || !isMethod(t.method) || contradicts(r.Header, t) || hasDisguise(r.Header) || upgradesToHTTP2(r.Header) {
		return nil, errAmbiguous
	}
	original := r.WithContext(r.Context())
	original.Method, original.URL, original.RequestURI, original.Host = t.method, u, t.uri, host
	original.Body, original.ContentLength, original.Pattern = http.NoBody, 0, ""
	original.Form, original.PostForm, original.MultipartForm = nil, nil, nil // an outer handler may have parsed those of the subrequest
	if original.RemoteAddr, err = s.clientAddr(r); err != nil {
		return nil, err
	}
	original.Header = maps.Clone(r.Header)
	for _, field := range slices.Concat(uriFields, methodFields) {
		delete(original.Header, field)
	}
	return original, nil
}

// trusts reports whether a connection comes from a proxy.
func (s *restorer) trusts(remoteAddr string) bool {
	peer, err := netip.ParseAddrPort(remoteAddr)
	return err == nil && s.isProxy(peer.Addr().Unmap().WithZone(""))
}

func (s *restorer) isProxy(addr netip.Addr) bool {
	return slices.ContainsFunc(s.Trusted, func(p netip.Prefix) bool { return p.Contains(addr) })
}

// A target is the method, the URI and the host of the original request.
type target struct{ method, uri, host string }

// target reads the method, the URI and the host by the convention.
func (s *restorer) target(r *http.Request) (t target, err error) {
	read := func(field string) (value string) {
		if err == nil {
			value, err = single(r.Header, field)
		}
		return value
	}
	switch t.host = r.Host; s.Convention {
	case OriginalURI:
		t.uri, t.method = read("X-Original-Uri"), read("X-Original-Method")
	case ForwardedURI:
		t.uri, t.method, t.host = read("X-Forwarded-Uri"), read("X-Forwarded-Method"), ""
		if !slices.Equal(r.Header["X-Forwarded-Host"], []string{""}) { // empty for an HTTP/1.0 request without Host
			t.host = read("X-Forwarded-Host")
		}
	default:
		var found bool
		t.method = r.Method
		if t.uri, found = strings.CutPrefix(r.RequestURI, s.PathPrefix); !found || t.uri == "" {
			err = missing("PathPrefix")
		}
	}
	return t, err
}

// single returns the value of a field that must have exactly one line.
func single(h http.Header, field string) (string, error) {
	switch lines := h[field]; {
	case len(lines) == 0 || len(lines) == 1 && lines[0] == "":
		return "", missing(field)
	case len(lines) > 1:
		return "", errAmbiguous
	default:
		return lines[0], nil
	}
}

// contradicts reports whether a field names another method or URI than the target, or has several lines.
func contradicts(h http.Header, t target) bool {
	differs := func(fields []string, want string) bool {
		return slices.ContainsFunc(fields, func(field string) bool {
			return slices.ContainsFunc(h[field], func(value string) bool { return relative(value) != want }) || len(h[field]) > 1
		})
	}
	return differs(uriFields, t.uri) || differs(methodFields, t.method)
}

// relative returns an http or https URL from its path on, and returns other texts unchanged.
func relative(uri string) string {
	u, err := url.Parse(uri)
	if err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https" {
		return uri
	}
	_, rest, _ := strings.Cut(uri, "://")
	if slash := strings.IndexByte(rest, '/'); slash >= 0 {
		return rest[slash:]
	}
	return uri
}

// clientAddr returns the address of the client in the form of RemoteAddr, or "" if it is unknown.
func (s *restorer) clientAddr(r *http.Request) (string, error) {
	if !slices.ContainsFunc(r.Header["X-Forwarded-For"], func(line string) bool { return line != "" }) {
		return "", missing("X-Forwarded-For")
	}
	addr, ok := s.client(r)
	if !ok || s.isProxy(addr) {
		return "", nil
	}
	return netip.AddrPortFrom(addr, 0).String(), nil
}

func missing(field string) error { return fmt.Errorf("%w: %s is missing", errIncomplete, field) }
