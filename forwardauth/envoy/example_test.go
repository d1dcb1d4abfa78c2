package envoy_test

import (
	"log"
	"net"
	"net/http"
	"net/netip"

	authv3 "github.com/envoyproxy/go-control-plane/envoy/service/auth/v3"
	"google.golang.org/grpc"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/forwardauth/envoy"
	"github.com/latchkey-dev/apikey/memstore"
)

// This auth service answers an Envoy on the same machine.
func Example() {
	auth, err := apikey.New(memstore.New(), apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	rules := http.NewServeMux()
	rules.Handle("/", forwardauth.Allow())
	rules.Handle("/admin/", apikey.Require("admin")(forwardauth.Allow()))
	server, err := envoy.New(auth.Handler(rules), envoy.Options{
		Auth:    auth,
		Trusted: []netip.Prefix{netip.MustParsePrefix("127.0.0.1/32")},
	})
	if err != nil {
		log.Fatal(err)
	}
	grpcServer := grpc.NewServer()
	authv3.RegisterAuthorizationServer(grpcServer, server)
	listener, err := net.Listen("tcp", "localhost:9000")
	if err != nil {
		log.Fatal(err)
	}
	log.Fatal(grpcServer.Serve(listener))
}
