package leak_test

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/netip"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/leak"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// mount serves the endpoints for GitHub, for a scanner with a signed webhook, and for tools that verify keys.
func mount(mux *http.ServeMux, desk *manage.Desk, scannerSecret apikey.Secret, mails chan<- leak.Report) error {
	options := leak.Options{
		OnLeak: func(ctx context.Context, r leak.Report) error {
			select {
			case mails <- r: // a table of the database is better, because it survives a restart
				return nil
			case <-ctx.Done():
				return ctx.Err()
			}
		},
	}
	github, err := leak.GitHub(desk, options)
	if err != nil {
		return err
	}
	scanner, err := leak.Webhook(desk, "nightly scan", []apikey.Secret{scannerSecret}, options)
	if err != nil {
		return err
	}
	verify, err := leak.Verify(desk, options)
	if err != nil {
		return err
	}
	mux.Handle("POST /leaks/github", github)
	mux.Handle("POST /leaks/scanner", scanner)
	mux.Handle("POST /leaks/verify", verify)
	return nil
}

func Example() {
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		panic(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		panic(err)
	}
	mux := http.NewServeMux()
	if err := mount(mux, desk, apikey.NewSecret(webhookSecret("s", 32)), make(chan leak.Report, 100)); err != nil {
		panic(err)
	}
	forged := httptest.NewRequest("POST", "/leaks/scanner", nil)
	w := httptest.NewRecorder()
	mux.ServeHTTP(w, forged)
	fmt.Println(w.Code)
	// Output: 403
}

// The guard is around all other handlers. Close it after the server has ended.
func ExamplePlaintext() {
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	if err != nil {
		panic(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		panic(err)
	}
	auth, err := apikey.New(store, apikey.Options{})
	if err != nil {
		panic(err)
	}
	ctx, mux := context.Background(), http.NewServeMux()

	guard, err := leak.NewPlaintext(desk, auth, leak.PlaintextOptions{
		Proxies: []netip.Prefix{netip.MustParsePrefix("10.0.0.0/24")},
	})
	if err != nil {
		panic(err)
	}
	handler := guard.Handler(auth.Handler(mux))

	secret, key, err := issuer.Issue(ctx, apikey.NewKey{Name: "Backup job"})
	if err != nil {
		panic(err)
	}
	r := httptest.NewRequest("GET", "http://api.example.com/", nil)
	r.RemoteAddr = "203.0.113.7:4711"
	r.Header.Set("X-API-Key", secret.Reveal())
	w := httptest.NewRecorder()
	handler.ServeHTTP(w, r)
	fmt.Println(w.Code)

	if err := guard.Close(ctx); err != nil {
		panic(err)
	}
	key, err = store.Get(ctx, key.ID)
	fmt.Println("revoked:", !key.RevokedAt.IsZero(), err)
	// Output:
	// 403
	// revoked: true <nil>
}
