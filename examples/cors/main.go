// Command cors is a service that web pages of another origin use with a key. A browser first sends a
// preflight without the key. The CORS handler therefore wraps the middleware: it answers preflights
// and lets pages read refusals.
package main

import (
	"fmt"
	"net/http"

	"github.com/rs/cors"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	demo.Serve(func(auth *apikey.Middleware) http.Handler { return newService(auth, "https://app.example") })
}

// newService returns the routes. Web pages of one origin may send keys.
func newService(auth *apikey.Middleware, origin string) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /library", read)
	mux.HandleFunc("POST /library", read)
	pages := cors.New(cors.Options{
		AllowedOrigins: []string{origin},
		AllowedMethods: []string{"GET", "POST"},
		AllowedHeaders: []string{"X-API-Key", "Content-Type"},
		ExposedHeaders: []string{"Retry-After", "WWW-Authenticate"},
		// No AllowCredentials, because that is for cookies.
	})
	return pages.Handler(auth.Handler(mux))
}

func read(w http.ResponseWriter, r *http.Request) {
	key, _ := apikey.FromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s!\n", key.Name)
}
