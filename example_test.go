package apikey_test

import (
	"context"
	"errors"
	"fmt"
	"log"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A service with one protected handler, and a client that calls it in the two ways of the
// default sources.
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
	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{Name: "Backup job"})
	if err != nil {
		log.Fatal(err)
	}
	server := httptest.NewServer(auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, _ := apikey.FromContext(r.Context())
		fmt.Fprintf(w, "Hello, %s!", key.Name)
	})))
	defer server.Close()

	call := func(target, token string) {
		r, _ := http.NewRequest("GET", server.URL+target, nil)
		r.Header.Set("X-Emby-Token", token)
		res, err := http.DefaultClient.Do(r)
		if err != nil {
			log.Fatal(err)
		}
		defer res.Body.Close()
		body := make([]byte, 200)
		n, _ := res.Body.Read(body)
		fmt.Println(res.StatusCode, strings.TrimSpace(string(body[:n])))
	}
	call("/", secret.Reveal())
	call("/?api_key="+secret.Reveal(), "")
	call("/", "")
	// Output:
	// 200 Hello, Backup job!
	// 200 Hello, Backup job!
	// 401 {"type":"about:blank","title":"Unauthorized","status":401,"detail":"A valid API key is required."}
}

// A route requires scopes. Every route behind Handler requires a key.
func ExampleRequire() {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{Name: "Player", Scopes: []string{"library:read"}})
	if err != nil {
		log.Fatal(err)
	}

	ok := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { fmt.Fprintln(w, "ok") })
	mux := http.NewServeMux()
	mux.Handle("GET /library", apikey.Require("library:read")(ok))
	mux.Handle("DELETE /library", apikey.Require("library:read", "library:write")(ok))
	h := auth.Handler(mux)

	for _, method := range []string{"GET", "DELETE"} {
		r := httptest.NewRequest(method, "/library", nil)
		r.Header.Set("X-API-Key", secret.Reveal())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(method, w.Code)
	}
	// Output:
	// GET 200
	// DELETE 403
}

// A test puts an identity into the context and calls a handler without a key.
func ExampleNewContext() {
	handler := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, ok := apikey.FromContext(r.Context())
		fmt.Println(key.Name, ok)
	})
	r := httptest.NewRequest("GET", "/", nil)
	ctx := apikey.NewContext(r.Context(), apikey.Key{ID: "test", Name: "Backup job"})
	handler.ServeHTTP(httptest.NewRecorder(), r.WithContext(ctx))
	// Output: Backup job true
}

// Authenticate is for routers whose middleware is not made of http.Handler.
func ExampleMiddleware_Authenticate() {
	auth, err := apikey.New(memstore.New(), apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	// A router with a handler type of its own.
	type handler func(w http.ResponseWriter, r *http.Request) error
	protect := func(next handler) handler {
		return func(w http.ResponseWriter, r *http.Request) error {
			admitted, err := auth.Authenticate(w, r)
			if err != nil {
				auth.Refuse(w, r, err)
				return nil
			}
			return next(w, admitted)
		}
	}

	h := protect(func(http.ResponseWriter, *http.Request) error { return errors.New("not reached") })
	w := httptest.NewRecorder()
	fmt.Println(h(w, httptest.NewRequest("GET", "/", nil)), w.Code)
	// Output: <nil> 401
}

// A service accepts keys where its clients put them.
func ExampleOptions() {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{
		Sources: []apikey.Source{
			apikey.Bearer(),            // Authorization: Bearer KEY
			apikey.Header("X-API-Key"), // a field of its own
			apikey.Query("api_key"),    // ?api_key=KEY, in any case
		},
	})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{Name: "Partner"})
	if err != nil {
		log.Fatal(err)
	}

	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+secret.Reveal())
	w := httptest.NewRecorder()
	auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	fmt.Println(w.Code)
	// Output: 200
}

// A public route serves requests without a key, and knows the caller of a request with a key.
func ExampleMiddleware_Optional() {
	auth, err := apikey.New(memstore.New(), apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.HandleFunc("/System/Info/Public", func(w http.ResponseWriter, r *http.Request) {
		_, known := apikey.FromContext(r.Context())
		fmt.Println("known:", known)
	})
	mux.Handle("/System/Info", apikey.Require()(http.NotFoundHandler()))
	h := auth.Optional(mux)
	for _, target := range []string{"/System/Info/Public", "/System/Info", "/System/Info/Public?api_key=wrong"} {
		w := httptest.NewRecorder()
		h.ServeHTTP(w, httptest.NewRequest("GET", target, nil))
		fmt.Println(w.Code, target)
	}
	// Output:
	// known: false
	// 200 /System/Info/Public
	// 401 /System/Info
	// 401 /System/Info/Public?api_key=wrong
}

// A counter uses outcomes as labels.
func ExampleEvent_Outcome() {
	count := map[string]int{}
	auth, err := apikey.New(memstore.New(), apikey.Options{
		Observe: func(_ context.Context, e apikey.Event) { count[e.Outcome()]++ },
		Logger:  slog.New(slog.DiscardHandler),
	})
	if err != nil {
		log.Fatal(err)
	}
	h := auth.Handler(http.NotFoundHandler())
	for _, target := range []string{"/", "/?api_key=x", "/?api_key=a&api_key=b"} {
		h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", target, nil))
	}
	fmt.Println(count)
	// Output: map[ambiguous:1 malformed:1 missing:1]
}

// A consumer of a queue verifies the key of a message.
func ExampleMiddleware_Verify() {
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

	for _, presented := range []apikey.Secret{secret, apikey.NewSecret("a guess")} {
		key, err := auth.Verify(context.Background(), presented)
		if err != nil {
			fmt.Println(apikey.StatusCode(err), err)
			continue
		}
		fmt.Println(key.Name)
	}
	// Output:
	// Backup job
	// 401 apikey: malformed key
}

// A service accepts the key as the user name of HTTP's Basic scheme, for clients that cannot send it in
// another way.
func ExampleSourceFunc() {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{Sources: []apikey.Source{
		apikey.SourceFunc("basic user", func(r *http.Request) (string, error) {
			user, _, _ := r.BasicAuth()
			return user, nil
		}),
	}})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{Name: "Old scanner"})
	if err != nil {
		log.Fatal(err)
	}

	r := httptest.NewRequest("GET", "/", nil)
	r.SetBasicAuth(secret.Reveal(), "")
	auth.Handler(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		key, _ := apikey.FromContext(r.Context())
		fmt.Println(key.Name)
	})).ServeHTTP(httptest.NewRecorder(), r)
	// Output: Old scanner
}
