package forwardauth

import (
	"fmt"
	"log/slog"
	"net/netip"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// A Convention says where a proxy puts the method and the URI of the original request.
type Convention uint8

const (
	// OriginalURI is the convention of nginx: X-Original-URI and X-Original-Method, which its
	// configuration must set. nginx passes on only 401 and 403 and answers 500 instead of other
	// refusals, so Restore changes other statuses from 300 to 499 into 403. The field X-Apikey-Status of
	// each refusal contains the original status.
	OriginalURI Convention = iota + 1

	// ForwardedURI is the convention of Caddy, Traefik and APISIX: X-Forwarded-Uri, X-Forwarded-Method
	// and X-Forwarded-Host.
	ForwardedURI

	// RequestLine is the convention of Envoy over HTTP, and of gateways that follow it: the subrequest has
	// the original method and host, and its URI is Options.PathPrefix followed by the original URI.
	RequestLine
)

// String returns the name of the constant, such as "OriginalURI".
func (c Convention) String() string {
	switch c {
	case OriginalURI:
		return "OriginalURI"
	case ForwardedURI:
		return "ForwardedURI"
	case RequestLine:
		return "RequestLine"
	}
	return fmt.Sprintf("Convention(%d)", uint8(c))
}

// Options configures [Restore].
type Options struct {
	// Convention is the convention of the proxy. It is required, because a client can forge the fields
	// that the proxy does not set.
	Convention Convention

	// Trusted are the networks from which the proxies connect. It is required. Restore refuses every
	// other peer, and peers on a Unix socket, which have no address. List only the addresses of the
	// proxies, because every program in these networks can pretend to be any client. A network of all
	// addresses is an error.
	Trusted []netip.Prefix

	// PathPrefix precedes the original path in the convention RequestLine, such as "/check". It is the
	// path_prefix of Envoy. It begins with "/" and does not end with "/". "" means no prefix.
	PathPrefix string

	// Logger receives refused peers and incomplete subrequests at level Warn, at most one entry in ten
	// seconds. Both are faults of the configuration. Nil means slog.Default().
	Logger *slog.Logger
}

// validate returns an error that wraps an InvalidError for the first invalid field.
func (o *Options) validate() error {
	switch o.Convention {
	case OriginalURI, ForwardedURI, RequestLine:
	default:
		return invalid("Convention", "%v; want OriginalURI, ForwardedURI or RequestLine", o.Convention)
	}
	if len(o.Trusted) == 0 {
		return invalid("Trusted", "empty; want the networks from which the proxies connect")
	}
	for i, p := range o.Trusted {
		field := fmt.Sprintf("Trusted[%d]", i)
		switch {
		case !p.IsValid():
			return invalid(field, "the zero Prefix; want a network such as 192.0.2.7/32")
		case p.Addr().Is4In6():
			return invalid(field, "%v; want an IPv4 network such as 192.0.2.7/32", p)
		case p != p.Masked():
			return invalid(field, "%v has host bits set; want %v", p, p.Masked())
		case p.Bits() == 0:
			return invalid(field, "%v contains all addresses; want those of the proxies", p)
		}
	}
	switch prefix := o.PathPrefix; {
	case prefix == "":
	case o.Convention != RequestLine:
		return invalid("PathPrefix", "%q with the convention %v; want it with RequestLine only", prefix, o.Convention)
	case prefix[0] != '/' || strings.HasSuffix(prefix, "/"):
		return invalid("PathPrefix", `%q; want a path that begins with "/" and does not end with it`, prefix)
	default:
		if _, ok := parseURI(prefix); !ok || strings.ContainsAny(prefix, "?%") {
			return invalid("PathPrefix", "%q; want a path without escapes", prefix)
		}
	}
	return nil
}

func invalid(field, format string, args ...any) error {
	return fmt.Errorf("forwardauth: %w", &apikey.InvalidError{Field: field, Problem: fmt.Sprintf(format, args...)})
}
