package apikey

import "net/http"

// admit returns the request for the handler and sets the header fields of the response.
func (m *Middleware) admit(w http.ResponseWriter, r *http.Request, key *Key, found *extraction) *http.Request {
	var a *admission
	var admitted *http.Request
	h := w.Header()
	if found.inQuery || m.sources.leftInURI(r) {
		both := new(admissionWithURL)
		a = &both.admission
		admitted = both.pass(r, layerMiddleware, m, key)
		m.sources.removeKeyPairs(admitted, found.pairs)
		both.referrerPolicy[0] = noReferrer
		h["Referrer-Policy"] = both.referrerPolicy[:]
	} else {
		a = new(admission)
		admitted = a.pass(r, layerMiddleware, m, key)
	}

	// A shared cache must not serve the response to other callers. RFC 9111 section 3.5 prevents
	// that only for requests with Authorization. Each response has slices of its own, because
	// handlers may write to them.
	if h["Cache-Control"] == nil {
		a.cacheControl[0] = "private"
		h["Cache-Control"] = a.cacheControl[:]
	}
	return admitted
}

// admitAnonymous returns the request for a handler that serves it without a key. key is the identity
// of a NewContext further out, or nil. A [Require] behind it refuses requests through this Middleware.
func (m *Middleware) admitAnonymous(r *http.Request, key *Key) *http.Request {
	kind := layerMiddleware
	if key != nil {
		kind = layerNewContext
	}
	if !m.hasKeyParameter(r) {
		return new(admission).pass(r, kind, m, key)
	}
	inner := new(admissionWithURL).pass(r, kind, m, key)
	m.sources.removeKeyPairs(inner, keyPairs{})
	return inner
}

const noReferrer = "no-referrer"

// isPreflight reports whether r is a CORS preflight as the Fetch standard defines it.
func isPreflight(r *http.Request) bool {
	return r.Method == http.MethodOptions && r.Header.Get("Origin") != "" &&
		r.Header.Get("Access-Control-Request-Method") != ""
}
