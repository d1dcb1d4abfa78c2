package apikey

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// The shape of a key: PREFIX_ and then 30 random and 6 check characters.
const (
	randomLen = 30 // of base62: 178 bits
	checkLen  = 6
	checkMod  = 62 * 62 * 62 * 62 * 62 * 62 // what 6 characters of base62 can tell apart

	maxPrefix = 20
	maxNative = maxPrefix + 1 + randomLen + checkLen

	minForeign = 16
	maxForeign = 256

	maxPeppers = 4
	minPepper  = 32 // bytes
)

// A Format is how keys are written, checked and digested. It is immutable and safe
// for concurrent use. Issuer and Middleware of one service share one Format; make
// it with [NewFormat].
//
// A key is PREFIX_ followed by 30 random characters of base62, which carry 178
// bits, and 6 check characters, a shape that secret scanners can be taught. Without a pepper
// the check characters are a CRC-32 and the digest is the SHA-256 of the key: no
// slow hash is needed where there is nothing to guess (OWASP Password Storage Cheat
// Sheet speaks of passwords, which people choose). With a pepper, one HMAC-SHA256
// over the key without its check characters gives both digest and check characters.
// Then a forged key is refused before the store is asked, and who can write to the
// database still cannot make a key.
type Format struct {
	prefix   string // with its "_"
	crc      uint32 // the state of the CRC-32 after prefix
	peppers  []*pepper
	plain    bool // keys without a pepper are accepted
	foreign  bool
	describe string
}

// FormatOptions configures [NewFormat]. The zero value has no pepper and knows no
// keys but its own.
type FormatOptions struct {
	// Peppers are server-side secrets, which live where the database does not.
	// New keys use the first; keys made under any of them are accepted, at the
	// price of one HMAC for each that is tried. At most 4, of at least 32 random
	// bytes each.
	Peppers []Secret

	// AllowUnpeppered keeps keys valid that were made before the first pepper.
	// While it is on, who can write to the database can make a key. Without
	// Peppers it has no effect.
	AllowUnpeppered bool

	// AllowForeign also looks up keys of other shapes, which were imported: 16 to
	// 256 visible ASCII characters that do not begin with the prefix. Such a key
	// has no check characters, so every guess costs a lookup. Foreign keys are
	// digested in the oldest way that is accepted: without a pepper if
	// AllowUnpeppered, else by the last of Peppers. Taking that away makes
	// them unknown, and they have to be imported again.
	AllowForeign bool
}

// NewFormat returns the Format of keys that begin with prefix and "_". The prefix
// is 1 to 20 of a-z, 0-9 and "_", and begins with a letter.
func NewFormat(prefix string, o FormatOptions) (*Format, error) {
	if !validPrefix(prefix) {
		return nil, invalid("prefix %s: want 1 to %d of a-z, 0-9 and _, a letter first", quote(prefix), maxPrefix)
	}
	if len(o.Peppers) > maxPeppers {
		return nil, invalid("Peppers: %d of them; at most %d", len(o.Peppers), maxPeppers)
	}
	f := &Format{
		prefix:   prefix + "_",
		plain:    len(o.Peppers) == 0 || o.AllowUnpeppered,
		foreign:  o.AllowForeign,
		describe: fmt.Sprintf("apikey.Format(%s_, peppers: %d)", prefix, len(o.Peppers)),
	}
	f.crc = crc32Update(0, f.prefix)
	seen := make(map[[sha256.BlockSize]byte]int)
	for i, p := range o.Peppers {
		secret := p.Reveal()
		if len(secret) < minPepper {
			return nil, invalid("Peppers[%d]: %d bytes; want at least %d", i, len(secret), minPepper)
		}
		// HMAC fills a short key up with zeros and hashes a long one (RFC 2104
		// section 2), so two that look different can be the same.
		var block [sha256.BlockSize]byte
		if len(secret) > len(block) {
			sum := sha256.Sum256([]byte(secret))
			copy(block[:], sum[:])
		} else {
			copy(block[:], secret)
		}
		if first, dup := seen[block]; dup {
			return nil, invalid("Peppers[%d]: the same HMAC key as Peppers[%d]", i, first)
		}
		seen[block] = i
		f.peppers = append(f.peppers, newPepper(block))
	}
	return f, nil
}

func validPrefix(s string) bool {
	for i := range len(s) {
		letter := 'a' <= s[i] && s[i] <= 'z'
		if !letter && (i == 0 || s[i] != '_' && (s[i] < '0' || s[i] > '9')) {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= maxPrefix
}

// String describes the Format, without its peppers.
func (f *Format) String() string { return f.describe }

// GoString is String.
func (f *Format) GoString() string { return f.describe }

// Digest returns the digest under which stores know the key, or [ErrMalformed] if
// it cannot be a key of this Format.
func (f *Format) Digest(s Secret) (Digest, error) {
	d, ok := f.digest(s.Reveal())
	if !ok {
		return Digest{}, ErrMalformed
	}
	return d, nil
}

// digest costs a forged key as little as it can: first its length, then its
// characters, then its check characters, and no hash unless these are right.
func (f *Format) digest(s string) (Digest, bool) {
	if !strings.HasPrefix(s, f.prefix) {
		if !f.foreign || !validForeign(s) {
			return Digest{}, false
		}
		return f.foreignDigest(sha256Sum(s)), true
	}
	if !f.hasShape(s) {
		return Digest{}, false
	}
	body, check := s[:len(s)-checkLen], decodeCheck(s[len(s)-checkLen:])
	for _, p := range f.peppers {
		if d := sum(p, body); check == checkOf(d) {
			return d, true
		}
	}
	if f.plain && check == uint64(crc32Update(f.crc, body[len(f.prefix):])) {
		var buf [maxNative]byte // on the stack, where []byte(s) would be an allocation
		return sha256.Sum256(buf[:copy(buf[:], s)]), true
	}
	return Digest{}, false
}

// length is that of every key of this Format.
func (f *Format) length() int { return len(f.prefix) + randomLen + checkLen }

// hasShape reports whether s, which begins with the prefix, goes on like a key.
func (f *Format) hasShape(s string) bool {
	return len(s) == f.length() && isBase62(s[len(f.prefix):])
}

// validForeign reports whether s may be looked up as a key of another shape.
func validForeign(s string) bool {
	if len(s) < minForeign || len(s) > maxForeign {
		return false
	}
	for i := range len(s) {
		if !isVisible(s[i]) {
			return false
		}
	}
	return true
}

// foreignDigest is the digest of a foreign key of which only the SHA-256 need be
// known. It uses the oldest way alone, so that a request costs one lookup.
func (f *Format) foreignDigest(digest [32]byte) Digest {
	if f.plain {
		return digest
	}
	// The label keeps foreign keys apart from our own: no prefix holds a colon.
	const label = "sha256:"
	var text [len(label) + len(digest)]byte
	copy(text[copy(text[:], label):], digest[:])
	return sum(f.peppers[len(f.peppers)-1], text[:])
}

// seal makes a key out of 30 random characters, and its digest.
func (f *Format) seal(random string) (string, Digest) {
	body := f.prefix + random
	if len(f.peppers) > 0 {
		d := sum(f.peppers[0], body)
		return body + encodeCheck(checkOf(d)), d
	}
	s := body + encodeCheck(uint64(crc32Update(f.crc, random)))
	return s, sha256Sum(s)
}

// hint returns what may be shown of a key. Of our own these are four of the check
// characters, which tell nothing about the random ones. A foreign key that is short has
// no four characters to give away.
func (f *Format) hint(s string) string {
	switch tail := "…" + s[len(s)-4:]; {
	case strings.HasPrefix(s, f.prefix):
		return f.prefix + tail
	case len(s) >= 2*minForeign:
		return tail
	}
	return ""
}

// sha256Sum is sha256.Sum256 of a string of at most maxForeign bytes, without an allocation.
func sha256Sum(s string) Digest {
	var buf [maxForeign]byte
	return sha256.Sum256(buf[:copy(buf[:], s)])
}
