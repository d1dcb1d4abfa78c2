package apikey

import (
	"crypto/subtle"
	"encoding/binary"
	"fmt"
	"io"
)

const alphabet = "0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz"

const notBase62 = 0xFF

// base62 maps a character to its value, or to notBase62.
var base62 = func() (t [256]byte) {
	for i := range t {
		t[i] = notBase62
	}
	for i := range len(alphabet) {
		t[alphabet[i]] = byte(i)
	}
	return t
}()

// checkOf returns the check characters of a key with a pepper.
func checkOf(d Digest) [checkLen]byte {
	return encodeCheck(binary.BigEndian.Uint64(d[:]) % checkMod)
}

// encodeCheck writes n, which is below checkMod, in base62.
func encodeCheck(n uint64) (c [checkLen]byte) {
	for i := checkLen - 1; i >= 0; i-- {
		c[i] = alphabet[n%62]
		n /= 62
	}
	return c
}

// sameCheck compares in constant time: with a pepper, right check characters are
// what an attacker wants to find out.
func sameCheck(got string, want [checkLen]byte) bool {
	var buf [checkLen]byte
	copy(buf[:], got)
	return subtle.ConstantTimeCompare(buf[:], want[:]) == 1
}

// randomText returns n random characters of base62.
func randomText(random io.Reader, n int) (string, error) {
	const fair = 256 / 62 * 62 // bytes from here on would favour some characters
	text := make([]byte, 0, n)
	var buf [64]byte
	for len(text) < n {
		if _, err := io.ReadFull(random, buf[:]); err != nil {
			return "", fmt.Errorf("apikey: reading random bytes: %w", err)
		}
		for _, b := range buf {
			if b < fair && len(text) < n {
				text = append(text, alphabet[b%62])
			}
		}
	}
	return string(text), nil
}
