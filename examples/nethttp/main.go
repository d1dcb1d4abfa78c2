// Nethttp is the smallest complete program: it protects one handler with API keys.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()

	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{Name: "Backup job"})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("curl -H 'X-API-Key: %s' http://%s/\n", secret.Reveal(), *addr)

	hello := func(w http.ResponseWriter, r *http.Request) {
		key, _ := apikey.FromContext(r.Context())
		fmt.Fprintf(w, "Hello, %s!\n", key.Name)
	}
	log.Fatal(http.ListenAndServe(*addr, auth.Handler(http.HandlerFunc(hello))))
}
