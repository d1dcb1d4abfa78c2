package drivertest

import (
	"context"
	"fmt"
	"log"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// A service uses a database, the store, a cache and the middleware.
func Example() {
	ctx := context.Background()
	dir, err := os.MkdirTemp("", "apikey")
	if err != nil {
		log.Fatal(err)
	}
	defer os.RemoveAll(dir)
	db, err := sqlstore.OpenSQLite("sqlite", filepath.Join(dir, "keys.db"))
	if err != nil {
		log.Fatal(err)
	}
	defer db.Close()

	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer store.Close(ctx) // writes when keys were last used
	if err := store.Migrate(ctx); err != nil {
		log.Fatal(err)
	}
	cache, err := cachestore.New(store, cachestore.Options{})
	if err != nil {
		log.Fatal(err)
	}
	defer cache.Close()
	auth, err := apikey.New(cache, apikey.Options{})
	if err != nil {
		log.Fatal(err)
	}

	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	secret, key, err := issuer.Issue(ctx, apikey.NewKey{Name: "Backup job"})
	if err != nil {
		log.Fatal(err)
	}
	h := auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	request := func() {
		r := httptest.NewRequest("GET", "/", nil)
		r.Header.Set("X-API-Key", secret.Reveal())
		w := httptest.NewRecorder()
		h.ServeHTTP(w, r)
		fmt.Println(w.Code)
	}
	request()
	if _, err := store.Revoke(ctx, key.ID); err != nil {
		log.Fatal(err)
	}
	request()
	// Output:
	// 200
	// 401
}
