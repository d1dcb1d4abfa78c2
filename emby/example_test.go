package emby_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

func Example() {
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /Users/{name}", func(w http.ResponseWriter, r *http.Request) {
		key, _ := apikey.FromContext(r.Context())
		fmt.Fprintf(w, "%s asks for %s", key.Name, r.PathValue("name"))
	})

	auth, err := apikey.New(store, apikey.Options{Sources: emby.Sources()})
	if err != nil {
		log.Fatal(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := emby.Keys(desk)
	if err != nil {
		log.Fatal(err)
	}
	mux.Handle("/Auth/Keys", keys)
	mux.Handle("/Auth/Keys/", keys)
	handler := emby.Paths(auth.Handler(mux), "GET /Users/{name}")

	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{Name: "Home hub"})
	if err != nil {
		log.Fatal(err)
	}
	r := httptest.NewRequest("GET", "/emby/users/Bob", nil)
	r.Header.Set("Authorization", `MediaBrowser Client="Hub", Token="`+secret.Reveal()+`"`)
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, w.Body)

	r = httptest.NewRequest("GET", "/Auth/Keys", nil)
	r.Header.Set("X-Emby-Token", secret.Reveal())
	w = httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code, "without the scope", manage.ScopeManage)
	// Output:
	// 200 Home hub asks for Bob
	// 403 without the scope apikeys:manage
}

func ExamplePaths() {
	mux := http.NewServeMux()
	mux.HandleFunc("GET /Users/{name}", func(w http.ResponseWriter, r *http.Request) { fmt.Println("user", r.PathValue("name")) })
	mux.HandleFunc("DELETE /Auth/Keys/{key}", func(w http.ResponseWriter, r *http.Request) { fmt.Println(r.URL) })
	handler := emby.Paths(mux, "GET /Users/{name}")
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/emby/users/Bob", nil))
	handler.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("DELETE", "/auth/keys/123456789987654321", nil))
	// Output:
	// user Bob
	// /Auth/Keys/REDACTED
}

func ExampleAccessOf() {
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		log.Fatal(err)
	}
	keys, err := emby.Keys(desk, emby.AccessOf(func(k apikey.Key) manage.Access {
		if k.Owner == "" {
			return manage.Access{} // refused with 403
		}
		access := manage.ByKey(k) // also refused, unless the key has manage.ScopeManage
		access.MaxKeys = 10
		return access
	}))
	if err != nil {
		log.Fatal(err)
	}
	for _, owner := range []string{"alice", ""} {
		r := httptest.NewRequest("GET", "/Auth/Keys", nil)
		w := httptest.NewRecorder()
		keys.ServeHTTP(w, r.WithContext(apikey.NewContext(r.Context(), apikey.Key{ID: "7", Name: "Hub", Owner: owner, Scopes: []string{manage.ScopeManage}})))
		fmt.Println(w.Code)
	}
	// Output:
	// 200
	// 403
}
