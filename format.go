package apikey

import (
	"crypto/sha256"
	"fmt"
	"strings"
)

// A key is PREFIX_ followed by 30 random and 6 check characters.
const (
	randomLen = 30 // characters of base62: 178 bits
	checkLen  = 6
	checkMod  = 62 * 62 * 62 * 62 * 62 * 62 // the number of values of 6 characters of base62

	maxPrefix = 20
	maxNative = maxPrefix + 1 + randomLen + checkLen

	minImported = 16
	maxImported = 1024

	maxPeppers = 4
	minPepper  = 32 // bytes
)

// A Format defines how keys are written, checked and digested. It is immutable and safe for
// concurrent use. Make it with [NewFormat], and give the Issuer and the Middleware of a service the
// same Format.
//
// A key is PREFIX_ followed by 30 random characters of base62 (178 bits) and 6 check characters.
// Secret scanners can recognise this shape.
//
// Without a pepper, the check characters are a CRC-32 and the digest is the SHA-256 of the key. A
// slow hash, which the OWASP Password Storage Cheat Sheet recommends, protects passwords that people
// choose; a random key cannot be guessed. Anyone can compute the CRC-32, so a forged key costs a
// lookup.
//
// With a pepper, one HMAC-SHA256 of the key without its check characters gives both the digest and
// the check characters. The Middleware then refuses a forged key without a lookup. An attacker with
// write access to the database cannot make a key.
type Format struct {
	prefix        string // including its "_"
	crc           uint32 // the CRC-32 of prefix
	peppers       []*pepper
	unpeppered    bool // keys without a pepper are accepted
	allowImported bool
	describe      string
}

// FormatOptions configures [NewFormat]. The zero value has no pepper and does not accept imported
// keys.
type FormatOptions struct {
	// Peppers are secrets of the server, stored apart from the database. At most 4, each of at least
	// 32 random bytes. New keys use the first. Keys that were made with any of them are accepted, at
	// the cost of one HMAC for each pepper that is tried.
	Peppers []Secret

	// AllowUnpeppered accepts keys that were made before the first pepper was set. While it is set,
	// an attacker with write access to the database can make a key. It has no effect without
	// Peppers.
	AllowUnpeppered bool

	// AllowImported also accepts imported keys: 16 to 1,024 visible ASCII characters that do not begin
	// with the prefix. Such a key has no check characters, so every guess costs a lookup.
	//
	// Imported keys are digested in the oldest way that the Format accepts. This is with the last
	// of Peppers, or without a pepper if there are none or AllowUnpeppered is set. If that way
	// changes, imported keys become unknown and have to be imported again.
	AllowImported bool
}

// NewFormat returns the Format of keys that begin with prefix and "_". The prefix has 1 to 20
// characters of a-z, 0-9 and "_", and begins with a letter. NewFormat returns an error that wraps an
// [InvalidError] if prefix or an option is out of its limits.
func NewFormat(prefix string, o FormatOptions) (*Format, error) {
	if !validPrefix(prefix) {
		return nil, invalid("prefix", "%s: want 1 to %d characters of a-z, 0-9 and _, beginning with a letter", quote(prefix), maxPrefix)
	}
	if len(o.Peppers) > maxPeppers {
		return nil, invalid("Peppers", "%d peppers; want at most %d", len(o.Peppers), maxPeppers)
	}
	f := &Format{
		prefix:        prefix + "_",
		unpeppered:    len(o.Peppers) == 0 || o.AllowUnpeppered,
		allowImported: o.AllowImported,
		describe:      fmt.Sprintf("apikey.Format(%s_, peppers: %d)", prefix, len(o.Peppers)),
	}
	f.crc = crc32Update(0, f.prefix)
	seen := make(map[[sha256.BlockSize]byte]int)
	for i, p := range o.Peppers {
		secret := p.Reveal()
		if len(secret) < minPepper {
			return nil, invalid(fmt.Sprintf("Peppers[%d]", i), "%d bytes; want at least %d", len(secret), minPepper)
		}
		// HMAC pads a short key with zeros and hashes a long one (RFC 2104 section 2). Two
		// different secrets may therefore be the same HMAC key.
		var block [sha256.BlockSize]byte
		if len(secret) > len(block) {
			sum := sha256.Sum256([]byte(secret))
			copy(block[:], sum[:])
		} else {
			copy(block[:], secret)
		}
		if first, dup := seen[block]; dup {
			return nil, invalid(fmt.Sprintf("Peppers[%d]", i), "the same HMAC key as Peppers[%d]", first)
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

// String returns a description of the Format, which does not contain its peppers.
func (f *Format) String() string { return f.describe }

// GoString returns the same description as String.
func (f *Format) GoString() string { return f.describe }

// Prefix returns the text with which every key begins, including the "_" at its end. Imported keys do
// not have it.
func (f *Format) Prefix() string { return f.prefix }

// Pattern returns a regular expression that matches exactly the texts in the shape of a key, in the
// syntax of package regexp without anchors. The check characters need not be right. It does not match
// imported keys.
func (f *Format) Pattern() string {
	return fmt.Sprintf("%s[0-9A-Za-z]{%d}", f.prefix, randomLen+checkLen)
}

// Digest returns the digest by which stores find a key, or [ErrMalformed] if s cannot be a key of
// this Format.
func (f *Format) Digest(s Secret) (Digest, error) {
	d, ok := f.digest(s.Reveal())
	if !ok {
		return Digest{}, ErrMalformed
	}
	return d, nil
}

// DigestSHA256 returns the digest by which stores find an imported key whose SHA-256 is sum. It returns
// an error that wraps an [InvalidError] if the Format does not accept imported keys.
func (f *Format) DigestSHA256(sum [sha256.Size]byte) (Digest, error) {
	if !f.allowImported {
		return Digest{}, invalid("SHA256", "%v does not accept imported keys; want FormatOptions.AllowImported", f)
	}
	return f.importedDigest(sum), nil
}

// digest returns the digest of s, and whether s can be a key. It checks the length, the characters
// and the check characters in this order, so that a forged key costs as little as possible.
func (f *Format) digest(s string) (Digest, bool) {
	if !strings.HasPrefix(s, f.prefix) {
		if !f.allowImported || !validImported(s) {
			return Digest{}, false
		}
		return f.importedDigest(sha256Sum(s)), true
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
	if f.unpeppered && check == uint64(crc32Update(f.crc, body[len(f.prefix):])) {
		var buf [maxNative]byte // on the stack, because []byte(s) would allocate
		return sha256.Sum256(buf[:copy(buf[:], s)]), true
	}
	return Digest{}, false
}

// length returns the length of every key of this Format that is not imported.
func (f *Format) length() int { return len(f.prefix) + randomLen + checkLen }

// hasShape reports whether s, which begins with the prefix, has the length and characters of a key.
func (f *Format) hasShape(s string) bool {
	return len(s) == f.length() && isBase62(s[len(f.prefix):])
}

// validImported reports whether s has the shape of an imported key.
func validImported(s string) bool {
	return len(s) >= minImported && len(s) <= maxImported && firstInvisible(s) < 0
}

// problem returns the rule that s breaks, after digest has refused s. The result does not contain s,
// which may be a secret of another system.
func (f *Format) problem(s string) string {
	if strings.HasPrefix(s, f.prefix) {
		switch {
		case len(s) != f.length():
			return fmt.Sprintf("%d characters; want %d after the prefix %s", len(s)-len(f.prefix), randomLen+checkLen, f.prefix)
		case !isBase62(s[len(f.prefix):]):
			return fmt.Sprintf("a character after the prefix %s that is not A-Z, a-z or 0-9", f.prefix)
		}
		return fmt.Sprintf("it begins with the prefix %s, but its check characters are wrong", f.prefix)
	}
	switch i := firstInvisible(s); {
	case !f.allowImported:
		return fmt.Sprintf("it does not begin with the prefix %s, and the Format does not accept imported keys", f.prefix)
	case len(s) < minImported:
		return fmt.Sprintf("too short: %d characters; want %d to %d", len(s), minImported, maxImported)
	case len(s) > maxImported:
		return fmt.Sprintf("too long: %d bytes; want %d to %d", len(s), minImported, maxImported)
	default:
		return fmt.Sprintf("byte %d is not a visible ASCII character", i)
	}
}

// importedDigest returns the digest of an imported key from the SHA-256 of the key. It uses only the
// oldest way that the Format accepts, so that a request costs one lookup.
func (f *Format) importedDigest(digest [32]byte) Digest {
	if f.unpeppered {
		return digest
	}
	// No prefix contains a colon, so this text differs from every native key.
	const label = "sha256:"
	var text [len(label) + len(digest)]byte
	copy(text[copy(text[:], label):], digest[:])
	return sum(f.peppers[len(f.peppers)-1], text[:])
}

// seal returns the key with the 30 given random characters, and its digest.
func (f *Format) seal(random string) (string, Digest) {
	body := f.prefix + random
	if len(f.peppers) > 0 {
		d := sum(f.peppers[0], body)
		return body + encodeCheck(checkOf(d)), d
	}
	s := body + encodeCheck(uint64(crc32Update(f.crc, random)))
	return s, sha256Sum(s)
}

// hint returns the part of a key that may be shown. For a native key this is the prefix and four of
// the check characters. A short imported key has no hint, because four characters would reveal too
// much of it.
func (f *Format) hint(s string) string {
	switch tail := "…" + s[len(s)-4:]; {
	case strings.HasPrefix(s, f.prefix):
		return f.prefix + tail
	case len(s) >= 2*minImported:
		return tail
	}
	return ""
}

// sha256Sum returns the SHA-256 of a string of at most maxImported bytes, without allocating.
func sha256Sum(s string) Digest {
	var buf [maxImported]byte
	return sha256.Sum256(buf[:copy(buf[:], s)])
}
