package main

import (
	"net/http"
	"net/http/httputil"
	"net/url"
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
	proxy := &httputil.ReverseProxy{
		Rewrite: func(p *httputil.ProxyRequest) {
			p.SetURL(upstream)
			p.SetXForwarded()
			auth.RemoveKeys(p.Out)
			removeCaller(p.Out.Header)
			key, _ := apikey.FromContext(p.In.Context())
			p.Out.Header.Set(idField, key.ID)
			p.Out.Header.Set(nameField, url.PathEscape(key.Name))
			p.Out.Header.Set(scopesField, strings.Join(key.Scopes, " "))
		},
	}
	return auth.Handler(proxy)
}

// removeCaller removes what a client has sent to look like somebody else, also under the names
// that CGI and its heirs do not tell from ours: there X_Caller_Id is the same variable. It comes
// after ReverseProxy has removed the fields that Connection lists, so a client cannot use that to
// remove ours.
func removeCaller(h http.Header) {
	for name := range h {
		switch http.CanonicalHeaderKey(strings.ReplaceAll(name, "_", "-")) {
		case idField, nameField, scopesField:
			delete(h, name)
		}
	}
}
