package main

import (
	"fmt"
	"net/http"
	"sync/atomic"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/manage"
)

// newHandler returns all routes. /readyz answers 200 only while the second result is true.
func newHandler(k *keys, c config) (http.Handler, *atomic.Bool, error) {
	auth, err := apikey.New(k.cache, apikey.Options{Format: k.format, Realm: "Library"})
	if err != nil {
		return nil, nil, err
	}
	desk, err := manage.New(k.issuer)
	if err != nil {
		return nil, nil, err
	}
	dashboard, err := admin.New(desk, admin.Options{
		PasswordHash: c.passwordHash,
		Name:         "Library",
		Scopes:       []string{"library:read", "library:write"},
	})
	if err != nil {
		return nil, nil, fmt.Errorf("ADMIN_PASSWORD_HASH: %w", err)
	}
	ready := new(atomic.Bool)
	mux := http.NewServeMux()
	mux.HandleFunc("GET /livez", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	mux.HandleFunc("GET /readyz", func(w http.ResponseWriter, _ *http.Request) {
		// Without a lease, every request with a key gets 503.
		if !ready.Load() || k.cache.Stats().LeaseRemaining <= 0 {
			http.Error(w, "not ready", http.StatusServiceUnavailable)
			return
		}
		fmt.Fprintln(w, "ok")
	})
	mux.Handle("/admin/", http.StripPrefix("/admin", dashboard))
	mux.Handle("/", auth.Handler(newAPI()))
	return auth.Conceal(mux), ready, nil // outermost, so that redirects of the mux contain no key
}

// newAPI returns the routes of the API. Replace them by your own.
func newAPI() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /library", apikey.Require("library:read")(http.HandlerFunc(library)))
	return mux
}

func library(w http.ResponseWriter, r *http.Request) {
	key, _ := apikey.FromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s!\n", key.Name)
}
