package apikey

import "strings"

// trimOWS removes the optional white space around a field's value, which is no part
// of it (RFC 9110 section 5.5). net/http did so already unless the request came by
// another way.
func trimOWS(s string) string {
	for len(s) > 0 && isOWS(s[0]) {
		s = s[1:]
	}
	for len(s) > 0 && isOWS(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

func isBlankValue(s string) bool {
	for i := range len(s) {
		if !isOWS(s[i]) {
			return false
		}
	}
	return true
}

func isOWS(c byte) bool { return c == ' ' || c == '\t' }

// isToken reports whether s is a token of RFC 9110 section 5.6.2, at most 64 long.
func isToken(s string) bool {
	const punctuation = "!#$%&'*+-.^_`|~"
	for i := range len(s) {
		if base62[s[i]] == notBase62 && strings.IndexByte(punctuation, s[i]) < 0 {
			return false
		}
	}
	return 1 <= len(s) && len(s) <= 64
}

// equalFoldASCII reports whether s is lower, a text in lower case, but for the case
// of ASCII letters. strings.EqualFold takes the Kelvin sign for a k.
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
