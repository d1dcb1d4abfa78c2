package apikey_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A logger that takes the URL from elsewhere than the request redacts what it prints.
func ExampleMiddleware_RedactURI() {
	auth, err := apikey.New(memstore.New(), apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(auth.RedactURI("/library?sort=name&api_key=123456789987654321"))
	fmt.Println(auth.RedactURI("/login?next=%2Flibrary%3Fapi_key%3D123456789987654321"))
	// Output:
	// /library?sort=name&api_key=REDACTED
	// /login?next=%2Flibrary%3Fapi_key%3DREDACTED
}

// What stands behind a reverse proxy gets no key, however it came.
func ExampleMiddleware_RemoveKeys() {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.Key{Name: "Backup job"})
	if err != nil {
		log.Fatal(err)
	}

	upstream := httptest.NewServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		fmt.Printf("upstream: %s, X-Api-Key %q\n", r.RequestURI, r.Header.Get("X-Api-Key"))
	}))
	defer upstream.Close()
	target, err := url.Parse(upstream.URL)
	if err != nil {
		log.Fatal(err)
	}
	proxy := auth.Handler(&httputil.ReverseProxy{Rewrite: func(p *httputil.ProxyRequest) {
		p.SetURL(target)
		auth.RemoveKeys(p.Out)
	}})

	r := httptest.NewRequest("GET", "/library?sort=name&api_key="+secret.Reveal(), nil)
	r.Header.Set("X-API-Key", secret.Reveal())
	proxy.ServeHTTP(httptest.NewRecorder(), r)
	// Output: upstream: /library?sort=name, X-Api-Key ""
}

// What is not HTTP, such as a message of a queue, is decided by Verify.
func ExampleMiddleware_Verify() {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.Key{Name: "Backup job"})
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

// A place of one's own: here the user name of HTTP's Basic scheme, as some clients can send
// nothing else.
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
	issuer, err := apikey.NewIssuer(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.Key{Name: "Old scanner"})
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
