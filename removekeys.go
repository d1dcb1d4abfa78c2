package apikey

import (
	"net/http"
	"net/url"
	"strings"
)

// RemoveKeys removes every key from a request before it is sent to another server, for example in
// httputil.ReverseProxy.Rewrite.
//
// RemoveKeys removes the parameters of [Query] sources, the fields of [Header] sources, and the
// lines of Authorization that a [Scheme] source reads. It removes a line in which a [SourceFunc]
// finds a key, unless the key is in the query of a URI. If a SourceFunc finds a key only in several
// lines of a field together, RemoveKeys removes the field. In other fields, such as Referer, and in
// other parameters it replaces the key by REDACTED and keeps the rest.
//
// A key that a SourceFunc finds outside of the header remains. RemoveKeys changes out and the URL,
// Header and Trailer that it points to.
func (m *Middleware) RemoveKeys(out *http.Request) {
	if m.hasKeyParameter(out) || out.Form != nil {
		m.sources.removeKeyPairs(out, keyPairs{})
	}
	for i := range m.sources.list {
		switch s := &m.sources.list[i]; s.kind {
		case headerSource:
			editLines(out.Header, s.key, func(line string) string {
				if m.sources.mayBeKey(i, trimOWS(line)) {
					return ""
				}
				return line
			})
		case schemeSource:
			editLines(out.Header, "Authorization", func(line string) string {
				if _, ok := m.sources.credentials(i, line); ok {
					return ""
				}
				return line
			})
		}
	}
	m.sources.editFuncLines(out, func(line, key string) string {
		clean := m.fieldRedactor(key).redact(line)
		if before, _, found := strings.Cut(clean, redacted); found && key != "" && strings.Contains(before, "?") {
			return clean
		}
		return ""
	})
	m.sources.removeFuncFields(out)
	f := m.fieldRedactor("")
	f.redactQuery(out)
	for name, lines := range f.redactHeader(out.Header, noField) {
		out.Header[name] = lines
	}
	for name, lines := range f.redactHeader(out.Trailer, noField) {
		out.Trailer[name] = lines
	}
}

// editLines replaces each line of a field by the result of edit; "" removes the line. It does not
// write to the slice of lines, which another request may share.
func editLines(h http.Header, name string, edit func(line string) string) {
	var kept []string
	for _, line := range h[name] {
		if line = edit(line); line != "" {
			kept = append(kept, line)
		}
	}
	if kept == nil {
		delete(h, name)
	} else {
		h[name] = kept
	}
}

// editFuncLines edits the lines of header fields in which a SourceFunc finds a key, or an error, in a
// request with only that line.
func (s *sources) editFuncLines(r *http.Request, edit func(line, key string) string) {
	s.eachSourceFunc(r, func(fields []string, find findInHeader) {
		for _, name := range fields {
			editLines(r.Header, name, func(line string) string {
				if key, found := find(http.Header{name: {line}}); found {
					return edit(line, key)
				}
				return line
			})
		}
	})
}

// removeFuncFields removes the header fields in which a SourceFunc still finds a key, or an error.
// The key may be in several lines together, or in an encoding that redact does not know.
func (s *sources) removeFuncFields(r *http.Request) {
	s.eachSourceFunc(r, func(fields []string, find findInHeader) {
		for _, name := range fields {
			if key, found := find(http.Header{name: r.Header[name]}); found && key != redacted {
				delete(r.Header, name)
			}
		}
	})
}

// A findInHeader calls a SourceFunc with a request that has only a header. It reports whether the
// function returned a key or an error.
type findInHeader func(http.Header) (key string, found bool)

// eachSourceFunc calls do for each SourceFunc that reads the header, with the fields of r that it may
// read.
func (s *sources) eachSourceFunc(r *http.Request, do func(fields []string, find findInHeader)) {
	for i := range s.list {
		source := &s.list[i]
		if source.kind != funcSource {
			continue
		}
		probe := r.WithContext(r.Context())
		probe.URL, probe.RequestURI, probe.Body = &url.URL{Path: "/"}, "/", http.NoBody
		probe.Form, probe.PostForm, probe.MultipartForm = nil, nil, nil
		find := func(h http.Header) (key string, found bool) {
			probe.Header = h
			key, err := source.find(probe)
			return key, err != nil || key != "" && s.mayBeKey(i, key)
		}
		// A function that finds a key without a header does not read it there.
		if _, found := find(http.Header{}); !found {
			do(source.fieldsOf(r.Header), find)
		}
	}
}
