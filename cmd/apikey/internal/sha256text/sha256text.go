// Package sha256text parses SHA-256 digests as other systems write them.
package sha256text

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"errors"
	"strings"
)

// errText does not show the text, because it may be the key itself.
var errText = errors.New("not a SHA-256: want 64 characters of hex, or 43 or 44 of base64 or base64url")

// Parse parses a digest in hex, base64 or base64url, with or without padding. The length distinguishes
// hex from base64. A prefix "sha256:" or "sha256$" is ignored.
func Parse(text string) (sum [sha256.Size]byte, err error) {
	for _, prefix := range []string{"sha256:", "sha256$"} {
		text = strings.TrimPrefix(text, prefix)
	}
	var raw []byte
	switch len(text) {
	case 2 * sha256.Size:
		raw, err = hex.DecodeString(text)
	case 43, 44:
		text = strings.NewReplacer("-", "+", "_", "/").Replace(strings.TrimSuffix(text, "="))
		raw, err = base64.RawStdEncoding.Strict().DecodeString(text)
	}
	if err != nil || len(raw) != sha256.Size {
		return sum, errText
	}
	return [sha256.Size]byte(raw), nil
}
