package rehash_test

import (
	"context"
	"fmt"
	"net/http/httptest"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/rehash"
)

func newMiddleware(store apikey.KeyStore, issuer *apikey.Issuer) (*apikey.Middleware, error) {
	adopter, err := rehash.New(store, issuer, rehash.Options{Schemes: []rehash.Scheme{rehash.Gitea()}})
	if err != nil {
		return nil, err
	}
	return apikey.New(store, apikey.Options{Format: issuer.Format(), Adopt: adopter.Adopt, Sources: []apikey.Source{apikey.Bearer()}})
}

func Example() {
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
	if err != nil {
		fmt.Println(err)
		return
	}
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{Format: format})
	if err != nil {
		fmt.Println(err)
		return
	}
	keys, err := newMiddleware(store, issuer)
	if err != nil {
		fmt.Println(err)
		return
	}

	// The columns token_last_eight, token_salt and token_hash of a row.
	row, err := rehash.GiteaRow("01234567", "Xy3AbCdE9z",
		"e94356577416b0be1092aa83171170ef6afcea3a3f22449e68c9198bfde5aef7e7313132846574ead17df3f4da373f5d463b")
	if err != nil {
		fmt.Println(err)
		return
	}
	_, err = row.Import(context.Background(), issuer, apikey.ImportedKey{Name: "CI"}, time.Now().AddDate(0, 3, 0))
	if err != nil {
		fmt.Println(err)
		return
	}

	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("Authorization", "Bearer 0123456789abcdef0123456789abcdef01234567")
	key, err := keys.Check(r)
	if err != nil {
		fmt.Println(err)
		return
	}
	fmt.Println(key.Name)
	// Output: CI
}
