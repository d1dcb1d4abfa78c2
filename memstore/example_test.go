package memstore_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A handler behind a Middleware is tested without a database and without a server.
func Example() {
	ctx := context.Background()
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		panic(err)
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		panic(err)
	}
	secret, key, err := issuer.Issue(ctx, apikey.NewKey{Name: "Backup job"})
	if err != nil {
		panic(err)
	}

	handler := auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := apikey.FromContext(r.Context())
		fmt.Fprintf(w, "hello, %s", key.Name)
	}))
	request := func() *httptest.ResponseRecorder {
		r := httptest.NewRequest("GET", "/library", nil)
		r.Header.Set("X-API-Key", secret.Reveal())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		return w
	}

	w := request()
	fmt.Println(w.Code, w.Body)

	if _, err := store.Revoke(ctx, key.ID); err != nil {
		panic(err)
	}
	fmt.Println(request().Code)

	// Output:
	// 200 hello, Backup job
	// 401
}
