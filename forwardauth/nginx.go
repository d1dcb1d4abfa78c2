package forwardauth

import (
	"net/http"
	"strconv"
	"strings"
)

// onlyAuthStatuses returns a handler whose refusals nginx passes on to the client. nginx passes on 401 and
// 403, and answers 500 instead of every other refusal. The handler keeps a 5xx status, because 500 suits
// an outage.
func onlyAuthStatuses(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		next.ServeHTTP(&authStatusWriter{w}, r)
	})
}

// An authStatusWriter changes the status of a refusal from 300 to 499, except 401, into 403.
type authStatusWriter struct{ http.ResponseWriter }

// WriteHeader writes a status that nginx understands, and the original one in a field.
func (w *authStatusWriter) WriteHeader(status int) {
	if status >= 300 {
		h := w.Header()
		h.Set("X-Apikey-Status", strconv.Itoa(status))
		if challenges := h["Www-Authenticate"]; len(challenges) > 1 {
			h.Set("Www-Authenticate", strings.Join(challenges, ", ")) // nginx 1.22 passes on only one line
		}
		if status < 500 && status != http.StatusUnauthorized {
			status = http.StatusForbidden
		}
	}
	w.ResponseWriter.WriteHeader(status)
}

// Unwrap returns the ResponseWriter of the server, for http.ResponseController.
func (w *authStatusWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }
