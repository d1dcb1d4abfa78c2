package apikey

import (
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxParameters is the number of parameters that net/url parses in a query by default. It rejects a
// query with more.
const maxParameters = 10000

// A pairKind classifies a part of a query between two "&". A key parameter is one that a Query
// source reads.
type pairKind uint8

const (
	otherPair  pairKind = iota // not a key parameter
	keyPair                    // a key parameter with a readable value
	hiddenPair                 // a key parameter in a pair that net/url drops
)

// keyPairs counts the key parameters in a URL's query and locates the last of them.
type keyPairs struct{ count, from, to int }

// extractQuery adds the keys in a query. If redactedBefore is true, a layer passed this query on, and
// extractQuery ignores the values that the layer redacted.
func (s *sources) extractQuery(found *extraction, query string, redactedBefore bool) error {
	if query == "" {
		return nil
	}
	// net/url counts empty parameters too.
	if strings.Count(query, "&") >= maxParameters {
		return ErrAmbiguous
	}
	plain, length := isPlain(query), len(query)
	for query != "" {
		var pair string
		from := length - len(query)
		pair, query, _ = strings.Cut(query, "&")
		kind, source, value := s.pair(pair, plain)
		if kind == otherPair {
			continue
		}
		found.inQuery = true
		found.pairs = keyPairs{found.pairs.count + 1, from, from + len(pair)}
		if kind == hiddenPair {
			return ErrAmbiguous
		}
		if redactedBefore && strings.Contains(value, redacted) {
			continue
		}
		if err := found.add(value, source); err != nil {
			return err
		}
	}
	return nil
}

// isPlain reports whether a query contains neither escapes nor semicolons. Most queries are plain,
// and pair reads them in a fraction of the time.
func isPlain(query string) bool {
	return strings.IndexByte(query, '%') < 0 && strings.IndexByte(query, '+') < 0 && strings.IndexByte(query, ';') < 0
}

// pair classifies one pair of a query. The source and the value are those of a keyPair.
func (s *sources) pair(pair string, plain bool) (kind pairKind, source int, value string) {
	name, value, _ := strings.Cut(pair, "=")
	if plain {
		if source = s.sourceNamed(name); source < 0 || !s.mayBeKey(source, value) {
			return otherPair, -1, ""
		}
		return keyPair, source, value
	}
	if strings.IndexByte(pair, ';') >= 0 {
		// net/url drops the whole pair; older parsers split it here.
		for part := range strings.SplitSeq(pair, ";") {
			name, value, _ := strings.Cut(part, "=")
			if source := s.sourceEscaped(name); source >= 0 && s.mayDecodeToKey(source, value) {
				return hiddenPair, source, ""
			}
		}
		return otherPair, -1, ""
	}
	if source = s.sourceEscaped(name); source < 0 {
		return otherPair, -1, ""
	}
	decoded, err := url.QueryUnescape(value)
	switch {
	case err != nil && s.mayDecodeToKey(source, value):
		return hiddenPair, source, ""
	case err != nil || !s.mayBeKey(source, decoded):
		return otherPair, -1, ""
	}
	return keyPair, source, decoded
}

// mayDecodeToKey is like mayBeKey for a value that net/url does not decode, but other software may.
func (s *sources) mayDecodeToKey(source int, value string) bool {
	return s.mayBeKey(source, value) || strings.IndexByte(value, '%') >= 0
}

// sourceNamed returns the index of the Query source with this name, or -1.
func (s *sources) sourceNamed(name string) int {
	for _, i := range s.queries {
		if equalFoldASCII(name, s.list[i].key) {
			return i
		}
	}
	return -1
}

// sourceEscaped is like sourceNamed for a name that may contain escapes.
func (s *sources) sourceEscaped(name string) int {
	if len(name) > 3*maxToken { // longer than a name with every byte escaped
		return -1
	}
	name, err := url.QueryUnescape(name)
	if err != nil {
		return -1
	}
	return s.sourceNamed(name)
}

// hasKeyPair reports whether a query contains a key parameter.
func (s *sources) hasKeyPair(query string) bool {
	for plain := isPlain(query); query != ""; {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if kind, _, _ := s.pair(pair, plain); kind != otherPair {
			return true
		}
	}
	return false
}

// leftInURI reports whether the RequestURI contains a key parameter after other middleware changed
// the query of the URL.
func (s *sources) leftInURI(r *http.Request) bool {
	// Without a query, which is the usual case, the two are equal.
	return r.RequestURI != r.URL.Path && s.leftInQueryOfURI(r)
}

func (s *sources) leftInQueryOfURI(r *http.Request) bool {
	_, query, found := strings.Cut(r.RequestURI, "?")
	return found && query != r.URL.RawQuery && s.hasKeyPair(query)
}

// removeKeyPairs removes the key parameters from the URL, the RequestURI and a parsed Form of a
// request that does not share its URL. The value known describes the key parameters in its query,
// or is zero.
func (s *sources) removeKeyPairs(r *http.Request, known keyPairs) {
	sent := r.URL.RawQuery
	path, query, hasQuery := strings.Cut(r.RequestURI, "?")
	if hasQuery && query == r.URL.RawQuery {
		// The server made them equal, so one string serves as both.
		prefix, uri := r.RequestURI[:len(path)+1], ""
		if known.count == 1 { // as in most requests with a key in the query
			uri = withoutPair(known, prefix, query)
		} else {
			uri = s.withoutKeyPairs(prefix, query)
		}
		r.RequestURI, r.URL.RawQuery = uri, uri[len(path)+1:]
	} else {
		// Other middleware changed one of them.
		r.URL.RawQuery = s.withoutKeyPairs("", r.URL.RawQuery)
		if s.hasKeyPair(query) {
			r.RequestURI = s.withoutKeyPairs(path+"?", query)
		}
	}
	if len(r.RequestURI) == len(path)+1 {
		r.RequestURI = path // without the "?" of an empty query
	}
	if r.Form != nil {
		r.Form = replaceQueryValues(r.Form, r.PostForm, sent, r.URL.RawQuery)
		s.removeFromForm(r.Form, r.PostForm)
	}
}

// withoutKeyPairs returns prefix and the other pairs of query, in their order and with their bytes.
func (s *sources) withoutKeyPairs(prefix, query string) string {
	var kept strings.Builder
	kept.Grow(len(prefix) + len(query))
	kept.WriteString(prefix)
	plain, first := isPlain(query), true
	for more := query != ""; more; {
		var pair string
		pair, query, more = strings.Cut(query, "&")
		if kind, _, _ := s.pair(pair, plain); kind != otherPair {
			continue
		}
		if !first {
			kept.WriteByte('&')
		}
		kept.WriteString(pair)
		first = false
	}
	return kept.String()
}

// withoutPair is withoutKeyPairs for a query with one key parameter in a known place.
func withoutPair(p keyPairs, prefix, query string) string {
	if p.to < len(query) {
		p.to++ // remove the "&" after the pair
	} else if p.from > 0 {
		p.from-- // the pair is the last: remove the "&" before it
	}
	return prefix + query[:p.from] + query[p.to:]
}

// replaceQueryValues returns a copy of a parsed form in which the values of newQuery replace those of
// oldQuery. body contains the values that the form has from the body. replaceQueryValues keeps values
// that other middleware changed.
func replaceQueryValues(form, body url.Values, oldQuery, newQuery string) url.Values {
	form = maps.Clone(form)
	// ParseForm ignores these errors too, and uses the pairs that net/url can read.
	old, _ := url.ParseQuery(oldQuery)
	replacing, _ := url.ParseQuery(newQuery)
	names := maps.Clone(old)
	maps.Copy(names, replacing)
	for name := range names {
		switch body, values := body[name], form[name]; {
		case slices.Equal(values, slices.Concat(body, old[name])):
			form[name] = slices.Concat(body, replacing[name])
		case slices.Equal(values, slices.Concat(old[name], body)): // multipart/form-data
			form[name] = slices.Concat(replacing[name], body)
		}
		if len(form[name]) == 0 {
			delete(form, name)
		}
	}
	return form
}

// removeFromForm removes the key parameters from a parsed form, even if other middleware changed
// them. It keeps the values of the body.
func (s *sources) removeFromForm(form, body url.Values) {
	for name, values := range form {
		i := s.sourceNamed(name)
		if i < 0 || body.Has(name) {
			continue
		}
		others := slices.DeleteFunc(slices.Clone(values), func(value string) bool { return s.mayBeKey(i, value) })
		if form[name] = others; len(others) == 0 {
			delete(form, name)
		}
	}
}
