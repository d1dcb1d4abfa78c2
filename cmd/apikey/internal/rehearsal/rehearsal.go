// Package rehearsal tells what an import of a key would do, without writing.
package rehearsal

import (
	"context"

	"github.com/latchkey-dev/apikey"
)

// A Rehearsal is an Issuer that checks imports and writes nothing. It is not safe for concurrent use.
type Rehearsal struct {
	issuer *apikey.Issuer
	notes  *notebook
}

// New returns a rehearsal of the imports of an Issuer.
func New(issuer *apikey.Issuer) (*Rehearsal, error) {
	notes := &notebook{KeyManager: issuer.Manager()}
	copied, err := apikey.NewIssuer(notes, apikey.IssuerOptions{Format: issuer.Format(), Scopes: issuer.Scopes()})
	if err != nil {
		return nil, err
	}
	return &Rehearsal{copied, notes}, nil
}

// Import checks a key as the Issuer would, and returns its digest and the key that would be stored. It
// does not ask the store whether the digest is known.
func (r *Rehearsal) Import(ctx context.Context, k apikey.ImportedKey) (apikey.Digest, apikey.Key, error) {
	return r.Do(func(issuer *apikey.Issuer) (apikey.Key, error) { return issuer.Import(ctx, k) })
}

// Do is like Import for a function that imports a key with the Issuer that it gets.
func (r *Rehearsal) Do(f func(*apikey.Issuer) (apikey.Key, error)) (apikey.Digest, apikey.Key, error) {
	key, err := f(r.issuer)
	return r.notes.digest, key, err
}

// A notebook is a KeyManager that notes a new key instead of storing it.
type notebook struct {
	apikey.KeyManager
	digest apikey.Digest
}

func (n *notebook) Create(_ context.Context, d apikey.Digest, _ apikey.Key) error {
	n.digest = d
	return nil
}
