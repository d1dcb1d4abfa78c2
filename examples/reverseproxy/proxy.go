package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// The fields by which the upstream is told who calls.
const (
	idField     = "X-Caller-Id"
	nameField   = "X-Caller-Name" // escaped as in a URL's path, since names may hold any character
	scopesField = "X-Caller-Scopes"
)

// newProxy returns a proxy that lets requests with a valid key through to the upstream.
func newProxy(auth *apikey.Middleware, upstream *url.URL) http.Handler {
	proxy := httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(upstream)
			auth.RemoveKeys(p.Out)
			removeReserved(p.Out.Header)
			p.SetXForwarded()
			key, _ := apikey.FromContext(p.In.Context())
			p.Out.Header.Set(idField, key.ID)
			p.Out.Header.Set(nameField, url.PathEscape(key.Name))
			p.Out.Header.Set(scopesField, strings.Join(key.Scopes, " "))
		},
	}
	return auth.Handler(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		proxy := proxy // this request's own
		proxy.ModifyResponse = func(response *http.Response) error {
			settle(w.Header(), response.Header)
			return nil
		}
		proxy.ServeHTTP(w, r)
	}))
}

// reserved are the fields that no client can send through: those that tell of it, and those that
// hold a key.
var reserved = []string{
	idField, nameField, scopesField, "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	"X-API-Key", "X-Emby-Token",
}

// removeReserved removes the fields that are reserved, also under the names that an upstream may
// not tell from them: to CGI and its heirs X_Caller_Id is the same variable. It comes after
// ReverseProxy has removed the fields that Connection lists, so a client cannot use that to
// remove ours.
func removeReserved(h http.Header) {
	for name := range h {
		if slices.ContainsFunc(reserved, func(ours string) bool { return folded(ours) == folded(name) }) {
			delete(h, name)
		}
	}
}

// folded returns the name of a field without case, and with "-" for all that is neither a letter
// nor a digit.
func folded(name string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(name))
}

// settle leaves one value of the fields that both the middleware, in ours, and the upstream set.
// The upstream knows nothing of keys: it may let caches share a response, or browsers send the URL
// with the key on.
func settle(ours, theirs http.Header) {
	if ours.Get("Referrer-Policy") != "" {
		theirs.Del("Referrer-Policy")
	}
	if forbidsSharing(theirs.Values("Cache-Control")) {
		ours.Del("Cache-Control")
	} else {
		theirs.Del("Cache-Control")
	}
}

// forbidsSharing reports whether a Cache-Control keeps shared caches away from a response.
func forbidsSharing(lines []string) bool {
	for directive := range strings.SplitSeq(strings.ToLower(strings.Join(lines, ",")), ",") {
		if directive = strings.TrimSpace(directive); directive == "private" || directive == "no-store" {
			return true
		}
	}
	return false
}
