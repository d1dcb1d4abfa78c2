package emby

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// keysPath is where Emby and Jellyfin manage keys.
const keysPath = "/Auth/Keys"

// Paths serves with next the requests of clients that write paths in any case, with
// slashes too many, or under /emby or /mediabrowser: next sees the path as its routes
// have it. Put it around everything that looks at a path, access logs included.
//
// One prefix is taken off, from any path. Then the first of the patterns that the path
// matches gives it its spelling, so a [http.ServeMux] with these patterns finds the route:
//
//	emby.Paths(mux, "GET /Users/{id}", "/web/")
//
// makes /Users/Bob out of /emby/users/Bob. Patterns are those of ServeMux; a host before the
// path is ignored. What stands for a wildcard keeps its bytes, as does a path that matches
// no pattern. /System/Info, /System/Info/Public and the paths of Keys need not be given.
// Among patterns that match, one with the method of the request, or with none, goes before
// others, and then a name before a wildcard. They are compared one by one, which is for
// hundreds of them, not for thousands.
//
// What follows /Auth/Keys/ may be a key, which belongs in no log. It is taken out of the
// URL and the RequestURI, in which REDACTED stands for it, and handed to Keys out of
// sight. So a request to delete a key cannot be forwarded to another server behind Paths.
// This is so wherever in a path the two names stand, and however they are escaped: no route
// of the host's can have a wildcard behind them.
//
// Prefixes are a second way to each path: a rule of a proxy in front that looks at paths
// has to know them too.
func Paths(next http.Handler, patterns ...string) http.Handler {
	all := newPatterns(append([]string{"/System/Info", "/System/Info/Public", keysPath}, patterns...))
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		inner := all.fold(r)
		if inner != r {
			// net/http removes the temporary files of the form that it knows, and
			// middleware outside of us reads the pattern.
			defer func() { r.MultipartForm, r.Pattern = inner.MultipartForm, inner.Pattern }()
		}
		next.ServeHTTP(w, inner)
	})
}

// fold returns the request with the path that the patterns have for it, and without a key
// in it. If there is nothing to change, that is r itself.
func (p patterns) fold(r *http.Request) *http.Request {
	given := r.URL.EscapedPath()
	if !strings.HasPrefix(given, "/") {
		return r // OPTIONS * or CONNECT
	}
	path, key := concealKey(withoutPrefix(given))
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

// concealedKey is where the context has the key that concealKey took out of a path.
type concealedKey struct{}

// redacted stands in a path for what was taken out of it.
const redacted = "REDACTED"

// concealKey takes what may be a key out of a path like /Auth/Keys/KEY, and returns both. key
// is "" if it is another path. Of one that is longer than those of Keys, all is taken
// away that could be a part of a key.
func concealKey(path string) (shown, key string) {
	shown, behind := cutKeys(path)
	key, behind = cutSegment(behind)
	if key == "" {
		return path, ""
	}
	key, _ = url.PathUnescape(key) // a URL was made of it, so it decodes
	shown += "/" + redacted
	switch last, more := cutSegment(behind); {
	case last == "":
	case sameName(last, "Delete") && strings.Trim(more, "/") == "":
		shown += "/Delete"
	default:
		shown += "/" + redacted
	}
	return shown, key
}

// cutKeys returns a path up to the first /Auth/Keys in it, wherever that is, and what is
// behind. It is found as others may find it, further in or in a log: after decoding, where
// %2F is a slash, and after the steps that dots stand for. Without one behind is "".
func cutKeys(path string) (upTo, behind string) {
	var buffer [16]string
	way := buffer[:0]
	for path != "" {
		var name string
		switch name, path = cutAtSlash(path); {
		case name == "" || sameName(name, "."):
		case sameName(name, ".."):
			way = way[:max(len(way)-1, 0)]
		default:
			way = append(way, name)
			if n := len(way) - 2; n >= 0 && sameName(way[n], "Auth") && sameName(way[n+1], "Keys") {
				return "/" + strings.Join(append(way[:n], keysPath[1:]), "/"), path
			}
		}
	}
	return "", ""
}

// cutAtSlash cuts an escaped path at the first slash, escaped or not.
func cutAtSlash(path string) (before, behind string) {
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
