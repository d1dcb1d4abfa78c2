package apikey

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"net/netip"
	"slices"
	"time"
)

const idLen = 16 // characters of base62: 95 bits

// An Issuer makes keys in one [Format] and stores them in one [KeyManager]. It is safe for concurrent
// use. Give the Middleware the same Format, because it refuses keys of another one.
//
// The methods of an Issuer return the errors of the KeyManager, such as [ErrNotFound]. For a value
// that is out of its limits they return an error that wraps an [InvalidError].
//
// The KeyManager may lose the answer to a change ([ErrUncertain]). Issue, Rotate and Import then
// check for up to 5 seconds whether the change happened, even if ctx is done. If it happened they
// return the key. If they cannot find out, their error wraps ErrUncertain and names the ID of the
// key that may exist.
type Issuer struct {
	manager KeyManager
	o       IssuerOptions
	random  io.Reader

	// The Terms, which With sets.
	writer   KeyManager // manager, or a view of it that enforces a Condition
	id       string     // the ID of the next key; "" means a random one
	notAfter time.Time  // the latest ExpiresAt of a new key; the zero time means no limit
}

// IssuerOptions configures [NewIssuer]. The zero value is ready for use.
type IssuerOptions struct {
	// Format is the Format of the keys. Nil means the default Format: the prefix "ak", no pepper, no
	// imported keys.
	Format *Format

	// DefaultLifetime is the lifetime of a key whose NewKey has no ExpiresAt; 0 means MaxLifetime. If
	// both are 0 the key never expires.
	DefaultLifetime time.Duration

	// MaxLifetime is the longest lifetime of a new key; 0 means no limit. Issue refuses a later
	// ExpiresAt, and Rotate shortens the lifetime of the successor. It does not apply to Import.
	MaxLifetime time.Duration

	// Scopes is the catalogue of scopes that a new key can have; nil permits every scope. Issue and
	// Import refuse other scopes. A rotated key keeps its scopes.
	Scopes []Scope
}

// A Scope is a scope that keys can have, with a description for people.
type Scope struct {
	Name        string // as in the Scopes of a [Key]
	Description string // up to 100 characters; may be empty
}

// NewIssuer returns an Issuer of keys that m stores. The error wraps an [InvalidError] if m is nil
// or contains a nil pointer, or if an option is out of its limits.
func NewIssuer(m KeyManager, o IssuerOptions) (*Issuer, error) {
	if isNil(m) {
		return nil, invalid("KeyManager", "nil; want a store, such as memstore.New()")
	}
	if o.Format == nil {
		o.Format = defaultFormat
	}
	switch {
	case o.DefaultLifetime < 0:
		return nil, invalid("DefaultLifetime", "%v: want 0 or more", o.DefaultLifetime)
	case o.MaxLifetime < 0:
		return nil, invalid("MaxLifetime", "%v: want 0 or more", o.MaxLifetime)
	case o.MaxLifetime > 0 && o.DefaultLifetime > o.MaxLifetime:
		return nil, invalid("DefaultLifetime", "%v: want at most MaxLifetime, which is %v", o.DefaultLifetime, o.MaxLifetime)
	case o.DefaultLifetime == 0:
		o.DefaultLifetime = o.MaxLifetime
	}
	o.Scopes = slices.Clone(o.Scopes)
	for i, s := range o.Scopes {
		field := fmt.Sprintf("Scopes[%d]", i)
		if err := checkScope(field, s.Name); err != nil {
			return nil, err
		}
		if problem := textProblem(s.Description, maxText); problem != "" {
			return nil, invalid(field, "description of %s: %s", s.Name, problem)
		}
		if slices.ContainsFunc(o.Scopes[:i], func(other Scope) bool { return other.Name == s.Name }) {
			return nil, invalid(field, "%s is listed twice", s.Name)
		}
	}
	return &Issuer{manager: m, writer: m, o: o, random: rand.Reader}, nil
}

// Manager returns the KeyManager that stores the keys.
func (i *Issuer) Manager() KeyManager { return i.manager }

// Format returns the Format of the keys.
func (i *Issuer) Format() *Format { return i.o.Format }

// DefaultLifetime returns the lifetime of a key without an ExpiresAt; 0 means that it never expires.
func (i *Issuer) DefaultLifetime() time.Duration { return i.o.DefaultLifetime }

// MaxLifetime returns the longest lifetime of a new key; 0 means no limit.
func (i *Issuer) MaxLifetime() time.Duration { return i.o.MaxLifetime }

// Scopes returns a copy of the catalogue. Nil means that every scope is permitted.
func (i *Issuer) Scopes() []Scope { return slices.Clone(i.o.Scopes) }

// CheckScopes returns nil if the catalogue has all of the scopes, and otherwise an error that wraps
// an [InvalidError].
func (i *Issuer) CheckScopes(scopes []string) error {
	if i.o.Scopes == nil {
		return nil
	}
	for _, s := range scopes {
		if !slices.ContainsFunc(i.o.Scopes, func(known Scope) bool { return known.Name == s }) {
			return invalid("Scopes", "%s is not in the catalogue", quote(s))
		}
	}
	return nil
}

// A NewKey contains the fields of a key that the caller of [Issuer.Issue] chooses. They have the
// limits of [Key]. Only Name is required.
type NewKey struct {
	Name, Owner string
	Scopes      []string
	Networks    []netip.Prefix
	Limits      []Limit
	Metadata    map[string]string
	// ExpiresAt is in the future. The zero time means IssuerOptions.DefaultLifetime from now.
	ExpiresAt time.Time
}

// Issue makes and stores a key. It returns the secret, which cannot be read again later, and the
// stored Key.
func (i *Issuer) Issue(ctx context.Context, k NewKey) (Secret, Key, error) {
	now := time.Now()
	expiresAt, err := i.expiry(now, k.ExpiresAt)
	if err != nil {
		return Secret{}, Key{}, err
	}
	if err := i.CheckScopes(k.Scopes); err != nil {
		return Secret{}, Key{}, err
	}
	random, err := randomText(i.random, randomLen)
	if err != nil {
		return Secret{}, Key{}, err
	}
	secret, d := i.o.Format.seal(random)
	key, err := i.create(ctx, d, Key{
		Name: k.Name, Owner: k.Owner, Scopes: k.Scopes, Networks: k.Networks, Limits: k.Limits, Metadata: k.Metadata,
		Hint: i.o.Format.hint(secret), CreatedAt: now, ExpiresAt: expiresAt,
	})
	if err != nil {
		return Secret{}, Key{}, err
	}
	return NewSecret(secret), key, nil
}

// expiry returns the ExpiresAt of a key that is issued now, or an error if the lifetime is too long.
func (i *Issuer) expiry(now, wanted time.Time) (time.Time, error) {
	latest, limit := i.latest(now)
	switch {
	case wanted.IsZero() && i.o.DefaultLifetime == 0:
		return latest, nil
	case wanted.IsZero():
		return earlier(now.Add(i.o.DefaultLifetime), latest), nil
	case !wanted.After(now):
		return time.Time{}, invalid("ExpiresAt", "%v: want a time in the future", wanted)
	case !latest.IsZero() && wanted.After(latest):
		return time.Time{}, invalid("ExpiresAt", "%v: want at most %v, because %s", wanted, latest, limit)
	}
	return wanted, nil
}

// Rotate makes a successor of the key with this id. The old key remains valid for the duration of
// grace, but not beyond its own expiry. If grace is 0, the old key is revoked. The successor has the
// Name, Owner, Scopes, Networks, Limits and Metadata of the old key. If the old key expires, the
// successor has the same lifetime, starting now. IssuerOptions.MaxLifetime may shorten it.
//
// A key has at most one successor that is not revoked. If there is one already, the error is a
// [*ReplacedError] that names it. Rotate that successor instead or, if its secret was lost, revoke it
// and rotate again. Rotate returns [ErrRevoked], [ErrSuspended] or [ErrExpired] if the old key may
// not be used, and [ErrInvalid] for a negative grace.
func (i *Issuer) Rotate(ctx context.Context, id string, grace time.Duration) (Secret, Key, error) {
	if grace < 0 {
		return Secret{}, Key{}, invalid("grace", "%v: want 0 or more", grace)
	}
	random, err := randomText(i.random, randomLen)
	if err != nil {
		return Secret{}, Key{}, err
	}
	newID, err := i.newID()
	if err != nil {
		return Secret{}, Key{}, err
	}
	secret, d := i.o.Format.seal(random)
	now := time.Now()
	successor := Key{ID: newID, Hint: i.o.Format.hint(secret), CreatedAt: now}
	successor.ExpiresAt, _ = i.latest(now)
	key, err := i.writer.Replace(ctx, id, now.Add(grace), d, successor)
	if err != nil {
		key, err = i.settle(ctx, newID, d, err)
	}
	if err != nil {
		return Secret{}, Key{}, err
	}
	return NewSecret(secret), key, nil
}

// Identify returns the Key of a secret, even if it is expired or revoked. Use it, for example, to find
// a leaked key. It does not record a use of the key. It returns [ErrMalformed] if s cannot be a key of
// this Format, and [ErrNotFound] if the store does not contain it.
func (i *Issuer) Identify(ctx context.Context, s Secret) (Key, error) {
	d, err := i.o.Format.Digest(s)
	if err != nil {
		return Key{}, err
	}
	key, err := i.manager.Lookup(ctx, d)
	if err != nil {
		return Key{}, err
	}
	if key == nil {
		return Key{}, fmt.Errorf("%w: %w", ErrUnavailable, errNoAnswer)
	}
	return i.manager.Get(ctx, key.ID) // unlike Lookup, Get returns a copy and sets LastUsedAt
}

// create stores a new key under the digest d.
func (i *Issuer) create(ctx context.Context, d Digest, key Key) (Key, error) {
	id, err := i.newID()
	if err != nil {
		return Key{}, err
	}
	key.ID = id
	// Validate comes before Clone, which would repair networks that an Update refuses.
	if err := key.Validate(); err != nil {
		return Key{}, err
	}
	key = key.Clone()
	if err := i.writer.Create(ctx, d, key); err != nil {
		return i.settle(ctx, id, d, err)
	}
	return key, nil
}
