// Package rehearsal checks imports of keys without writing to the store.
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

// New returns a Rehearsal that checks imports by the rules of an Issuer.
func New(issuer *apikey.Issuer) (*Rehearsal, error) {
	notes := &notebook{KeyManager: issuer.Manager()}
	copied, err := apikey.NewIssuer(notes, apikey.IssuerOptions{Format: issuer.Format(), Scopes: issuer.Scopes()})
	if err != nil {
		return nil, err
	}
	return &Rehearsal{copied, notes}, nil
}

// Import checks a key as the Issuer does. It returns the digest and the key that the Issuer would store. It does not
// check whether the store has the digest already.
func (r *Rehearsal) Import(ctx context.Context, k apikey.ImportedKey) (apikey.Digest, apikey.Key, error) {
	return r.Do(func(issuer *apikey.Issuer) (apikey.Key, error) { return issuer.Import(ctx, k) })
}

// Do is like Import for a function that imports one key with the given Issuer.
func (r *Rehearsal) Do(f func(*apikey.Issuer) (apikey.Key, error)) (apikey.Digest, apikey.Key, error) {
	key, err := f(r.issuer)
	return r.notes.digest, key, err
}

// A notebook is a KeyManager that records the digest of a new key instead of storing the key.
type notebook struct {
	apikey.KeyManager
	digest apikey.Digest
}

func (n *notebook) Create(_ context.Context, d apikey.Digest, _ apikey.Key) error {
	n.digest = d
	return nil
}
