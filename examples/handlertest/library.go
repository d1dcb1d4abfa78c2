// Package handlertest shows how to test handlers that run after the middleware. Its tests are the
// example.
package handlertest

import (
	"fmt"
	"net/http"

	"github.com/latchkey-dev/apikey"
)

// newLibrary returns the service under test without the middleware.
func newLibrary() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /library", apikey.Require("library:read")(http.HandlerFunc(library)))
	return mux
}

func library(w http.ResponseWriter, r *http.Request) {
	key, _ := apikey.FromContext(r.Context()) // Require has checked that there is one
	fmt.Fprintf(w, "The library, for %s.\n", key.Name)
}
