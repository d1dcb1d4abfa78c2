package forwardauth

import (
	"net/http"
	"slices"
	"strings"
)

// The fields that services obey or trust, and the beginnings of the names of such fields.
var (
	obeyedFields     = []string{"x-http-method-override", "x-http-method", "x-method-override", "x-rewrite-url", "x-real-ip", "x-host", "x-http-host-override"}
	obeyedBeginnings = []string{"x-apikey-", "x-forwarded-", "x-original-"}
)

// hasDisguise reports whether a header has a field such as X_Apikey_Id. CGI, WSGI, PHP and Rack give it the same
// variable as X-Apikey-Id (RFC 3875 section 4.1.18). A proxy that replaces X-Apikey-Id passes
// X_Apikey_Id on.
func hasDisguise(h http.Header) bool {
	for name := range h {
		plain := strings.Map(plainCharacter, name)
		if plain == strings.ToLower(name) {
			continue
		}
		if slices.Contains(obeyedFields, plain) || slices.ContainsFunc(obeyedBeginnings, func(beginning string) bool { return strings.HasPrefix(plain, beginning) }) {
			return true
		}
	}
	return false
}

// upgradesToHTTP2 reports whether a client wants to go on in HTTP/2 on the same connection (RFC 7540 section 3.2). A proxy
// that passes this on does not see the requests that follow.
func upgradesToHTTP2(h http.Header) bool {
	return slices.ContainsFunc(h["Upgrade"], func(line string) bool { return strings.Contains(strings.ToLower(line), "h2c") })
}

// plainCharacter returns a character of a field's name in lower case, and "-" for one that is neither a letter nor
// a digit.
func plainCharacter(c rune) rune {
	switch {
	case 'A' <= c && c <= 'Z':
		return c + 'a' - 'A'
	case 'a' <= c && c <= 'z' || '0' <= c && c <= '9':
		return c
	}
	return '-'
}
