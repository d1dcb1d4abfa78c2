package apikey

import (
	"context"
	"crypto/sha256"
	"fmt"
	"net/netip"
	"time"
)

// An ImportedKey describes a key of another system for [Issuer.Import]. Exactly one of Secret and
// SHA256 must be set. The other fields have the limits of [Key]. Of these only Name is required.
type ImportedKey struct {
	// Secret is the key itself.
	Secret Secret
	// SHA256 is the SHA-256 of the key, for a key whose secret is not known.
	SHA256 [sha256.Size]byte

	Name     string
	Owner    string
	Scopes   []string
	Networks []netip.Prefix
	Limits   []Limit
	Metadata map[string]string
	Hint     string // "" means a hint that is made from Secret, if there is one

	CreatedAt   time.Time // the zero time means now
	ExpiresAt   time.Time // may be in the past
	RevokedAt   time.Time
	SuspendedAt time.Time
	LastUsedAt  time.Time // ignored by stores that are not Touchers
}

// emptySHA256 is the hash of the empty text, which an export may contain for a missing key.
var emptySHA256 = sha256.Sum256(nil)

// Import stores a key of another system and returns its Key, which has a new ID. It accepts revoked
// and expired keys too, so that their history is preserved.
//
// A Secret that begins with the prefix of the Format must be a key of this Format. Any other Secret
// requires a Format with AllowImported and must have 16 to 1,024 visible ASCII characters. Import
// returns [ErrMalformed] for a Secret that breaks one of these rules; the error names the rule.
//
// A SHA256 requires a Format with AllowImported. Import cannot check the key itself. If the key
// breaks the rules above, the Middleware refuses requests that carry it.
//
// Import returns [ErrExists] if the key was imported before. It returns [ErrInvalid] in these cases:
//
//   - Secret and SHA256 are both set or both empty.
//   - SHA256 is set, and the Format does not accept imported keys.
//   - SHA256 is the hash of an empty text.
//   - CreatedAt, RevokedAt, SuspendedAt or LastUsedAt is in the future.
//   - A scope is not in the catalogue of the Issuer.
//   - A field is out of the limits of [Key].
func (i *Issuer) Import(ctx context.Context, k ImportedKey) (Key, error) {
	if err := i.CheckScopes(k.Scopes); err != nil {
		return Key{}, err
	}
	d, hint, err := i.o.Format.imported(k.Secret.Reveal(), k.SHA256)
	if err != nil {
		return Key{}, err
	}
	now := time.Now()
	for _, f := range [...]struct {
		field string
		at    time.Time
	}{{"CreatedAt", k.CreatedAt}, {"RevokedAt", k.RevokedAt}, {"SuspendedAt", k.SuspendedAt}, {"LastUsedAt", k.LastUsedAt}} {
		if f.at.After(now) {
			return Key{}, invalid(f.field, "%v: want a time in the past", f.at)
		}
	}
	key := Key{
		Name: k.Name, Owner: k.Owner, Scopes: k.Scopes, Networks: k.Networks, Limits: k.Limits, Metadata: k.Metadata, Hint: k.Hint,
		CreatedAt: k.CreatedAt, ExpiresAt: k.ExpiresAt, RevokedAt: k.RevokedAt, SuspendedAt: k.SuspendedAt, LastUsedAt: k.LastUsedAt,
	}
	if key.Hint == "" {
		key.Hint = hint
	}
	if key.CreatedAt.IsZero() {
		key.CreatedAt = now
	}
	return i.create(ctx, d, key)
}

// imported returns the digest of an imported key, and a hint if its secret is known.
func (f *Format) imported(secret string, sum [sha256.Size]byte) (d Digest, hint string, err error) {
	switch bySum := sum != [sha256.Size]byte{}; {
	case secret == "" && !bySum:
		return Digest{}, "", invalid("Secret, SHA256", "both empty; want one of them")
	case secret != "" && bySum:
		return Digest{}, "", invalid("Secret, SHA256", "both set; want one of them")
	case secret != "":
		d, ok := f.digest(secret)
		if !ok {
			return Digest{}, "", fmt.Errorf("%w: %s", ErrMalformed, f.problem(secret))
		}
		return d, f.hint(secret), nil
	case f.allowImported && sum == emptySHA256:
		return Digest{}, "", invalid("SHA256", "the hash of an empty text; want that of a key")
	}
	d, err = f.DigestSHA256(sum)
	return d, "", err
}
