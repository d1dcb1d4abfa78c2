package apikey

import (
	"bufio"
	"io"
	"net"
	"net/http"
	"slices"
	"strings"
)

// KeepPrivate returns a handler that calls next and, when the response header is written, restores
// the fields that [Middleware.Handler] or [Middleware.Optional] set. Put it directly behind them,
// around handlers that remove or add header fields of responses:
//
//	auth.Handler(apikey.KeepPrivate(proxy))
//	auth.Handler(apikey.KeepPrivate(http.FileServerFS(files)))
//
// A [net/http/httputil.ReverseProxy] removes all fields after each informational (1xx) response and
// adds the fields of its upstream. An [http.FileServer] removes Cache-Control from errors. A shared
// cache could then store the response and serve it to callers without a key.
//
// KeepPrivate reads the header before it calls next, and changes the final header as follows:
//
//   - If Cache-Control forbade shared caches to store the response (private or no-store), it still
//     does. The value of next replaces the earlier one only if it forbids that too. KeepPrivate
//     removes fields that some shared caches prefer to Cache-Control (RFC 9213 section 2.2,
//     X-Accel-Expires, Surrogate-Control, Edge-Control).
//   - If Referrer-Policy was set, it has the earlier value.
//   - Vary lists the earlier fields and those of next.
//
// The ResponseWriter that next receives implements http.Flusher, http.Hijacker and io.ReaderFrom, and
// has an Unwrap method for [http.ResponseController]. If next hijacks the connection, it writes the
// response header itself. The returned handler is safe for concurrent use if next is.
func KeepPrivate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		private := &privateWriter{ResponseWriter: w, policy: policyOf(w.Header())}
		// net/http writes the header of an empty response after next returns. Middleware that
		// recovers from a panic of next writes another one.
		defer private.enforce()
		next.ServeHTTP(private, r)
	})
}

// A privateWriter is a ResponseWriter that enforces a policy before the final header is written.
type privateWriter struct {
	http.ResponseWriter
	policy   policy
	enforced bool
}

func (w *privateWriter) enforce() {
	if !w.enforced {
		w.enforced = true
		w.policy.enforce(w.Header())
	}
}

// WriteHeader enforces the policy for final statuses. It does not touch the state for informational
// ones, because ReverseProxy writes these from another goroutine.
func (w *privateWriter) WriteHeader(status int) {
	if status >= 200 {
		w.enforce()
	}
	w.ResponseWriter.WriteHeader(status)
}

// Write enforces the policy before the first byte of the body.
func (w *privateWriter) Write(b []byte) (int, error) {
	w.enforce()
	return w.ResponseWriter.Write(b)
}

// ReadFrom allows net/http to send files without copying them through memory.
func (w *privateWriter) ReadFrom(from io.Reader) (int64, error) {
	w.enforce()
	return io.Copy(w.ResponseWriter, from)
}

// Flush implements http.Flusher.
func (w *privateWriter) Flush() { w.FlushError() }

// FlushError flushes for http.ResponseController, which would otherwise use the inner ResponseWriter.
func (w *privateWriter) FlushError() error {
	w.enforce()
	return http.NewResponseController(w.ResponseWriter).Flush()
}

// Hijack implements http.Hijacker.
func (w *privateWriter) Hijack() (net.Conn, *bufio.ReadWriter, error) {
	return http.NewResponseController(w.ResponseWriter).Hijack()
}

// Unwrap returns the inner ResponseWriter to http.ResponseController.
func (w *privateWriter) Unwrap() http.ResponseWriter { return w.ResponseWriter }

// A policy contains the fields of a response header before the handler ran.
type policy struct {
	cacheControl   []string // nil if shared caches may store the response
	referrerPolicy []string
	vary           []string
}

func policyOf(h http.Header) policy {
	p := policy{referrerPolicy: slices.Clone(h["Referrer-Policy"]), vary: slices.Clone(h["Vary"])}
	if forbidsSharing(h["Cache-Control"]) {
		p.cacheControl = slices.Clone(h["Cache-Control"])
	}
	return p
}

// enforce restores the fields in a header that the handler may have changed.
func (p *policy) enforce(h http.Header) {
	if p.cacheControl != nil {
		lines := h["Cache-Control"]
		if n := len(p.cacheControl); len(lines) >= n && slices.Equal(lines[:n], p.cacheControl) {
			lines = lines[n:] // the lines that the handler added
		}
		if !forbidsSharing(lines) {
			lines = slices.Clone(p.cacheControl)
		}
		for name := range h {
			if controlsCaches(name) {
				delete(h, name)
			}
		}
		h["Cache-Control"] = lines
	}
	if p.referrerPolicy != nil {
		h["Referrer-Policy"] = slices.Clone(p.referrerPolicy)
	}
	if p.vary != nil {
		h["Vary"] = append(slices.Clone(p.vary), without(h["Vary"], p.vary)...)
	}
}

// without returns the lines that are not in others.
func without(lines, others []string) []string {
	return slices.DeleteFunc(slices.Clone(lines), func(line string) bool { return slices.Contains(others, line) })
}

// controlsCaches reports whether shared caches take instructions from a field. The name of a field for
// one class of caches ends in -Cache-Control (RFC 9213 section 2.1).
func controlsCaches(name string) bool {
	name = lowerASCII(name)
	return name == "cache-control" || strings.HasSuffix(name, "-cache-control") ||
		name == "surrogate-control" || name == "x-accel-expires" || name == "edge-control"
}

// forbidsSharing reports whether the lines of a Cache-Control forbid shared caches to store a response
// (RFC 9111 section 5.2.2). The directive private with field names does not, because it covers only
// these fields.
func forbidsSharing(lines []string) bool {
	for _, line := range lines {
		quoted, escaped := false, false
		for directive := range strings.FieldsFuncSeq(line, func(c rune) bool {
			if c == '"' && !escaped {
				quoted = !quoted
			}
			escaped = c == '\\' && quoted && !escaped
			return c == ',' && !quoted
		}) {
			directive = trimOWS(directive)
			if equalFoldASCII(directive, "private") || equalFoldASCII(directive, "no-store") {
				return true
			}
		}
	}
	return false
}
