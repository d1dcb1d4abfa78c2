package apikey

import "net/http"

// Conceal hides keys from code outside of [Middleware.Handler], which sees the request as it
// arrived. Put it around an access logger, or around a mux that copies the query into redirects.
//
// Conceal passes on a request without the parameters of [Query] sources in its URL, RequestURI and
// Form. In the values of other parameters and in every header field, such as Referer and Cookie, it
// replaces keys by REDACTED. It sets "Referrer-Policy: no-referrer" if the URL contained a key.
//
// Conceal does not hide the fields of [Header] and [Scheme] sources. It does not hide an imported
// key that a [SourceFunc] reads either, because the key has no shape to recognise it by. Do not log
// these fields. Conceal never changes a path; log it through [Middleware.RedactURI].
//
// Conceal decides nothing. Handlers behind it, including those of other Middlewares, and
// Options.Authorize decide about the request as the client sent it.
func (m *Middleware) Conceal(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		header := m.concealedHeader(r.Header)
		query, uri := m.passedURL(r, layerConceal)
		inURL := query != r.URL.RawQuery || uri != r.RequestURI
		if !inURL && header == nil {
			next.ServeHTTP(w, r)
			return
		}
		inner := new(admissionWithURL).pass(r, layerConceal, m, nil)
		if inURL {
			w.Header().Set("Referrer-Policy", noReferrer)
			m.setURL(inner, query, uri)
		}
		if header != nil {
			inner.Header = header
		}
		serveCopy(w, r, inner, next)
	})
}

// concealedHeader returns a copy of a header without keys, except in the fields that Header and
// Scheme sources read. It returns nil if there is nothing to redact.
func (m *Middleware) concealedHeader(h http.Header) http.Header {
	return m.fieldRedactor("").redactHeader(h, m.sources.readsField)
}

// readsField reports whether a Header or Scheme source reads a field.
func (s *sources) readsField(field string) bool {
	for i := range s.list {
		switch source := &s.list[i]; source.kind {
		case headerSource:
			if field == source.key {
				return true
			}
		case schemeSource:
			if field == "Authorization" {
				return true
			}
		}
	}
	return false
}

// hasKeyParameter reports whether the URL or the RequestURI of a request contains a key parameter.
func (m *Middleware) hasKeyParameter(r *http.Request) bool {
	return m.sources.hasKeyPair(r.URL.RawQuery) || m.sources.leftInURI(r)
}

// hasKeyInURL reports whether the URL or the RequestURI of a request contains a key parameter, or a
// key in another parameter.
func (m *Middleware) hasKeyInURL(r *http.Request) bool {
	query, uri := m.passedURL(r, layerConceal)
	return query != r.URL.RawQuery || uri != r.RequestURI
}

// setURL sets the query and the RequestURI that Conceal passes on, in a request that does not share its
// URL. It removes and redacts the keys in a parsed Form.
func (m *Middleware) setURL(r *http.Request, query, uri string) {
	if r.Form != nil {
		r.Form = replaceQueryValues(r.Form, r.PostForm, r.URL.RawQuery, query)
		m.sources.removeFromForm(r.Form, r.PostForm)
		r.Form = redactor{m: m, names: namesInQuery}.redactValues(r.Form)
	}
	r.URL.RawQuery, r.RequestURI = query, uri
}

// withoutKeysInURL returns r if its URL contains no key, and otherwise a copy of r without the keys in
// its URL.
func (m *Middleware) withoutKeysInURL(r *http.Request) *http.Request {
	query, uri := m.passedURL(r, layerConceal)
	if query == r.URL.RawQuery && uri == r.RequestURI {
		return r
	}
	clean := copyWithURL(r)
	m.setURL(clean, query, uri)
	return clean
}
