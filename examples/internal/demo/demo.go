// Package demo runs the service that the examples share: it has keys in memory and two callers.
package demo

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// Serve runs a service on the address of the flag -addr. First it prints two curl commands: one
// with a key that may read, and one with a key that may write.
func Serve(newHandler func(*apikey.Middleware) http.Handler) {
	ServeOn(apikey.Options{}, func(listener net.Listener, auth *apikey.Middleware) error {
		server := &http.Server{Handler: newHandler(auth), ReadHeaderTimeout: 10 * time.Second}
		return server.Serve(listener)
	})
}

// ServeOn is like Serve for services that are not an http.Handler, or that need other Options.
func ServeOn(o apikey.Options, serve func(net.Listener, *apikey.Middleware) error) {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()
	if err := run(*addr, o, serve); err != nil {
		log.Fatal(err)
	}
}

func run(addr string, o apikey.Options, serve func(net.Listener, *apikey.Middleware) error) error {
	store := memstore.New()
	auth, err := apikey.New(store, o)
	if err != nil {
		return err
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for _, caller := range []struct {
		key     apikey.NewKey
		request string
	}{
		{apikey.NewKey{Name: "Reading room", Scopes: []string{"library:read"}}, ""},
		{apikey.NewKey{Name: "Backup job", Scopes: []string{"library:read", "library:write"}}, "-X POST "},
	} {
		secret, _, err := issuer.Issue(context.Background(), caller.key)
		if err != nil {
			return err
		}
		fmt.Printf("curl %s-H 'X-API-Key: %s' http://%s/library\n", caller.request, secret.Reveal(), listener.Addr())
	}
	return serve(listener, auth)
}
