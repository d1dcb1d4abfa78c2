package main

import "net/http"

// crossOrigin allows web pages of every origin to use next. It wraps the Middleware, so that pages can
// read refusals. It answers preflights itself, because they carry no key.
//
// Allowing every origin is safe, because a page needs a key. Credentials of the browser, such as
// cookies, stay forbidden, because otherwise every page could act as its user.
func crossOrigin(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		h := w.Header()
		h.Set("Access-Control-Allow-Origin", "*")
		if !isPreflight(r) {
			next.ServeHTTP(w, r)
			return
		}
		h.Set("Access-Control-Allow-Methods", "GET, HEAD, POST, DELETE")
		// "*" would not include Authorization.
		h.Set("Access-Control-Allow-Headers",
			"Authorization, Content-Type, X-Emby-Authorization, X-Emby-Token, X-MediaBrowser-Token")
		h.Set("Access-Control-Max-Age", "600")
		w.WriteHeader(http.StatusOK) // old browsers on televisions do not accept 204
	})
}

// isPreflight reports whether r is a CORS preflight, as the Fetch standard defines it.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" && r.Header.Get("Access-Control-Request-Method") != ""
}
