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

// An access logger writes the URI of the request that it receives. Conceal, around the logger,
// removes the key from that URI.
func ExampleMiddleware_Conceal() {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	logger := func(next http.Handler) http.Handler {
		return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
			next.ServeHTTP(w, r)
			fmt.Println(r.Method, r.RequestURI)
		})
	}
	mux := http.NewServeMux()
	h := auth.Conceal(logger(auth.Handler(mux)))
	h.ServeHTTP(httptest.NewRecorder(), httptest.NewRequest("GET", "/System/Info?api_key=123456789987654321&x=1", nil))
	// Output: GET /System/Info?x=1
}

// A logger redacts a URI that does not come from a concealed request.
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

// A reverse proxy removes the key before it sends the request to the upstream.
func ExampleMiddleware_RemoveKeys() {
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
