// Command reverseproxy puts keys in front of a service that knows nothing of them. The service
// never sees a key. It is told who calls by header fields that no client can set.
package main

import (
	"flag"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/url"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	upstream := flag.String("upstream", "", "URL of the service behind; one that shows what it is told if empty")
	demo.Serve(func(auth *apikey.Middleware) http.Handler {
		if *upstream == "" {
			*upstream = httptest.NewServer(http.HandlerFunc(show)).URL
		}
		target, err := url.Parse(*upstream)
		if err != nil {
			log.Fatalf("-upstream: %v", err)
		}
		return newProxy(auth, target)
	})
}

// show is a service that trusts the proxy: only the proxy can reach it.
func show(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s by %s, %s, who may %s\n", r.Method, r.RequestURI,
		r.Header.Get(idField), r.Header.Get(nameField), r.Header.Get(scopesField))
}
