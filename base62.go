package apikey

import (
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

// isBase62 reports whether a text of at least eight characters consists of base62. It checks eight
// characters at a time and may check the last ones twice. A loop over single characters would take
// half as long as the hash of the key.
func isBase62(s string) bool {
	const (
		each = 0x0101010101010101
		high = 0x80 * each
	)
	last := eightBytes(s[len(s)-8:])
	all := uint64(high)
	for {
		x := last
		if len(s) > 8 {
			x = eightBytes(s)
		}
		// The high bit of each byte below 0x80 says whether the byte is in a range. A byte of 0x80 or
		// more may carry into the next one, but is not base62 itself.
		digit := (x + (0x80-'0')*each) &^ (x + (0x7F-'9')*each)
		lower := x | 0x20*each // folds the case of letters, and turns no other byte into a letter
		letter := (lower + (0x80-'a')*each) &^ (lower + (0x7F-'z')*each)
		all &= (digit | letter) &^ x
		if len(s) <= 8 {
			return all&high == high
		}
		s = s[8:]
	}
}

// checkOf returns the number that the check characters of a peppered key encode.
func checkOf(d Digest) uint64 { return binary.BigEndian.Uint64(d[:]) % checkMod }

// encodeCheck returns the check characters that encode n, which is less than checkMod.
func encodeCheck(n uint64) string {
	var c [checkLen]byte
	for i := len(c) - 1; i >= 0; i-- {
		c[i] = alphabet[n%62]
		n /= 62
	}
	return string(c[:])
}

// decodeCheck returns the number that check characters of base62 encode. The encoding is injective.
// Comparing numbers takes the same time wherever they differ, so an attacker cannot guess the check
// characters of a peppered key one by one.
func decodeCheck(s string) (n uint64) {
	_ = s[checkLen-1]
	return uint64(base62[s[0]])*(62*62*62*62*62) + uint64(base62[s[1]])*(62*62*62*62) + uint64(base62[s[2]])*(62*62*62) +
		uint64(base62[s[3]])*(62*62) + uint64(base62[s[4]])*62 + uint64(base62[s[5]])
}

// randomText returns n random characters of base62.
func randomText(random io.Reader, n int) (string, error) {
	const fair = 256 / 62 * 62 // larger bytes would favour some characters
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
