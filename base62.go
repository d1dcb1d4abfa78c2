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

// isBase62 reports whether a text of at least eight characters is all of base62. It takes
// eight at a time, the last of them perhaps twice: one by one, this would cost a request as
// much as half of its hash.
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
		// The high bit of each byte below 0x80 tells whether the byte is in a range. A byte from
		// there on may carry into the next, but is not in base62 itself.
		digit := (x + (0x80-'0')*each) &^ (x + (0x7F-'9')*each)
		lower := x | 0x20*each // folds the case of letters, and makes letters of nothing else
		letter := (lower + (0x80-'a')*each) &^ (lower + (0x7F-'z')*each)
		all &= (digit | letter) &^ x
		if len(s) <= 8 {
			return all&high == high
		}
		s = s[8:]
	}
}

// checkOf returns the number that the check characters of a key with a pepper write.
func checkOf(d Digest) uint64 { return binary.BigEndian.Uint64(d[:]) % checkMod }

// encodeCheck writes n, which is below checkMod, as check characters.
func encodeCheck(n uint64) string {
	var c [checkLen]byte
	for i := len(c) - 1; i >= 0; i-- {
		c[i] = alphabet[n%62]
		n /= 62
	}
	return string(c[:])
}

// decodeCheck reads check characters, which are all of base62. Two that differ are two
// numbers. Numbers are compared at once: right check characters of a key with a pepper are
// what an attacker would find out one after the other.
func decodeCheck(s string) (n uint64) {
	_ = s[checkLen-1]
	return uint64(base62[s[0]])*(62*62*62*62*62) + uint64(base62[s[1]])*(62*62*62*62) + uint64(base62[s[2]])*(62*62*62) +
		uint64(base62[s[3]])*(62*62) + uint64(base62[s[4]])*62 + uint64(base62[s[5]])
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
