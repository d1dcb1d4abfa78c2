package apikey_test

import (
	"context"
	"crypto/sha256"
	"fmt"
	"log"
	"os"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/memstore"
)

// A service keeps its pepper apart from the database, for example in the environment.
func ExampleNewFormat() {
	os.Setenv("APIKEY_PEPPER", "5f1e0d8c7b6a59483726150493827160") // 32 random bytes or more
	format, err := apikey.NewFormat("acme", apikey.FormatOptions{
		Peppers: []apikey.Secret{apikey.NewSecret(os.Getenv("APIKEY_PEPPER"))},
	})
	if err != nil {
		log.Fatal(err)
	}
	store := memstore.New()
	auth, err := apikey.New(store, apikey.Options{Format: format})
	if err != nil {
		log.Fatal(err)
	}
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{Format: format})
	if err != nil {
		log.Fatal(err)
	}
	secret, _, err := issuer.Issue(context.Background(), apikey.NewKey{Name: "Partner"})
	if err != nil {
		log.Fatal(err)
	}
	key, err := auth.Verify(context.Background(), secret)
	fmt.Println(key.Name, err)
	fmt.Println(secret)                    // not by accident
	fmt.Println(secret.Reveal()[:5] + "…") // on purpose
	_, err = auth.Verify(context.Background(), apikey.NewSecret("acme_0123456789012345678901234567890123456"))
	fmt.Println(err)
	// Output:
	// Partner <nil>
	// REDACTED
	// acme_…
	// apikey: malformed key
}

// During the grace period, both the old and the new key are valid.
func ExampleIssuer_Rotate() {
	ctx := context.Background()
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{})
	if err != nil {
		log.Fatal(err)
	}
	_, old, err := issuer.Issue(ctx, apikey.NewKey{Name: "Backup job"})
	if err != nil {
		log.Fatal(err)
	}
	_, key, err := issuer.Rotate(ctx, old.ID, 24*time.Hour)
	if err != nil {
		log.Fatal(err)
	}
	old, err = issuer.Manager().Get(ctx, old.ID)
	if err != nil {
		log.Fatal(err)
	}
	fmt.Println(key.Name, key.Replaces == old.ID, !old.ExpiresAt.IsZero())
	// Output: Backup job true true
}

// Keys of another system remain valid, even if only their SHA-256 is known.
func ExampleIssuer_Import() {
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
	if err != nil {
		log.Fatal(err)
	}
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{Format: format})
	if err != nil {
		log.Fatal(err)
	}
	sum := sha256.Sum256([]byte("123456789987654321"))
	if _, err := issuer.Import(context.Background(), apikey.ImportedKey{SHA256: sum, Name: "Old hub"}); err != nil {
		log.Fatal(err)
	}
	auth, err := apikey.New(store, apikey.Options{Format: format})
	if err != nil {
		log.Fatal(err)
	}
	key, err := auth.Verify(context.Background(), apikey.NewSecret("123456789987654321"))
	fmt.Println(key.Name, err)
	// Output: Old hub <nil>
}
