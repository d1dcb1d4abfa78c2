package apikey

import "strings"

// trimOWS removes the optional whitespace around a field value (RFC 9110 section 5.5). net/http has
// already done so unless the request came from elsewhere.
func trimOWS(s string) string {
	for len(s) > 0 && isOWS(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isOWS(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// isBlankValue reports whether a value is empty or consists of optional whitespace.
func isBlankValue(s string) bool {
	for i := range len(s) {
		if !isOWS(s[i]) {
			return false
		}
	}
	return true
}

func isOWS(c byte) bool { return c == ' ' || c == '\t' }

// maxToken is the length of the longest name of a Source, in bytes.
const maxToken = 64

// isToken reports whether s is a token (RFC 9110 section 5.6.2) of at most maxToken bytes.
func isToken(s string) bool {
	const punctuation = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		if base62[s[i]] == notBase62 && strings.IndexByte(punctuation, s[i]) < 0 {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= maxToken
}

// isVisible reports whether c is a visible ASCII character, VCHAR in RFC 5234.
func isVisible(c byte) bool { return c > ' ' && c < 0x7F }

// firstInvisible returns the index of the first byte that is not visible ASCII, or -1.
func firstInvisible(s string) int {
	for i := range len(s) {
		if !isVisible(s[i]) {
			return i
		}
	}
	return -1
}

// equalFoldASCII reports whether s is equal to lower, a text in lower case, under ASCII case folding.
// strings.EqualFold treats the Kelvin sign as a k.
func equalFoldASCII(s, lower string) bool {
	if len(s) != len(lower) {
		return false
	}
	for i := range len(s) {
		if lowerByte(s[i]) != lower[i] {
			return false
		}
	}
	return true
}

func lowerASCII(s string) string {
	b := []byte(s)
	for i := range b {
		b[i] = lowerByte(b[i])
	}
	return string(b)
}

func lowerByte(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= lowerByte(c) && lowerByte(c) <= 'f'
}

// unhex returns the value of a hexadecimal digit.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lowerByte(c) - 'a' + 10
}
