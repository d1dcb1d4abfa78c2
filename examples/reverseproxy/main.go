// Command reverseproxy puts keys in front of a service that knows nothing of them. The service
// never sees a key. It is told who calls by header fields that no client can set.
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
	upstream := flag.String("upstream", "", "URL of the service behind; one that shows what it is told if empty")
	demo.Serve(func(auth *apikey.Middleware) http.Handler {
		if *upstream == "" {
			*upstream = serveUpstream()
		}
		target, err := url.Parse(*upstream)
		if err != nil {
			log.Fatalf("-upstream: %v", err)
		}
		return newProxy(auth, target)
	})
}

// serveUpstream serves show, and returns where. It believes whoever reaches it, so it is for this
// machine alone; a real one is to be reached by the proxy alone.
func serveUpstream() (address string) {
	listener, err := net.Listen("tcp", "localhost:0")
	if err != nil {
		log.Fatal(err)
	}
	server := &http.Server{Handler: http.HandlerFunc(show), ReadHeaderTimeout: 10 * time.Second}
	go func() { log.Fatal(server.Serve(listener)) }()
	return "http://" + listener.Addr().String()
}

// show shows what the upstream is told.
func show(w http.ResponseWriter, r *http.Request) {
	fmt.Fprintf(w, "%s %s by %s, %s, who may %s\n", r.Method, r.RequestURI,
		r.Header.Get(idField), r.Header.Get(nameField), r.Header.Get(scopesField))
}
