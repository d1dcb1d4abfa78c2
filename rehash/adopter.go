package rehash

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Options configures [New].
type Options struct {
	// Schemes are the Schemes of the pending keys, 1 to 8 of different systems.
	Schemes []Scheme
	// Concurrent is the maximum number of hashes that are computed at one time: 1 to 64, or 0 for 2.
	Concurrent int
}

const (
	defaultConcurrent = 2
	maxConcurrent     = 64
	maxSchemes        = 8

	// timeout bounds an adoption, which continues if its request is cancelled.
	timeout = 10 * time.Second
)

// An Adopter proves the keys of other systems at their first use. It is safe for concurrent use. Several
// nodes may adopt the same key at the same time: one of them replaces the pending key, and the others find
// the result.
type Adopter struct {
	store   apikey.KeyStore   // may be a cache
	manager apikey.KeyManager // read before a hash is computed, because a cache may lag
	format  *apikey.Format
	schemes []Scheme
	slots   chan struct{}
	calls   calls
}

// New returns an Adopter. store is the store of the Middleware, and issuer is an Issuer whose KeyManager has
// the keys. The error wraps an [apikey.InvalidError] if an argument is nil or out of its limits, or if the
// Format of the Issuer does not accept imported keys.
func New(store apikey.KeyStore, issuer *apikey.Issuer, o Options) (*Adopter, error) {
	if v := reflect.ValueOf(store); store == nil || v.Kind() == reflect.Pointer && v.IsNil() {
		return nil, invalid("store", "nil; want the store of the Middleware")
	}
	if issuer == nil {
		return nil, invalid("issuer", "nil; want an Issuer")
	}
	if _, err := issuer.Format().DigestSHA256(finderSum("", "")); err != nil {
		return nil, err
	}
	if len(o.Schemes) == 0 || len(o.Schemes) > maxSchemes {
		return nil, invalid("Schemes", "%d of them; want 1 to %d", len(o.Schemes), maxSchemes)
	}
	seen := map[string]bool{"": true}
	for i, s := range o.Schemes {
		if seen[s.name] {
			return nil, invalid(fmt.Sprintf("Schemes[%d]", i), "empty or repeated")
		}
		seen[s.name] = true
	}
	if o.Concurrent < 0 || o.Concurrent > maxConcurrent {
		return nil, invalid("Concurrent", "%d: want 1 to %d, or 0 for %d", o.Concurrent, maxConcurrent, defaultConcurrent)
	}
	if o.Concurrent == 0 {
		o.Concurrent = defaultConcurrent
	}
	a := &Adopter{store: store, manager: issuer.Manager(), format: issuer.Format(), schemes: append([]Scheme(nil), o.Schemes...), slots: make(chan struct{}, o.Concurrent)}
	a.calls.running = map[apikey.Digest]*call{}
	return a, nil
}

// Adopt returns the key of a secret, and stores it under its SHA-256 if it was pending. Set
// [apikey.Options].Adopt to it. It returns [apikey.ErrNotFound] for a secret that does not prove a pending
// key, and if that key is past its deadline, revoked, suspended or expired. It returns
// [apikey.ErrUnavailable] if too many hashes are being computed or too many adoptions are running, and
// otherwise the errors of the store.
//
// Concurrent requests with the same secret share one adoption, which ends after 10 seconds. If ctx ends
// before, Adopt returns the error of ctx and the adoption continues.
func (a *Adopter) Adopt(ctx context.Context, s apikey.Secret) (*apikey.Key, error) {
	schemes := a.schemesOf(s.Reveal())
	if len(schemes) == 0 {
		return nil, apikey.ErrNotFound
	}
	d, err := a.format.Digest(s)
	if err != nil {
		return nil, apikey.ErrNotFound
	}
	return a.calls.do(ctx, d, func(ctx context.Context) (*apikey.Key, error) { return a.adopt(ctx, schemes, s.Reveal(), d) })
}

// schemesOf returns the schemes whose keys have the shape of a text. It computes no slow hash. A text can fit
// several schemes, because keys of other systems can have the shape of Sanctum's.
func (a *Adopter) schemesOf(text string) (fitting []Scheme) {
	for _, s := range a.schemes {
		fits := s.shape
		if !s.slowFind {
			fits = func(text string) bool { _, ok := s.find(text); return ok }
		}
		if fits(text) {
			fitting = append(fitting, s)
		}
	}
	return fitting
}

// adopt tries the schemes one after the other. At most one of them computes a slow hash, because no key has
// the shapes of two schemes that do.
func (a *Adopter) adopt(ctx context.Context, schemes []Scheme, text string, d apikey.Digest) (key *apikey.Key, err error) {
	for _, s := range schemes {
		if key, err = a.adoptBy(ctx, s, text, d); !errors.Is(err, apikey.ErrNotFound) {
			break
		}
	}
	return key, err
}

func (a *Adopter) adoptBy(ctx context.Context, s Scheme, text string, d apikey.Digest) (*apikey.Key, error) {
	if s.slowFind {
		free, err := a.takeSlot()
		if err != nil {
			return nil, err
		}
		defer free()
		if key, err := a.adopted(ctx, d); !errors.Is(err, apikey.ErrNotFound) {
			return key, err
		}
	}
	finder, _ := s.find(text)
	found, err := a.format.DigestSHA256(finderSum(s.name, finder))
	if err != nil {
		return nil, err
	}
	pending, err := a.store.Lookup(ctx, found)
	if err != nil {
		return nil, err
	}
	if pending == nil {
		return nil, fmt.Errorf("%w: the store returned neither a key nor an error", apikey.ErrUnavailable)
	}
	if !s.slowFind {
		if key, err := a.adopted(ctx, d); !errors.Is(err, apikey.ErrNotFound) {
			return key, err
		}
	}
	return a.prove(ctx, s, text, finder, d, pending)
}

// adopted returns the key that another node adopted. A cache may still remember that the key was unknown and
// that the pending key was not revoked. Without this lookup, each request would then compute a hash again.
func (a *Adopter) adopted(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	return a.manager.Lookup(ctx, d)
}

// prove adopts a pending key if the text is its key.
func (a *Adopter) prove(ctx context.Context, s Scheme, text, finder string, d apikey.Digest, pending *apikey.Key) (*apikey.Key, error) {
	now := time.Now()
	if err := pending.Check(now); err != nil {
		return nil, fmt.Errorf("%w: pending key %s: %w", apikey.ErrNotFound, pending.ID, err)
	}
	hash, ok := hashOf(pending, s.name, finder)
	until, hasDeadline := IsPending(pending)
	if !ok || !hasDeadline || !now.Before(until) {
		return nil, apikey.ErrNotFound
	}
	if s.verify != nil {
		if !s.slowFind {
			free, err := a.takeSlot()
			if err != nil {
				return nil, err
			}
			defer free()
		}
		if !s.verify(text, hash) {
			return nil, apikey.ErrNotFound
		}
	}
	return a.replace(apikey.WithActor(ctx, "first use of a key of "+s.name), pending, d)
}

// takeSlot reserves a slot to compute a hash, which free returns. It does not wait for a slot.
func (a *Adopter) takeSlot() (free func(), err error) {
	select {
	case a.slots <- struct{}{}:
		return func() { <-a.slots }, nil
	default:
		return nil, fmt.Errorf("rehash: %w: %d hashes are being computed", apikey.ErrUnavailable, cap(a.slots))
	}
}

// replace stores a key with the fields of a pending key under the digest d, and revokes the pending key.
func (a *Adopter) replace(ctx context.Context, pending *apikey.Key, d apikey.Digest) (*apikey.Key, error) {
	// The same CreatedAt, because the lifetime of a successor begins at its CreatedAt.
	successor := apikey.Key{ID: rand.Text(), Hint: pending.Hint, CreatedAt: pending.CreatedAt}
	key, err := a.manager.Replace(ctx, pending.ID, time.Now(), d, successor)
	if errors.Is(err, apikey.ErrReplaced) || errors.Is(err, apikey.ErrExists) || errors.Is(err, apikey.ErrRevoked) {
		return a.adopted(ctx, d)
	}
	if errors.Is(err, apikey.ErrSuspended) || errors.Is(err, apikey.ErrExpired) {
		return nil, fmt.Errorf("%w: pending key %s: %w", apikey.ErrNotFound, pending.ID, err) // the cache lagged
	}
	if err != nil {
		return nil, err
	}
	metadata := maps.Clone(key.Metadata)
	delete(metadata, MetadataHash)
	delete(metadata, MetadataUntil)
	if cleaned, err := a.manager.Update(ctx, key.ID, apikey.Patch{Metadata: &metadata}); err == nil {
		key = cleaned
	}
	return &key, nil
}
