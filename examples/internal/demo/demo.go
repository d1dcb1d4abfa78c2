// Package demo runs the service that the examples share: it has keys in memory and a few callers.
package demo

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net"
	"net/http"
	"strings"
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

// A Caller is a program that calls the service.
type Caller struct {
	Key apikey.NewKey
	// Command is a request of the caller. KEY stands for the key and ADDR for the address of the service.
	Command string
}

// callers are those of Serve.
var callers = []Caller{
	{apikey.NewKey{Name: "Reading room", Scopes: []string{"library:read"}}, "curl -H 'X-API-Key: KEY' http://ADDR/library"},
	{apikey.NewKey{Name: "Backup job", Scopes: []string{"library:read", "library:write"}}, "curl -X POST -H 'X-API-Key: KEY' http://ADDR/library"},
}

// ServeOn is like Serve for services that are not an http.Handler, or that need other Options or other
// Callers.
func ServeOn(o apikey.Options, serve func(net.Listener, *apikey.Middleware) error, others ...Caller) {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()
	if len(others) == 0 {
		others = callers
	}
	if err := run(*addr, o, serve, others); err != nil {
		log.Fatal(err)
	}
}

func run(addr string, o apikey.Options, serve func(net.Listener, *apikey.Middleware) error, callers []Caller) error {
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
	for _, c := range callers {
		secret, _, err := issuer.Issue(context.Background(), c.Key)
		if err != nil {
			return err
		}
		fmt.Println(strings.NewReplacer("KEY", secret.Reveal(), "ADDR", listener.Addr().String()).Replace(c.Command))
	}
	return serve(listener, auth)
}
