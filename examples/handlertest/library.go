// Package handlertest shows how handlers are tested that stand behind the middleware. Its tests
// are the example.
package handlertest

import (
	"fmt"
	"net/http"

	"github.com/latchkey-dev/apikey"
)

// newLibrary is the service under test: everything but the middleware in front of it.
func newLibrary() http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /library", apikey.Require("library:read")(http.HandlerFunc(library)))
	return mux
}

func library(w http.ResponseWriter, r *http.Request) {
	key, _ := apikey.FromContext(r.Context()) // there is one, or Require had refused
	fmt.Fprintf(w, "The library, for %s.\n", key.Name)
}
