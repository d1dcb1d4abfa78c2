package manageapi_test

import (
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/manageapi"
	"github.com/latchkey-dev/apikey/memstore"
)

// A program whose key has the scope apikeys:manage creates a key for its owner.
func Example() {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		log.Fatal(err)
	}
	api, err := manageapi.New(desk, manageapi.Options{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/manage/", auth.Handler(http.StripPrefix("/manage", api)))

	r := httptest.NewRequest(http.MethodPost, "/manage/keys", strings.NewReader(`{"name":"Backup job","scopes":["read"]}`))
	r.Header.Set("Content-Type", "application/json")
	secret, _, err := issuer.Issue(r.Context(), apikey.NewKey{Name: "Deployment", Owner: "alice", Scopes: []string{manage.ScopeManage, "read"}})
	if err != nil {
		log.Fatal(err)
	}
	r.Header.Set("X-API-Key", secret.Reveal())
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, r)
	fmt.Println(w.Code, strings.HasPrefix(w.Header().Get("Location"), "keys/"))
	// Output: 201 true
}

// An auditor reads the keys of all owners. The other callers may do what their keys permit.
func ExampleNew_auditors() {
	authorize := func(r *http.Request) (manage.Access, error) {
		key, ok := apikey.FromContext(r.Context())
		switch {
		case !ok:
			return manage.Access{}, apikey.ErrMissing
		case key.HasScopes("auditor"): // a scope that only operators give
			return manage.Access{Actor: manage.KeyActor(key), AllOwners: true, ReadOnly: true}, nil
		}
		return manage.ByKey(key), nil
	}
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		log.Fatal(err)
	}
	api, err := manageapi.New(desk, manageapi.Options{Authorize: authorize})
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	r := httptest.NewRequest(http.MethodGet, "/whoami", nil)
	api.ServeHTTP(w, r.WithContext(apikey.NewContext(r.Context(), apikey.Key{ID: "7Qd", Name: "Auditor", Scopes: []string{"auditor"}})))
	fmt.Println(w.Code)
	// Output: 200
}
