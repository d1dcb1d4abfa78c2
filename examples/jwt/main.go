// Command jwt is a service whose routes accept API keys of programs and JSON Web Tokens of people.
package main

import (
	"crypto/ed25519"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/golang-jwt/jwt/v5"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	// In production, the identity provider holds the private key and publishes the public key.
	public, private, err := ed25519.GenerateKey(nil)
	if err != nil {
		log.Fatal(err)
	}
	demo.ServeOn(options, func(listener net.Listener, auth *apikey.Middleware) error {
		token, err := jwt.NewWithClaims(jwt.SigningMethodEdDSA, newClaims("Alice", "library:read", time.Hour)).SignedString(private)
		if err != nil {
			return err
		}
		fmt.Printf("curl -H 'Authorization: Bearer %s' http://%s/library\n", token, listener.Addr())
		server := &http.Server{Handler: newService(auth, tokens{public}), ReadHeaderTimeout: 10 * time.Second}
		return server.Serve(listener)
	})
}

// Keys and tokens share the scheme Bearer. Prefixed ignores the tokens.
var options = apikey.Options{Sources: []apikey.Source{
	apikey.Header("X-API-Key"),
	apikey.Prefixed(apikey.Bearer()),
}}

func newService(auth *apikey.Middleware, t tokens) http.Handler {
	mux := http.NewServeMux()
	mux.Handle("GET /library", apikey.Require("library:read")(http.HandlerFunc(read)))
	mux.Handle("POST /library", apikey.Require("library:write")(http.HandlerFunc(read)))
	return keyOrToken(auth, t)(mux)
}

func read(w http.ResponseWriter, r *http.Request) {
	caller, _ := apikey.FromContext(r.Context())
	fmt.Fprintf(w, "Hello, %s!\n", caller.Name)
}
