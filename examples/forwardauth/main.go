// Command forwardauth checks API keys for a service in another language. A reverse proxy asks it about
// each request, as the configurations of nginx, Caddy, HAProxy and Traefik in this directory do.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"net/netip"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/memstore"
)

func main() {
	addr := flag.String("addr", "localhost:9000", "address to listen on")
	proxy := flag.String("proxy", "nginx", "proxy that asks: nginx, caddy, haproxy or traefik")
	flag.Parse()

	store := memstore.New() // a real service keeps its keys in a database: see package sqlstore
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{Name: "Café backup", Scopes: []string{"library"}})
	if err != nil {
		log.Fatal(err)
	}

	convention := forwardauth.ForwardedURI
	if *proxy == "nginx" {
		convention = forwardauth.OriginalURI
	}
	handler, err := newHandler(store, convention)
	if err != nil {
		log.Fatal(err)
	}
	listener, err := net.Listen("tcp", *addr)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("Listening on %s. The key is:\n%s\n", listener.Addr(), secret.Reveal())
	server := &http.Server{Handler: handler, ReadHeaderTimeout: 10 * time.Second}
	log.Fatal(server.Serve(listener))
}

// newHandler returns the auth service. The rules are those of any service in Go.
func newHandler(store apikey.KeyStore, convention forwardauth.Convention) (http.Handler, error) {
	auth, err := apikey.New(store, apikey.Options{
		// No Query, because the service behind the proxy would get a key in the query.
		Sources: []apikey.Source{apikey.Header("X-API-Key"), apikey.Bearer()},
	})
	if err != nil {
		return nil, err
	}
	rules := http.NewServeMux()
	rules.Handle("/", apikey.Require("library")(forwardauth.Allow()))
	rules.Handle("/admin/", apikey.Require("admin")(forwardauth.Allow()))
	return forwardauth.Restore(auth.Handler(rules), forwardauth.Options{
		Convention: convention,
		Trusted:    []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32"), netip.MustParsePrefix("::1/128")},
	})
}
