package emby

import (
	"bytes"
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// keysPath is the path at which Emby and Jellyfin manage keys.
const keysPath = "/Auth/Keys"

// Paths returns a handler that passes requests to next with their paths in the spelling of the
// service's routes. Clients write paths in any case, with extra slashes or dot segments, and under
// /emby or /mediabrowser.
//
// Paths must be the outermost handler, outside every [http.ServeMux]. A ServeMux redirects
// //System/Info, which many clients do not follow, and the redirect repeats a key in the query.
// Put access loggers and [apikey.Middleware.Conceal] directly inside Paths.
//
// Paths removes one prefix, /emby or /mediabrowser, and resolves the segments "." and ".." as
// ServeMux does. The path then gets the spelling of the first pattern that it matches, so that a
// ServeMux with these patterns finds the route:
//
//	emby.Paths(mux, "GET /Users/{id}", "/web/")
//
// turns /emby/users/Bob into /Users/Bob. Patterns have the syntax of ServeMux; the host of a
// pattern is ignored. The text of a wildcard keeps its bytes, as does a path that matches no
// pattern. Paths always knows /System/Info, /System/Info/Public and the paths of [Keys]. Matching
// patterns with the method of the request, or without a method, precede patterns with another
// method, and a literal segment precedes a wildcard. Paths compares the patterns one by one, which
// suits hundreds of patterns, not thousands. A path longer than 8 KiB, including its escapes,
// matches no pattern.
//
// The segment after /Auth/Keys/ may be a key, which must not reach a log. Paths replaces it by
// REDACTED in the URL and the RequestURI, and passes it to Keys in the context of the request. A
// handler behind Paths can therefore not forward a request that deletes a key to another server.
// Paths redacts wherever in a path the two names stand and however they are escaped. A route of the
// service can therefore not have a wildcard after them.
//
// The prefixes give every route more paths. A proxy in front that decides by path must know them
// too.
//
// The handler is safe for concurrent use if next is.
func Paths(next http.Handler, patterns ...string) http.Handler {
	all := newPatterns(append([]string{"/System/Info", "/System/Info/Public", keysPath}, patterns...))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := all.fold(r)
		if inner != r {
			// net/http removes the temporary files of r.MultipartForm, and middleware
			// outside Paths reads r.Pattern.
			defer func() { r.MultipartForm, r.Pattern = inner.MultipartForm, inner.Pattern }()
		}
		next.ServeHTTP(w, inner)
	})
}

// fold returns a copy of r whose path has the spelling of the patterns and contains no key. It
// returns r itself if the path need not change.
func (p patterns) fold(r *http.Request) *http.Request {
	given := r.URL.EscapedPath()
	if !strings.HasPrefix(given, "/") {
		return r // OPTIONS * or CONNECT
	}
	path, key := concealKey(withoutPrefix(given))
	if resolved := resolveDots(given); key == "" && resolved != given {
		// Dots are resolved after the search for a key, so that they cannot remove /Auth/Keys
		// from before it.
		path, key = concealKey(withoutPrefix(resolved))
	}
	if key == "" {
		path = p.spell(r.Method, path)
	}
	if path == given {
		return r
	}
	ctx := r.Context()
	if key != "" {
		ctx = context.WithValue(ctx, concealedKey{}, apikey.NewSecret(key))
	}
	inner := r.WithContext(ctx)
	u := *r.URL
	u.Path, _ = url.PathUnescape(path)
	u.RawPath = ""
	if u.EscapedPath() != path {
		u.RawPath = path
	}
	inner.URL = &u
	if key != "" && r.RequestURI != "" {
		_, query, found := strings.Cut(r.RequestURI, "?")
		inner.RequestURI = path
		if found {
			inner.RequestURI += "?" + query
		}
	}
	return inner
}

// withoutPrefix returns a path without /emby or /mediabrowser.
func withoutPrefix(path string) string {
	first, rest := cutSegment(path)
	if !sameName(first, "emby") && !sameName(first, "mediabrowser") {
		return path
	}
	if rest == "" {
		return "/"
	}
	return rest
}

// concealedKey is the context key of the API key that concealKey removed from a path.
type concealedKey struct{}

// redacted replaces a segment of a path that may contain a key.
const redacted = "REDACTED"

// concealKey removes the key from a path such as /Auth/Keys/KEY. key is "" if the path contains
// no key. Segments after the key are removed too, except for Delete at the end, because a key may
// contain slashes.
func concealKey(path string) (shown, key string) {
	shown, after := cutKeys(path)
	key, after = cutSegment(after)
	if key == "" {
		return path, ""
	}
	key, _ = url.PathUnescape(key) // no error, because net/url has decoded the path before
	shown += "/" + redacted
	switch last, more := cutSegment(after); {
	case last == "":
	case sameName(last, "Delete") && strings.Trim(more, "/") == "":
		shown += "/Delete"
	default:
		shown += "/" + redacted
	}
	return shown, key
}

// cutKeys cuts a path after the first /Auth/Keys, wherever that is. It reads %2F as a slash and
// resolves dots, because other servers may do so too. Both results are "" if the path does not
// contain /Auth/Keys.
func cutKeys(path string) (before, after string) {
	var buffer [128]byte
	resolved := buffer[:0]
	for path != "" {
		var name string
		name, path = cutAtSlash(path)
		switch {
		case name == "" || sameName(name, "."):
		case sameName(name, ".."):
			resolved = resolved[:max(bytes.LastIndexByte(resolved, '/'), 0)]
		default:
			if sameName(name, "Keys") {
				if outer, ok := cutAuth(resolved); ok {
					return string(outer) + keysPath, path
				}
			}
			resolved = append(append(resolved, '/'), name...)
		}
	}
	return "", ""
}

// cutAuth removes the segment Auth from the end of a path. found reports whether it was there.
func cutAuth(path []byte) (before []byte, found bool) {
	const longest = len("/%41%75%74%68")
	short := max(len(path)-longest, 0)
	slash := bytes.LastIndexByte(path[short:], '/')
	if slash < 0 || !sameName(string(path[short+slash+1:]), "Auth") {
		return nil, false
	}
	return path[:short+slash], true
}

// cutAtSlash cuts an escaped path at the first slash or %2F.
func cutAtSlash(path string) (before, after string) {
	for i := range len(path) {
		if path[i] == '/' {
			return path[:i], path[i+1:]
		}
		if path[i] == '%' && i+3 <= len(path) && equalFold(path[i:i+3], "%2F") {
			return path[:i], path[i+3:]
		}
	}
	return path, ""
}
