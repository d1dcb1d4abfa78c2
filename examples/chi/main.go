// Command chi is a service whose routes are chi's: public and protected ones, scopes by route,
// a rate for each key, and an access log without keys.
package main

import (
	"fmt"
	"io"
	"log"
	"net/http"
	"os"
	"time"

	"github.com/go-chi/chi/v5"
	"github.com/go-chi/chi/v5/middleware"
	"github.com/go-chi/httprate"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	demo.Serve(func(auth *apikey.Middleware) http.Handler { return newRouter(auth, 60, os.Stdout) })
}

// newRouter returns the routes. Each key has so many requests a minute.
func newRouter(auth *apikey.Middleware, limit int, accessLog io.Writer) http.Handler {
	r := chi.NewRouter()
	r.Use(auth.Conceal) // first, so that the logger sees no key
	r.Use(middleware.RequestLogger(&middleware.DefaultLogFormatter{Logger: log.New(accessLog, "", log.LstdFlags), NoColor: true}))
	r.Use(middleware.Recoverer)

	r.Get("/health", func(w http.ResponseWriter, _ *http.Request) { fmt.Fprintln(w, "ok") })
	r.Group(func(r chi.Router) {
		r.Use(auth.Handler)
		r.Use(httprate.LimitBy(limit, time.Minute, byKey))
		r.With(apikey.Require("library:read")).Get("/library", read)
		r.With(apikey.Require("library:write")).Post("/library", write)
	})
	return r
}

// byKey tells a limiter whose request it is. A key has one rate, from wherever it is used.
func byKey(r *http.Request) (string, error) {
	key, _ := apikey.FromContext(r.Context())
	return key.ID, nil
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
