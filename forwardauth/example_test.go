package forwardauth_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/forwardauth"
	"github.com/latchkey-dev/apikey/memstore"
)

// The rules of an auth service are middleware on routes, as in any service in Go.
func ExampleRestore() {
	store := memstore.New()
	issuer, _ := apikey.NewIssuer(store, apikey.IssuerOptions{})
	auth, _ := apikey.New(store, apikey.Options{})

	rules := http.NewServeMux()
	rules.Handle("/", forwardauth.Allow())
	rules.Handle("/admin/", apikey.Require("admin")(forwardauth.Allow()))
	handler, err := forwardauth.Restore(auth.Handler(rules), forwardauth.Options{
		Convention: forwardauth.OriginalURI,
		Trusted:    []netip.Prefix{netip.MustParsePrefix("10.0.0.7/32")},
	})
	if err != nil {
		panic(err)
	}

	secret, _, _ := issuer.Issue(context.Background(), apikey.NewKey{Name: "Backup job"})
	for _, uri := range []string{"/library?api_key=" + secret.Reveal(), "/admin/users?api_key=" + secret.Reveal(), "/library"} {
		r := httptest.NewRequest("GET", "/check", nil) // as nginx sends it
		r.RemoteAddr = "10.0.0.7:40000"
		r.Header.Set("X-Original-URI", uri)
		r.Header.Set("X-Original-Method", "GET")
		r.Header.Set("X-Forwarded-For", "203.0.113.9")
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		fmt.Printf("%d %q\n", w.Code, w.Header().Get("X-Apikey-Name"))
	}
	// Output:
	// 200 "Backup%20job"
	// 403 ""
	// 401 ""
}
