package apikey_test

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// An administrator suspends a key while a question is open.
func ExamplePatch_suspend() {
	ctx := context.Background()
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	_, key, err := issuer.Issue(ctx, apikey.NewKey{Name: "Backup job"})
	if err != nil {
		log.Fatal(err)
	}
	suspend := func() error {
		if _, err := store.Update(ctx, key.ID, apikey.Patch{Suspended: new(true)}); err != nil {
			return err
		}
		return nil
	}
	if err := suspend(); err != nil {
		log.Fatal(err)
	}
	key, err = store.Get(ctx, key.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Check(time.Now()))
	// Output: apikey: key is suspended
}

// A service behind its own reverse proxies finds the address of the client.
func ExampleTrustProxies() {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{
		ClientAddr: apikey.TrustProxies(netip.MustParsePrefix("10.0.0.1/32")),
	})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{
		Name: "Backup job", Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24")},
	})
	if err != nil {
		log.Fatal(err)
	}
	ok := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	for _, client := range []string{"192.0.2.7", "198.51.100.1", "192.0.2.7, 198.51.100.1"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.RemoteAddr = "10.0.0.1:1234" // the proxy
		r.Header.Set("X-Forwarded-For", client)
		r.Header.Set("X-API-Key", secret.Reveal())
		w := httptest.NewRecorder()
		auth.Handler(ok).ServeHTTP(w, r)
		fmt.Println(client+":", w.Code)
	}
	// Output:
	// 192.0.2.7: 200
	// 198.51.100.1: 403
	// 192.0.2.7, 198.51.100.1: 403
}

// A key for reading cannot write.
func ExampleReadWrite() {
	library := http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})
	mux := http.NewServeMux()
	mux.Handle("/library/", apikey.ReadWrite("library:read", "library:write")(library))

	reader := apikey.NewContext(context.Background(), apikey.Key{Name: "Reading room", Scopes: []string{"library:read"}})
	for _, method := range []string{"GET", "POST"} {
		w := httptest.NewRecorder()
		mux.ServeHTTP(w, httptest.NewRequestWithContext(reader, method, "/library/", nil))
		fmt.Println(method, w.Code)
	}
	// Output:
	// GET 200
	// POST 403
}
