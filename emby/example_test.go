package emby_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/memstore"
)

func Example() {
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, nil)
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
	mux.Handle("/Auth/Keys", emby.Keys(issuer))
	mux.Handle("/Auth/Keys/", emby.Keys(issuer))
	handler := emby.Paths(auth.Handler(mux), "GET /Users/{name}")

	secret, _, err := issuer.Issue(context.Background(), apikey.Key{Name: "Home hub"})
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
	fmt.Println(w.Code, "without the scope", emby.ScopeManage)
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
