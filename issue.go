package apikey

import (
	"context"
	"crypto/rand"
	"fmt"
	"io"
	"time"
)

const idLen = 16 // characters of base62: 95 bits

// An Issuer makes keys in one [Format] for one [KeyManager]. It is safe for
// concurrent use. Give the Middleware the same Format, or the keys it makes are
// unknown there.
//
// Its methods return the KeyManager's errors: above all [ErrInvalid] for a Key that
// is out of its limits, and [ErrNotFound].
type Issuer struct {
	manager KeyManager
	format  *Format
	random  io.Reader
}

// NewIssuer returns an Issuer of keys in Format f; nil is the default Format, with
// prefix "ak" and neither peppers nor foreign keys.
func NewIssuer(m KeyManager, f *Format) (*Issuer, error) {
	if isNil(m) {
		return nil, invalid("KeyManager: nil")
	}
	if f == nil {
		f = defaultFormat
	}
	return &Issuer{manager: m, format: f, random: rand.Reader}, nil
}

// Manager returns the KeyManager that keys are made for.
func (i *Issuer) Manager() KeyManager { return i.manager }

// Format returns the Format that keys are made in.
func (i *Issuer) Format() *Format { return i.format }

// Issue makes a key with the given Name, Owner, Scopes, Metadata and ExpiresAt; the
// other fields are for the Issuer to fill and must be zero. It returns the secret,
// which nobody can see again, and the key as it was stored.
func (i *Issuer) Issue(ctx context.Context, key Key) (Secret, Key, error) {
	random, err := randomText(i.random, randomLen)
	if err != nil {
		return Secret{}, Key{}, err
	}
	secret, d := i.format.seal(random)
	key, err = i.create(ctx, d, i.format.hint(secret), key)
	if err != nil {
		return Secret{}, Key{}, err
	}
	return NewSecret(secret), key, nil
}

// Rotate makes a key that takes the place of key id, which goes on working for the
// time of grace, and not beyond its own expiry. The new key has the Name, Owner,
// Scopes and Metadata of the old one and, if that one expires, as long a life from
// now on as that one has from its creation to its end. A key that was rotated already ends
// with its time of grace; do not rotate it again, but its successor. [ErrRevoked] or [ErrExpired] if the old key may no longer be
// used: issue a new one instead. A negative grace is [ErrInvalid].
func (i *Issuer) Rotate(ctx context.Context, id string, grace time.Duration) (Secret, Key, error) {
	if grace < 0 {
		return Secret{}, Key{}, invalid("grace %v: want 0 or more", grace)
	}
	old, err := i.manager.Get(ctx, id)
	if err != nil {
		return Secret{}, Key{}, err
	}
	random, err := randomText(i.random, randomLen)
	if err != nil {
		return Secret{}, Key{}, err
	}
	newID, err := randomText(i.random, idLen)
	if err != nil {
		return Secret{}, Key{}, err
	}
	secret, d := i.format.seal(random)
	now := time.Now()
	successor := Key{ID: newID, Hint: i.format.hint(secret), CreatedAt: now}
	if life := old.ExpiresAt.Sub(old.CreatedAt); life > 0 && !old.CreatedAt.IsZero() {
		successor.ExpiresAt = now.Add(life)
	} else {
		successor.ExpiresAt = old.ExpiresAt // never, or of unknown age
	}
	key, err := i.manager.Replace(ctx, id, now.Add(grace), d, successor)
	if err != nil {
		return Secret{}, Key{}, err
	}
	return NewSecret(secret), key, nil
}

// Import takes over a key that exists already, as Issue would make a new one. A key
// of another shape needs a Format that allows foreign keys; one that begins with
// the prefix of this Format must be right in every character. [ErrMalformed] if
// it is neither.
func (i *Issuer) Import(ctx context.Context, s Secret, key Key) (Key, error) {
	d, err := i.format.Digest(s)
	if err != nil {
		return Key{}, fmt.Errorf("%w: neither a key of %v, nor one of another shape that it allows", err, i.format)
	}
	return i.create(ctx, d, i.format.hint(s.Reveal()), key)
}

// ImportSHA256 takes over a key of another shape of which only the SHA-256 is known.
// The Format must allow foreign keys, and the key itself be 16 to 256 visible ASCII
// characters that do not begin with the prefix, or it will not be looked up.
func (i *Issuer) ImportSHA256(ctx context.Context, sum [32]byte, key Key) (Key, error) {
	if !i.format.foreign {
		return Key{}, invalid("import: %v does not allow foreign keys", i.format)
	}
	if sum == [32]byte{} {
		return Key{}, invalid("sum: all zero; want the SHA-256 of a key")
	}
	return i.create(ctx, i.format.foreignDigest(sum), "", key)
}

// create stores a new key under d.
func (i *Issuer) create(ctx context.Context, d Digest, hint string, key Key) (Key, error) {
	if key.ID != "" || key.Hint != "" || key.Replaces != "" ||
		!key.CreatedAt.IsZero() || !key.RevokedAt.IsZero() || !key.LastUsedAt.IsZero() {
		return Key{}, invalid("Key: ID, Hint, Replaces, CreatedAt, RevokedAt and LastUsedAt are set by the Issuer; leave them zero")
	}
	now := time.Now()
	if !key.ExpiresAt.IsZero() && !now.Before(key.ExpiresAt) {
		return Key{}, invalid("ExpiresAt %v: not in the future", key.ExpiresAt)
	}
	id, err := randomText(i.random, idLen)
	if err != nil {
		return Key{}, err
	}
	key.ID, key.Hint, key.CreatedAt = id, hint, now
	key = key.Clone()
	if err := i.manager.Create(ctx, d, key); err != nil {
		return Key{}, err
	}
	return key, nil
}
