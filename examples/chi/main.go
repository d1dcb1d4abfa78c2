// Command chi is a service with chi. It has public and protected routes, a scope for each
// protected route, a rate limit for each key, and an access log without keys.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	demo.Serve(func(auth *apikey.Middleware) http.Handler { return newRouter(auth, 600, os.Stdout) })
}

// newRouter returns the routes. Each key may send perHour requests an hour.
func newRouter(auth *apikey.Middleware, perHour int, accessLog io.Writer) http.Handler {
	r := chi.NewRouter()
	r.Use(auth.Conceal) // first, so that the logger sees no key
	r.Use(middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: log.New(accessLog, "", log.LstdFlags), NoColor: true}))
	r.Use(middleware.Recoverer)

	r.Get("/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	r.Group(func(r chi.Router) {
		r.Use(auth.Handler)
		limits := demo.PerHour(perHour) // after Require, so that a refused request spends nothing
		r.With(apikey.Require("library:read"), limits.Handler).Get("/library", read)
		r.With(apikey.Require("library:write"), limits.Handler).Post("/library", write)
	})
	return r
}

func read(w http.ResponseWriter, r *http.Request) {
	key, _ := apikey.FromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s!\n", key.Name)
}

func write(w http.ResponseWriter, r *http.Request) {
	key, _ := apikey.FromContext(r.Context())
	w.WriteHeader(http.StatusCreated)
	fmt.Fprintf(w, "Written for %s.\n", key.Name)
}
