package serve

import (
	"fmt"
	"io"
	"net/http"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manageapi"
)

// handler returns all routes:
//
//	/admin/    the dashboard, if there is a password
//	/api/      the management API, for keys with the scope apikeys:manage or apikeys:administer
//	/auth/     forward auth for reverse proxies, if there are rules
//	/livez     the process runs
//	/readyz    keys can be checked
func (s *server) handler() (http.Handler, error) {
	client := apikey.TrustProxies(s.config.trusted...)
	o := apikey.Options{
		Format: s.keys.format, Adopt: s.keys.adopt, Realm: s.config.name, ClientAddr: client, Observe: s.metrics.observe, Logger: s.logger,
	}
	auth, err := apikey.New(s.keys.cache, o)
	if err != nil {
		return nil, fmt.Errorf("--name: %w", err)
	}
	limits, err := limit.New(s.keys.limits, limit.Options{Observe: s.metrics.observeLimit, Logger: s.logger})
	if err != nil {
		return nil, err
	}
	api, err := manageapi.New(s.keys.desk, manageapi.Options{Limiter: limits, Logger: s.logger})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { io.WriteString(w, "ok\n") })
	mux.HandleFunc("GET /readyz", s.readiness)
	mux.Handle("/api/", auth.Handler(limits.Handler(http.StripPrefix("/api", api))))
	if s.config.passwordHash.Reveal() != "" {
		dashboard, err := admin.New(s.keys.desk, admin.Options{
			PasswordHash: s.config.passwordHash, Name: s.config.name, TrustedOrigins: s.config.origins, Limiter: limits, Logger: s.logger,
			ClientAddr: func(r *http.Request) string {
				if addr, ok := client(r); ok {
					return addr.String()
				}
				return r.RemoteAddr
			},
		})
		if err != nil {
			return nil, fmt.Errorf("dashboard: %w", err)
		}
		mux.Handle("/admin/", http.StripPrefix("/admin", dashboard))
	}
	others := auth.Conceal(mux) // outermost, so that redirects of the mux contain no key
	if s.config.rulesFile == "" {
		return others, nil
	}
	o.Sources = s.config.sources(s.keys.format)
	atProxies, err := apikey.New(s.keys.cache, o)
	if err != nil {
		return nil, err
	}
	forward, err := s.forwardAuth(atProxies, limits)
	if err != nil {
		return nil, err
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, authPath) {
			forward.ServeHTTP(w, r)
			return
		}
		others.ServeHTTP(w, r)
	}), nil
}

// readiness answers 200 while keys can be checked. Without a lease every request with a key gets 503.
func (s *server) readiness(w http.ResponseWriter, _ *http.Request) {
	if !s.ready.Load() || s.keys.cache.Stats().LeaseRemaining <= 0 {
		http.Error(w, "not ready", http.StatusServiceUnavailable)
		return
	}
	io.WriteString(w, "ok\n")
}
