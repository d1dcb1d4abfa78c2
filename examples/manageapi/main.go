// Command manageapi serves the JSON API with which programs manage keys, and prints a first key.
package main

import (
	"context"
	"flag"
	"fmt"
	"log"
	"net/http"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/manageapi"
	"github.com/latchkey-dev/apikey/memstore"
)

func main() {
	addr := flag.String("addr", "localhost:8080", "address to listen on")
	flag.Parse()

	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	handler, err := newHandler(store, issuer)
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{
		Name: "Deployment", Owner: "alice", Scopes: []string{manage.ScopeManage, "orders:read"},
	})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Printf("curl -H 'X-API-Key: %s' http://%s/manage/whoami\n", secret.Reveal(), *addr)
	log.Fatal(http.ListenAndServe(*addr, handler))
}

// newHandler returns the API at /manage.
func newHandler(store apikey.KeyStore, issuer *apikey.Issuer) (http.Handler, error) {
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		return nil, err
	}
	desk, err := manage.New(issuer)
	if err != nil {
		return nil, err
	}
	api, err := manageapi.New(desk, manageapi.Options{Authorize: authorize})
	if err != nil {
		return nil, err
	}
	mux := http.NewServeMux()
	mux.Handle("/manage/", auth.Handler(http.StripPrefix("/manage", api)))
	return mux, nil
}

// authorize also lets keys with the scope "auditor" read the keys of all owners. No customer can give this
// scope, because a customer's key does not have it.
func authorize(r *http.Request) (manage.Access, error) {
	key, ok := apikey.FromContext(r.Context())
	switch {
	case !ok:
		return manage.Access{}, apikey.ErrMissing
	case key.HasScopes("auditor"):
		return manage.Access{Actor: manage.KeyActor(key), AllOwners: true, ReadOnly: true}, nil
	}
	return manage.ByKey(key), nil
}
