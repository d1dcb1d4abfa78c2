package envoy

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"net/netip"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc/peer"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
)

// Options configures [New].
type Options struct {
	// Auth is the Middleware in the chain of handlers. The Server removes its keys from the request for
	// the service. It is required.
	Auth *apikey.Middleware

	// Trusted are the networks from which Envoy connects, as in [forwardauth.Options]. It is required.
	// A peer on a Unix socket has no address and is refused.
	Trusted []netip.Prefix

	// Logger receives refused peers at level Warn, at most one entry in ten seconds, and panics of handlers
	// at level Error. Nil means slog.Default().
	Logger *slog.Logger
}

// A Server decides about requests of Envoy's clients. It is safe for concurrent use. Make it with [New]
// and register it with authv3.RegisterAuthorizationServer.
type Server struct {
	authv3.UnimplementedAuthorizationServer
	handler http.Handler
	auth    *apikey.Middleware
	logger  *slog.Logger
}

// New returns a Server that permits the requests to which next answers 200. The handler next is the
// whole chain: the Middleware, rules such as [apikey.Require], and [forwardauth.Allow] at its end. It
// receives the request of the client as [forwardauth.Restore] makes it, without a body. The error wraps
// an [apikey.InvalidError] that names the field.
func New(next http.Handler, o Options) (*Server, error) {
	if o.Auth == nil {
		return nil, fmt.Errorf("envoy: %w", &apikey.InvalidError{Field: "Auth", Problem: "nil; want the Middleware of the chain"})
	}
	if o.Logger == nil {
		o.Logger = slog.Default()
	}
	handler, err := forwardauth.Restore(next, forwardauth.Options{
		Convention: forwardauth.RequestLine,
		Trusted:    o.Trusted,
		Logger:     o.Logger,
	})
	if err != nil {
		return nil, fmt.Errorf("envoy: %w", err)
	}
	return &Server{handler: handler, auth: o.Auth, logger: o.Logger}, nil
}

// Check decides about one request. A permitted request gets the identity of the caller in the fields of
// [forwardauth.Allow] and loses its key, in the header and in the query. A refused request gets the status,
// the header and up to 64 KiB of the body that the handlers wrote. Check answers 400 to malformed attributes
// and 503 if a handler panics. It never returns an error, because Envoy's failure_mode_allow would then
// permit the request.
func (s *Server) Check(ctx context.Context, check *authv3.CheckRequest) (*authv3.CheckResponse, error) {
	r, err := request(ctx, peerAddr(ctx), check)
	if err != nil {
		return refusal(http.StatusBadRequest, http.Header{}, ""), nil
	}
	w := &recorder{header: http.Header{}}
	if !s.serve(w, r) {
		return refusal(http.StatusServiceUnavailable, http.Header{"Retry-After": {"1"}}, ""), nil
	}
	if w.status != http.StatusOK {
		return refusal(w.status, w.header, w.body.String()), nil
	}
	return permission(r, s.auth, w.header), nil
}

// serve calls the handlers. It returns false if one of them panics, because gRPC, unlike net/http, does not
// recover from panics.
func (s *Server) serve(w http.ResponseWriter, r *http.Request) (served bool) {
	defer func() {
		if p := recover(); p != nil {
			s.logger.ErrorContext(r.Context(), "envoy: a handler panicked", "type", fmt.Sprintf("%T", p))
		}
	}()
	s.handler.ServeHTTP(w, r)
	return true
}

// peerAddr returns the address from which Envoy is connected, or "".
func peerAddr(ctx context.Context) string {
	if p, ok := peer.FromContext(ctx); ok && p.Addr != nil {
		return p.Addr.String()
	}
	return ""
}
