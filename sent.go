package apikey

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// copyWithURL returns a copy of r with a URL of its own.
func copyWithURL(r *http.Request) *http.Request {
	c := r.WithContext(r.Context())
	c.URL = new(url.URL)
	*c.URL = *r.URL
	return c
}

// asSent returns r as the client sent it. It restores the parts of the query and the header that
// the layers from l outwards removed or redacted. It does not restore a part that other middleware
// has changed since. The layer l has an original.
func asSent(r *http.Request, l *layer) *http.Request {
	sent, cloned := copyWithURL(r), false
	queryUnchanged, uriUnchanged := true, true
	for ; l != nil; l = l.outer().changed() {
		m, original := l.middleware, l.original.Load()
		query, uri := m.passedURL(original, l.kind)
		if queryUnchanged = queryUnchanged && sent.URL.RawQuery == query; queryUnchanged {
			sent.URL.RawQuery = original.URL.RawQuery
		}
		if uriUnchanged = uriUnchanged && sent.RequestURI == uri; uriUnchanged {
			sent.RequestURI = original.RequestURI
		}
		if l.kind != layerConceal {
			continue
		}
		for name, lines := range m.concealedHeader(original.Header) {
			if !slices.Equal(lines, original.Header[name]) && slices.Equal(lines, sent.Header[name]) {
				if !cloned {
					sent.Header, cloned = maps.Clone(r.Header), true
				}
				sent.Header[name] = original.Header[name]
			}
		}
	}
	if sent.Form != nil && sent.URL.RawQuery != r.URL.RawQuery {
		sent.Form = replaceQueryValues(sent.Form, sent.PostForm, r.URL.RawQuery, sent.URL.RawQuery)
	}
	return sent
}

// passedQuery returns a query as a layer of this kind passes it on.
func (m *Middleware) passedQuery(query string, kind layerKind) string {
	if m.sources.hasKeyPair(query) {
		query = m.sources.withoutKeyPairs("", query)
	}
	if kind == layerConceal {
		query = redactor{m: m, names: namesInQuery}.redact(query)
	}
	return query
}

// passedURL returns the query and the RequestURI of a request as a layer of this kind passes them on.
func (m *Middleware) passedURL(r *http.Request, kind layerKind) (query, uri string) {
	query = m.passedQuery(r.URL.RawQuery, kind)
	path, sent, _ := strings.Cut(r.RequestURI, "?")
	passed := query
	if sent != r.URL.RawQuery { // other middleware changed one of them
		passed = m.passedQuery(sent, kind)
	}
	switch passed {
	case sent:
		return query, r.RequestURI
	case "":
		return query, path
	default:
		return query, path + "?" + passed
	}
}

// requestForAuthorize returns r as the client sent it, without its keys. It removes the key
// parameters, and replaces the presented key and each text in the shape of a key by REDACTED. It
// hides nothing else, because a client could otherwise hide a path or an address from the rule.
func (m *Middleware) requestForAuthorize(r *http.Request, l *layer, presented string) *http.Request {
	var clean *http.Request
	if l = l.changed(); l != nil {
		clean = asSent(r, l)
	} else {
		clean = copyWithURL(r)
	}
	m.sources.removeKeyPairs(clean, keyPairs{})
	f := redactor{m: m, key: presented, names: ignoreNames}
	f.redactQuery(clean)
	clean.PostForm = f.redactValues(clean.PostForm)
	if trailer := f.redactHeader(clean.Trailer, noField); trailer != nil {
		clean.Trailer = trailer
	}
	clean.Header = clean.Header.Clone()
	m.sources.editFuncLines(clean, func(line, key string) string {
		if key == presented && f.redact(line) == line {
			return redacted // the line contains the key in another encoding
		}
		return line
	})
	if header := f.redactHeader(clean.Header, noField); header != nil {
		clean.Header = header
	}
	return clean
}
