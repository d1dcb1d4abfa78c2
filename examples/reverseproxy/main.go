// Command reverseproxy protects a service that does not know keys. The service never sees a key. It
// gets the identity of the caller in header fields that no client can set.
package main

import (
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/url"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/demo"
)

func main() {
	upstream := flag.String("upstream", "", "URL of the protected service; \"\" means a service that shows the identity it gets")
	demo.Serve(func(auth *apikey.Middleware) http.Handler {
		if *upstream == "" {
			*upstream = serveUpstream()
		}
		target, err := url.Parse(*upstream)
		if err != nil {
			log.Fatalf("-upstream: %v", err)
		}
		return newProxy(auth, target, 5*time.Second)
	})
}

// serveUpstream serves show on localhost and returns its URL. An upstream trusts the header fields of
// every client, so only the proxy should be able to reach a real one.
func serveUpstream() (address string) {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(show), ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Fatal(server.Serve(listener)) }()
	return "http://" + listener.Addr().String()
}

// show responds with the identity that the upstream gets.
func show(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s by %s, %s, with the scopes %s\n", r.Method, r.RequestURI,
		r.Header.Get(idField), r.Header.Get(nameField), r.Header.Get(scopesField))
}
