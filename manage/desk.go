package manage

import (
	"slices"

	"github.com/latchkey-dev/apikey"
)

// A Desk gives out sessions. [New] makes one. It is safe for concurrent use.
type Desk struct {
	issuer *apikey.Issuer
	store  apikey.Conditional
}

// New returns a Desk for the keys of an Issuer. The error wraps [apikey.ErrInvalid] if the issuer is nil
// or its store is not an [apikey.Conditional]. Such a store checks the rules in the transaction of a change.
// Sessions ignore the [apikey.Terms] of the issuer, because each sets its own.
func New(issuer *apikey.Issuer) (*Desk, error) {
	if issuer == nil || issuer.Manager() == nil {
		return nil, invalid("Issuer", "nil; want one made by apikey.NewIssuer")
	}
	// Not StoreAs, because the store behind a wrapper would bypass the wrapper's methods.
	store, ok := issuer.Manager().(apikey.Conditional)
	if !ok {
		return nil, invalid("Issuer", "its store %T has no method If; want an apikey.Conditional", issuer.Manager())
	}
	return &Desk{issuer: issuer, store: store}, nil
}

// Issuer returns the Issuer of the keys.
func (d *Desk) Issuer() *apikey.Issuer { return d.issuer }

// As returns a Session with an Access. The error wraps [apikey.ErrInvalid] if the Access contradicts
// itself or lacks a required field. An incomplete Access never means full access.
func (d *Desk) As(a Access) (*Session, error) {
	if d == nil || d.issuer == nil {
		return nil, invalid("Desk", "nil or zero; want one made by New")
	}
	if err := a.check(); err != nil {
		return nil, err
	}
	a.Scopes, a.Networks, a.Limits = slices.Clone(a.Scopes), slices.Clone(a.Networks), slices.Clone(a.Limits)
	return &Session{desk: d, access: a}, nil
}
