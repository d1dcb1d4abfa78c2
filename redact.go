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

// RemoveKeys removes every key from a request before it is sent to another server, for example in
// httputil.ReverseProxy.Rewrite.
//
// RemoveKeys removes the parameters of [Query] sources, the fields of [Header] sources, and the
// lines of Authorization that a [Scheme] source reads. It removes a line in which a [SourceFunc]
// finds a key, unless the key is in the query of a URI. It removes a field in which a SourceFunc
// finds a key in several lines together. In other fields, such as Referer, and in other parameters
// it replaces the key by REDACTED and keeps the rest.
//
// A key that a SourceFunc finds outside of the header remains. RemoveKeys changes out and the URL
// and Header that it points to.
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

// redactError returns err, or an error that wraps it and whose text has REDACTED in place of keys. The
// functions in Options may quote what they cannot read: a SourceFunc the value, Authorize the path, and
// Adopt the URL of another system. presented is the key of the request, or "".
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

// An escapedText is a text after some rounds of unescaping.
type escapedText struct {
	text    string
	escaped []int        // indexes of the bytes of text that were escaped in outer
	outer   *escapedText // the text before the last round; nil if text is the original
}

// original returns the span of the original text from which a span of t was unescaped.
func (t *escapedText) original(from, to int) span {
	for ; t.outer != nil; t = t.outer {
		from, to = t.indexInOuter(from), t.indexInOuter(to)
	}
	return span{from, to}
}

// indexInOuter returns the index at which the byte i of t begins in the outer text. Each escape before it is two
// bytes longer there.
func (t *escapedText) indexInOuter(i int) int {
	before, _ := slices.BinarySearch(t.escaped, i)
	return i + 2*before
}

// unescape decodes each %XX of the text once, and reports whether there was one.
func (t *escapedText) unescape() (*escapedText, bool) {
	s := t.text
	n := strings.Count(s, "%")
	if n == 0 {
		return t, false
	}
	decoded, escaped := make([]byte, 0, len(s)), make([]int, 0, n)
	for {
		i := strings.IndexByte(s, '%')
		if i < 0 {
			break
		}
		decoded = append(decoded, s[:i]...)
		if i+2 < len(s) && isHex(s[i+1]) && isHex(s[i+2]) {
			escaped = append(escaped, len(decoded))
			decoded = append(decoded, unhex(s[i+1])<<4|unhex(s[i+2]))
			i += 2
		} else {
			decoded = append(decoded, '%')
		}
		s = s[i+1:]
	}
	if len(escaped) == 0 {
		return t, false
	}
	return &escapedText{string(append(decoded, s...)), escaped, t}, true
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
