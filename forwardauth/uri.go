package forwardauth

import (
	"net/url"
	"strings"
	"unicode/utf8"
)

// maxURI is the size limit of an original URI, in bytes. It is above the default limits of servers.
const maxURI = 32 << 10

// parseURI parses the path and the query of an original request (RFC 9112 section 3.2.1). It returns
// false for a URI that the service behind the proxy may read in another way than the rules do, because a
// client could otherwise evade a rule:
//
//   - a path with an empty, "." or ".." segment, also in an escaped form;
//   - a path with an escaped slash, or with a backslash, ";", "?" or "#", escaped or not;
//   - a path that contains another escape after unescaping;
//   - control characters, spaces that are not escaped, and text that is not UTF-8.
//
// The Middleware checks the parameters of the query.
func parseURI(uri string) (*url.URL, bool) {
	if len(uri) > maxURI || !strings.HasPrefix(uri, "/") || !isPrintable(uri) {
		return nil, false
	}
	path, _, _ := strings.Cut(uri, "?")
	decoded, err := url.PathUnescape(path)
	if err != nil || !isUnambiguous(decoded) || strings.Count(path, "/") != strings.Count(decoded, "/") {
		return nil, false
	}
	u, err := url.ParseRequestURI(uri)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Path != decoded {
		return nil, false
	}
	return u, true
}

// isPrintable reports whether a URI has no spaces, control characters or fragment.
func isPrintable(uri string) bool {
	for i := range len(uri) {
		if c := uri[i]; c <= ' ' || c == 0x7F || c == '#' {
			return false
		}
	}
	return utf8.ValidString(uri)
}

// isUnambiguous reports whether every server reads a decoded path in the same way.
func isUnambiguous(path string) bool {
	if !utf8.ValidString(path) || strings.ContainsAny(path, `\;?#`) {
		return false
	}
	for i := range len(path) {
		c := path[i]
		isEscape := c == '%' && i+2 < len(path) && isHex(path[i+1]) && isHex(path[i+2])
		if c < ' ' || c == 0x7F || isEscape {
			return false
		}
	}
	segments := strings.Split(path[1:], "/")
	for i, segment := range segments {
		last := i == len(segments)-1
		if segment == "" && !last || segment == "." || segment == ".." {
			return false
		}
	}
	return true
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= c && c <= 'f' || 'A' <= c && c <= 'F'
}

// parseHost returns a host in lower case, because servers find a virtual host in any case and ServeMux does
// not. It returns false for a host that ends in a dot, which many servers ignore, for characters that hosts
// do not have, and for more than 300 bytes. An empty host is valid, because an HTTP/1.0 request has none.
func parseHost(host string) (string, bool) {
	host = strings.ToLower(host)
	for i := range len(host) {
		if c := host[i]; (c < 'a' || c > 'z') && (c < '0' || c > '9') && strings.IndexByte("-._:[]", c) < 0 {
			return "", false
		}
	}
	name, _, _ := strings.Cut(host, ":")
	return host, len(host) <= 300 && !strings.HasSuffix(name, ".")
}

// isMethod reports whether a method has only upper-case letters and hyphens, as all registered methods do,
// and at most 32 bytes. Methods are case-sensitive (RFC 9110 section 9.1), but some servers accept
// "delete" for DELETE.
func isMethod(method string) bool {
	for i := range len(method) {
		if c := method[i]; (c < 'A' || c > 'Z') && c != '-' {
			return false
		}
	}
	return 1 <= len(method) && len(method) <= 32
}
