package manage_test

import (
	"context"
	"errors"
	"fmt"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// A customer of a service makes keys on a settings page.
func Example() {
	ctx := context.Background()
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	if err != nil {
		panic(err)
	}
	desk, err := manage.New(issuer)
	if err != nil {
		panic(err)
	}

	customer, err := desk.As(manage.Access{
		Actor:   "alice@example.com",
		Owner:   "customer-7", // sees and changes the keys of this customer alone
		Scopes:  []string{"orders:read", "orders:write"},
		MaxKeys: 1,
	})
	if err != nil {
		panic(err)
	}
	_, key, err := customer.Issue(ctx, apikey.NewKey{Name: "Warehouse", Scopes: []string{"orders:read"}}, "")
	fmt.Println(key.Name, key.Owner, err)

	_, _, err = customer.Issue(ctx, apikey.NewKey{Name: "Accounting", Scopes: []string{"invoices:read"}}, "")
	fmt.Println(err)
	_, _, err = customer.Issue(ctx, apikey.NewKey{Name: "Second warehouse"}, "")
	var refused *manage.RefusedError
	if errors.As(err, &refused) {
		fmt.Println(refused.Rule, "-", refused.Problem)
	}
	// Output:
	// Warehouse customer-7 <nil>
	// manage: Scopes: You cannot give the scope "invoices:read".
	// keys - You can have at most 1 key. Revoke a key first.
}

// A program whose own key has the scope apikeys:manage manages the keys of its owner.
func ExampleByKey() {
	caller := apikey.Key{ID: "7Qd", Name: "Deployment", Owner: "customer-7", Scopes: []string{manage.ScopeManage, "orders:read"}}
	access := manage.ByKey(caller)
	fmt.Println(access.Actor, access.Owner, access.Scopes)
	// Output: API key Deployment (7Qd) customer-7 [apikeys:manage orders:read]
}

// A client repeats a request whose answer it lost.
func ExampleSession_Issue_repeated() {
	ctx := context.Background()
	issuer, _ := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	desk, _ := manage.New(issuer)
	session, _ := desk.As(manage.Access{Actor: "alice", Owner: "alice"})

	_, first, _ := session.Issue(ctx, apikey.NewKey{Name: "Backup job"}, "0ddee2ba")
	secret, again, err := session.Issue(ctx, apikey.NewKey{Name: "Backup job"}, "0ddee2ba")
	fmt.Println(first.ID == again.ID, secret.Reveal() == "", err)
	// Output: true true <nil>
}
