package main

import (
	"context"
	"net/http"
	"net/http/httputil"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Header fields with the identity of the caller, for the upstream.
const (
	idField     = "X-Caller-Id"
	nameField   = "X-Caller-Name" // escaped like a path segment, because a name may contain any character
	scopesField = "X-Caller-Scopes"
)

// newProxy returns a proxy that forwards requests with a valid key to the upstream. It checks the keys of
// long requests again each recheck.
func newProxy(auth *apikey.Middleware, upstream *url.URL, recheck time.Duration) http.Handler {
	proxy := &httputil.ReverseProxy{
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
	// The upstream does not know keys. It may allow shared caches to store a response, and browsers
	// to send the URL with the key as Referer. ReverseProxy also removes the middleware's
	// fields after a 1xx response.
	return auth.Handler(apikey.KeepPrivate(untilInvalid(auth, recheck, proxy)))
}

// untilInvalid ends a request, such as a WebSocket, when its key becomes invalid or the store fails. The
// upstream cannot check the key.
func untilInvalid(auth *apikey.Middleware, recheck time.Duration, next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		ctx, cancel := context.WithCancel(r.Context())
		defer cancel()
		go func() {
			checking := time.NewTicker(recheck)
			defer checking.Stop()
			for {
				select {
				case <-ctx.Done():
					return
				case <-checking.C:
					if _, err := auth.Check(r); err != nil {
						cancel()
						return
					}
				}
			}
		}()
		next.ServeHTTP(w, r.WithContext(ctx))
	})
}

// reserved are the fields of a client that the proxy does not forward: fields about the client and
// fields that may contain a key.
var reserved = []string{
	idField, nameField, scopesField, "X-Forwarded-For", "X-Forwarded-Host", "X-Forwarded-Proto",
	"X-API-Key", "X-Emby-Token",
}

// removeReserved removes the reserved fields, including names that an upstream may not distinguish from
// them. For example, CGI maps X_Caller_Id to the variable of X-Caller-Id. ReverseProxy has already removed
// the fields that Connection lists, so a client cannot remove the fields that the proxy adds.
//
// removeReserved also removes an upgrade such as h2c, because the middleware does not see the requests that follow it.
func removeReserved(h http.Header) {
	for name := range h {
		if slices.ContainsFunc(reserved, func(field string) bool { return folded(field) == folded(name) }) {
			delete(h, name)
		}
	}
	if !strings.EqualFold(h.Get("Upgrade"), "websocket") {
		h.Del("Upgrade")
	}
}

// folded returns the name of a field in lower case, with "-" for every character that is neither a
// letter nor a digit.
func folded(name string) string {
	return strings.Map(func(c rune) rune {
		if 'a' <= c && c <= 'z' || '0' <= c && c <= '9' {
			return c
		}
		return '-'
	}, strings.ToLower(name))
}
