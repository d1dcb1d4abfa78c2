package serve

import (
	"net/http"
	"strconv"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/limit"
)

// authPath is the prefix of the paths that reverse proxies request. Each proxy has a path of its own, because a client
// can forge the fields of another proxy's convention.
const authPath = "/auth/"

// conventions maps the rest of the path to the convention of the proxy.
var conventions = map[string]forwardauth.Convention{
	"nginx":   forwardauth.OriginalURI,
	"caddy":   forwardauth.ForwardedURI,
	"traefik": forwardauth.ForwardedURI,
	"apisix":  forwardauth.ForwardedURI,
	"envoy":   forwardauth.RequestLine, // the original path follows
}

// forwardAuth returns the handler of the paths in authPath. It answers 403 to paths without a convention.
func (s *server) forwardAuth(auth *apikey.Middleware, limits *limit.Limiter) (http.Handler, error) {
	decide := s.decide(auth, limits)
	handlers := map[string]http.Handler{}
	for name, convention := range conventions {
		o := forwardauth.Options{Convention: convention, Trusted: s.config.trusted, Logger: s.logger}
		if convention == forwardauth.RequestLine {
			o.PathPrefix = authPath + name
		}
		h, err := forwardauth.Restore(decide, o)
		if err != nil {
			return nil, err
		}
		handlers[name] = h
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		name, rest, found := strings.Cut(strings.TrimPrefix(r.URL.Path, authPath), "/")
		h := handlers[name]
		if h == nil || found != (conventions[name] == forwardauth.RequestLine) || !found && rest != "" {
			auth.Refuse(w, r, apikey.ErrForbidden)
			return
		}
		recorder := &statusRecorder{ResponseWriter: w}
		h.ServeHTTP(recorder, r)
		s.metrics.forward.WithLabelValues(strconv.Itoa(recorder.status)).Inc()
	}), nil
}

// decide returns the handler that decides about a restored request by the rules.
func (s *server) decide(auth *apikey.Middleware, limits *limit.Limiter) http.Handler {
	allow := forwardauth.Allow()
	limited := limits.Handler(allow)
	public := auth.Optional(allow)
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch d, ok := s.rules.Load().Demand(r); {
		case !ok:
			auth.Refuse(w, r, apikey.ErrForbidden)
		case d.Public:
			public.ServeHTTP(w, r)
		default:
			auth.Handler(apikey.Require(d.Scopes...)(limited)).ServeHTTP(w, r)
		}
	})
}

// A statusRecorder records the status of a response.
type statusRecorder struct {
	http.ResponseWriter
	status int
}

func (w *statusRecorder) WriteHeader(status int) {
	w.status = status
	w.ResponseWriter.WriteHeader(status)
}
