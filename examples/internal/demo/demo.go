// Package demo is what the examples for routers have in common: a service with keys in
// memory, and two callers of it.
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

// Serve runs a service on the address that the flag -addr names, after printing a key that
// may read and one that may write, each in a line for curl.
func Serve(newHandler func(*apikey.Middleware) http.Handler) {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()
	if err := serve(*addr, newHandler); err != nil {
		log.Fatal(err)
	}
}

func serve(addr string, newHandler func(*apikey.Middleware) http.Handler) error {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		return err
	}
	issuer, err := apikey.NewIssuer(store, nil)
	if err != nil {
		return err
	}
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return err
	}
	for _, caller := range []struct {
		key     apikey.Key
		request string
	}{
		{apikey.Key{Name: "Reading room", Scopes: []string{"library:read"}}, ""},
		{apikey.Key{Name: "Backup job", Scopes: []string{"library:read", "library:write"}}, "-X POST "},
	} {
		secret, _, err := issuer.Issue(context.Background(), caller.key)
		if err != nil {
			return err
		}
		fmt.Printf("curl %s-H 'X-API-Key: %s' http://%s/library\n", caller.request, secret.Reveal(), listener.Addr())
	}
	server := &http.Server{Handler: newHandler(auth), ReadHeaderTimeout: 10 * time.Second}
	return server.Serve(listener)
}
