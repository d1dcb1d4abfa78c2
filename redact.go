package apikey

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// RedactURI returns a URI, or a part of one, with REDACTED in place of every key. It redacts the
// values of the parameters of [Query] sources, and every text in the shape of the [Format]'s keys.
// It also finds keys in a URI that is escaped within another one, up to four times. Use it in
// loggers that do not take the URL from a request that passed [Middleware.Conceal].
func (m *Middleware) RedactURI(uri string) string {
	return redactor{m: m, names: namesInURI}.redact(uri)
}

// redactError returns err, or an error that wraps it and whose text has REDACTED in place of keys. Errors
// of the functions in Options can quote a key: in the value that a SourceFunc reads, the path that
// Authorize checks, or the URL that Adopt requests. presented is the key of the request, or "".
func (m *Middleware) redactError(err error, presented string) error {
	text := err.Error()
	if clean := m.fieldRedactor(presented).redact(text); clean != text {
		return &redactedError{clean, func() error { return err }}
	}
	return err
}

// A redactedError wraps an error in a function, which is opaque to reflection.
type redactedError struct {
	text string
	err  func() error
}

func (e *redactedError) Error() string { return e.text }

func (e *redactedError) Unwrap() error { return e.err() }

// A redactor replaces keys in a text. These are each text in the shape of the Format's keys, the
// values of the key parameters, and one given key.
type redactor struct {
	m     *Middleware
	key   string // "" if none is given
	names nameRule
}

// A nameRule says where "api_key=" is the name of a key parameter, and where its value ends.
type nameRule uint8

const (
	// ignoreNames is the rule for Authorize: a value remains unless it is in the shape of a key.
	ignoreNames nameRule = iota
	// namesInField is the rule for a header field, to which a proxy may have appended. A value ends
	// before another part of the field, and does not hide a segment of a path.
	namesInField
	// namesInQuery is namesInField for the query of a URI, which has no path.
	namesInQuery
	// namesInURI is the rule for a URI. A value extends to the next "&", so that RedactURI hides too
	// much rather than too little.
	namesInURI
)

// fieldRedactor returns the redactor for header fields and queries, which also replaces key.
func (m *Middleware) fieldRedactor(key string) redactor {
	return redactor{m: m, key: key, names: namesInField}
}

// redactHeader returns a copy of a header with REDACTED in place of keys, or nil if there are none.
// It skips the fields for which except returns true.
func (f redactor) redactHeader(h http.Header, except func(field string) bool) (clean http.Header) {
	for name, lines := range h {
		if except(name) {
			continue
		}
		for i, line := range lines {
			shown := f.redact(line)
			if shown == line {
				continue
			}
			if clean == nil {
				clean = h.Clone()
			}
			clean[name][i] = shown
		}
	}
	return clean
}

func noField(string) bool { return false }

// redactQuery redacts the keys in the URL's query, the RequestURI and a parsed Form of a request that
// does not share its URL.
func (f redactor) redactQuery(r *http.Request) {
	if f.names == namesInField {
		f.names = namesInQuery
	}
	sent := r.URL.RawQuery
	r.URL.RawQuery = f.redact(sent)
	if path, query, found := strings.Cut(r.RequestURI, "?"); found {
		r.RequestURI = path + "?" + f.redact(query)
	}
	if r.Form != nil {
		r.Form = f.redactValues(replaceQueryValues(r.Form, r.PostForm, sent, r.URL.RawQuery))
	}
}

// redactValues returns a copy of a form with REDACTED in place of keys.
func (f redactor) redactValues(form url.Values) url.Values {
	if form == nil {
		return nil
	}
	clean := make(url.Values, len(form))
	for name, values := range form {
		name = f.redact(name)
		for _, value := range values {
			clean[name] = append(clean[name], f.redact(value))
		}
	}
	return clean
}

// redact returns the text with REDACTED in place of keys, including those in escaped parts.
func (f redactor) redact(text string) string {
	if !f.mayContainKey(text) {
		return text
	}
	t, path := &escapedText{text: text}, f.pathOf(text)
	found := f.appendKeys(nil, t, path)
	for n, more := 0, true; more && n < maxEscapes; n++ {
		if t, more = t.unescape(); more {
			found = f.appendKeys(found, t, path)
		}
	}
	if len(found) == 0 {
		return text
	}
	slices.SortFunc(found, func(a, b span) int { return a.from - b.from })
	var out strings.Builder
	out.Grow(len(text))
	done := 0 // the part of text before this index is in out or replaced
	for i, p := range found {
		if i == 0 || p.from > done { // otherwise the REDACTED before it also replaces p
			out.WriteString(text[done:p.from])
			out.WriteString(redacted)
		}
		done = max(done, p.to)
	}
	out.WriteString(text[done:])
	return out.String()
}

// mayContainKey is a fast check that skips the search in most texts.
func (f redactor) mayContainKey(text string) bool {
	return strings.IndexByte(text, '%') >= 0 || strings.Contains(text, f.m.format.prefix) ||
		f.names != ignoreNames && strings.IndexByte(text, '=') >= 0 || f.key != "" && strings.Contains(text, f.key)
}

// maxEscapes bounds the work. Each round of unescaping shortens "%2525…25" by two bytes only.
const maxEscapes = 4

// A span is a part of a text: the bytes from an index up to another one.
type span struct{ from, to int }

// contains reports whether i is in the span, after its first byte.
func (p span) contains(i int) bool { return p.from < i && i <= p.to }

// pathOf returns the span of a URI's path in a header field, which may contain other text too. It is
// empty under other rules.
func (f redactor) pathOf(text string) (path span) {
	if f.names != namesInField {
		return path
	}
	from, to := strings.IndexByte(text, '/'), strings.IndexByte(text, '?')
	if to < 0 {
		to = len(text)
	}
	if from >= 0 && from < to {
		path = span{from, to}
	}
	return path
}

// appendKeys appends the spans of keys in t, as spans of the original text. path is the span of the
// path in the original text.
func (f redactor) appendKeys(found []span, t *escapedText, path span) []span {
	s, prefix, length, unescapedPath := t.text, f.m.format.prefix, f.m.format.length(), f.pathOf(t.text)
	name := 0 // index at which a name may begin, or -1
	for i := 0; i < len(s); i++ {
		end := 0
		switch {
		case f.key != "" && s[i] == f.key[0] && strings.HasPrefix(s[i:], f.key):
			end = i + len(f.key)
		case s[i] == prefix[0] && len(s)-i >= length && strings.HasPrefix(s[i:], prefix) && f.m.format.hasShape(s[i:i+length]):
			end = i + length
		case f.names != ignoreNames && f.precedesName(s[i]):
			name = i + 1
			continue
		case f.names != ignoreNames && s[i] == '=' && name >= 0:
			begin := name
			name = -1
			if unescapedPath.contains(begin) || !f.namesKey(s[begin:i], s[i+1:]) {
				continue
			}
			i++
			end = f.valueEnd(t, i, path)
		default:
			continue
		}
		found = append(found, t.original(i, end))
		i = end - 1
	}
	return found
}

// precedesName reports whether a parameter name may begin after c.
func (f redactor) precedesName(c byte) bool {
	switch c {
	case '?', '&', ';', '#':
		return true
	case ' ', '\t', ',':
		return f.names != namesInURI
	}
	return false
}

// namesKey reports whether name is that of a key parameter. rest is the text after the "=".
func (f redactor) namesKey(name, rest string) bool {
	s := &f.m.sources
	source := s.sourceEscaped(name)
	return source >= 0 && (!s.list[source].prefixed || strings.HasPrefix(rest, s.prefix))
}

// valueEnd returns the end of the value that begins at i. path is the span of the path in the
// original text.
func (f redactor) valueEnd(t *escapedText, i int, path span) int {
	ends := "&"
	if f.names != namesInURI {
		ends = "&;#, \t\"'<>"
	}
	if path.contains(t.original(i, i).from) {
		ends += "/" // whether it was escaped or not
	}
	if n := strings.IndexAny(t.text[i:], ends); n >= 0 {
		return i + n
	}
	return len(t.text)
}
