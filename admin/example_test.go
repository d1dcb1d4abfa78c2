package admin_test

import (
	"errors"
	"fmt"
	"html/template"
	"log"
	"net/http"
	"net/http/httptest"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// A dashboard with a password serves beside the API.
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
	api := http.NotFoundHandler()

	// Make the hash once and store it with the configuration.
	hash, err := admin.HashPassword(apikey.NewSecret("correct horse battery staple"))
	if err != nil {
		log.Fatal(err)
	}

	desk, err := manage.New(issuer)
	if err != nil {
		log.Fatal(err)
	}
	dashboard, err := admin.New(desk, admin.Options{PasswordHash: hash})
	if err != nil {
		log.Fatal(err)
	}
	mux := http.NewServeMux()
	mux.Handle("/", auth.Handler(api))
	mux.Handle("/admin/", http.StripPrefix("/admin", dashboard))

	w := httptest.NewRecorder()
	mux.ServeHTTP(w, httptest.NewRequest("GET", "/admin/", nil))
	fmt.Println(w.Code, w.Header().Get("Location"))
	// Output: 303 ./login
}

// Translate gets the English texts, which the map translates. Other texts stay English.
func ExampleOptions_translate() {
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		log.Fatal(err)
	}
	german := map[string]string{
		"Access denied": "Zugriff verweigert",
		"Revoke key?":   "Schlüssel sperren?",
		"%d days ago":   "vor %d Tagen",
	}
	dashboard, err := admin.New(desk, admin.Options{
		Authorize: func(*http.Request) (manage.Access, error) { return manage.Access{}, errors.New("not an administrator") },
		Translate: func(english string) string { return german[english] },
		Lang:      "de",
	})
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	dashboard.ServeHTTP(w, httptest.NewRequest("GET", "/", nil))
	fmt.Println(strings.Contains(w.Body.String(), "<h1>Zugriff verweigert</h1>"))
	// Output:
	// true
}

// Authorize identifies administrators by the application's own login. Audit trails record the Actor.
func ExampleOptions_authorize() {
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		log.Fatal(err)
	}
	dashboard, err := admin.New(desk, admin.Options{Authorize: func(r *http.Request) (manage.Access, error) {
		user, _, _ := r.BasicAuth() // or the result of the application's own login
		if user != "ann" {
			return manage.Access{}, errors.New("not an administrator")
		}
		return manage.Access{Actor: user, AllOwners: true, AnyScope: true}, nil
	}})
	if err != nil {
		log.Fatal(err)
	}
	for _, user := range []string{"ann", "bob"} {
		r := httptest.NewRequest("GET", "/", nil)
		r.SetBasicAuth(user, "")
		w := httptest.NewRecorder()
		dashboard.ServeHTTP(w, r)
		fmt.Println(user, w.Code)
	}
	// Output:
	// ann 200
	// bob 403
}

// A shop shows the keys of the customer who is logged in, within its own page.
func ExampleOptions_layout() {
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		log.Fatal(err)
	}
	shop := template.Must(template.New("page").Parse(`<!doctype html>
<html lang="en">
<head><title>{{.Title}} · Shop</title>{{.Head}}<link rel="stylesheet" href="/shop.css"></head>
<body><nav><a href="/orders">Orders</a></nav><main>{{.Body}}</main></body>
</html>`))
	customer := func(r *http.Request) string { return "alice" } // from the session of the shop
	keys, err := admin.New(desk, admin.Options{
		Authorize: func(r *http.Request) (manage.Access, error) {
			id := customer(r)
			return manage.Access{Actor: id, Owner: id, Scopes: []string{"orders:read"}, MaxKeys: 10}, nil
		},
		Layout: func(w http.ResponseWriter, r *http.Request, p admin.Page) error { return shop.Execute(w, p) },
	})
	if err != nil {
		log.Fatal(err)
	}
	w := httptest.NewRecorder()
	http.StripPrefix("/settings/keys", keys).ServeHTTP(w, httptest.NewRequest("GET", "/settings/keys/", nil))
	page := w.Body.String()
	fmt.Println(w.Code, strings.Contains(page, `<a href="/orders">Orders</a>`), strings.Contains(page, "API keys</h1>"))
	// Output: 200 true true
}
