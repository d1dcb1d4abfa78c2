package admin_test

import (
	"errors"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/memstore"
)

// The dashboard stands beside the API, behind a password.
func Example() {
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, nil)
	if err != nil {
		log.Fatal(err)
	}
	api := http.NotFoundHandler()

	// The hash is made once, and kept with the configuration.
	hash, err := admin.HashPassword(apikey.NewSecret("correct horse battery staple"))
	if err != nil {
		log.Fatal(err)
	}

	dashboard, err := admin.New(issuer, admin.Options{PasswordHash: hash})
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

// A host that knows its administrators already says who they are. What they do is recorded
// under the name that Authorize returns.
func ExampleOptions_authorize() {
	issuer, err := apikey.NewIssuer(memstore.New(), nil)
	if err != nil {
		log.Fatal(err)
	}
	dashboard, err := admin.New(issuer, admin.Options{Authorize: func(r *http.Request) (string, error) {
		user, _, _ := r.BasicAuth() // whatever the host's own login has left in the request
		if user != "ann" {
			return "", errors.New("not an administrator")
		}
		return user, nil
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
