package apikey

import (
	"net/http"
	"net/url"
	"strings"
)

// maxParameters is how many parameters net/url parses in a query by default; with
// more it parses none.
const maxParameters = 10000

// A pairKind tells what a part of a query between two "&" is to us.
type pairKind uint8

const (
	otherPair  pairKind = iota // none of our parameters
	keyPair                    // one of ours, with a value that can be read
	hiddenPair                 // one of ours in a pair that net/url drops
)

// isPlain reports whether a query has neither escapes nor semicolons, so that its pairs are
// what they look like. Most have none, and are read in a fraction of the time.
func isPlain(query string) bool {
	return strings.IndexByte(query, '%') < 0 && strings.IndexByte(query, '+') < 0 && strings.IndexByte(query, ';') < 0
}

// pair reads one pair of a query. source and value are those of a keyPair.
func (s *sources) pair(pair string, plain bool) (kind pairKind, source int, value string) {
	name, value, _ := strings.Cut(pair, "=")
	if plain {
		if source = s.named(name); source < 0 {
			return otherPair, -1, ""
		}
		return keyPair, source, value
	}
	if strings.IndexByte(pair, ';') >= 0 {
		// net/url drops the whole pair; older parsers split it here.
		for part := range strings.SplitSeq(pair, ";") {
			name, _, _ := strings.Cut(part, "=")
			if source := s.escaped(name); source >= 0 {
				return hiddenPair, source, ""
			}
		}
		return otherPair, -1, ""
	}
	if source = s.escaped(name); source < 0 {
		return otherPair, -1, ""
	}
	value, err := url.QueryUnescape(value)
	if err != nil {
		return hiddenPair, source, ""
	}
	return keyPair, source, value
}

// named returns which source has this name, or -1.
func (s *sources) named(name string) int {
	for _, i := range s.queries {
		if equalFoldASCII(name, s.list[i].key) {
			return i
		}
	}
	return -1
}

// escaped returns which source has this name, as it stands in a query, or -1.
func (s *sources) escaped(name string) int {
	name, err := url.QueryUnescape(name)
	if err != nil {
		return -1
	}
	return s.named(name)
}

// extractQuery adds the keys in a query, and in what Conceal took out of it.
func (s *sources) extractQuery(c *candidate, query, concealed string) error {
	parameters := 0
	for _, part := range [...]string{concealed, query} {
		c.pairs = pairs{} // in the end those of the last part, the URL's
		if part == "" {
			continue
		}
		// As net/url counts them, empty ones too.
		if parameters += strings.Count(part, "&") + 1; parameters > maxParameters {
			return ErrAmbiguous
		}
		plain, length := isPlain(part), len(part)
		for part != "" {
			var pair string
			from := length - len(part)
			pair, part, _ = strings.Cut(part, "&")
			kind, source, value := s.pair(pair, plain)
			if kind == otherPair {
				continue
			}
			c.inQuery = true
			c.pairs = pairs{c.pairs.count + 1, from, from + len(pair)}
			if kind == hiddenPair {
				return ErrAmbiguous
			}
			if err := c.add(value, source); err != nil {
				return err
			}
		}
	}
	return nil
}

// keepOthers returns prefix and the part of query that is not ours, its order and bytes
// kept. What is ours is written to taken, if there is one.
func (s *sources) keepOthers(prefix, query string, taken *strings.Builder) string {
	var kept strings.Builder
	kept.Grow(len(prefix) + len(query))
	kept.WriteString(prefix)
	join := func(out *strings.Builder, first *bool, pair string) {
		if !*first {
			out.WriteByte('&')
		}
		out.WriteString(pair)
		*first = false
	}
	firstKept, firstTaken := true, true
	plain := isPlain(query)
	for more := query != ""; more; {
		var pair string
		pair, query, more = strings.Cut(query, "&")
		if kind, _, _ := s.pair(pair, plain); kind == otherPair {
			join(&kept, &firstKept, pair)
		} else if taken != nil {
			join(taken, &firstTaken, pair)
		}
	}
	return kept.String()
}

// hasKey reports whether a query holds one of our parameters.
func (s *sources) hasKey(query string) bool {
	for plain := isPlain(query); query != ""; {
		var pair string
		pair, query, _ = strings.Cut(query, "&")
		if kind, _, _ := s.pair(pair, plain); kind != otherPair {
			return true
		}
	}
	return false
}

// inURI reports whether the RequestURI holds one of our parameters that somebody has taken
// out of the URL alone.
func (s *sources) inURI(r *http.Request) bool {
	// Without a query, as most requests are, the one is the other.
	return r.RequestURI != r.URL.Path && s.inQueryOf(r)
}

func (s *sources) inQueryOf(r *http.Request) bool {
	_, query, found := strings.Cut(r.RequestURI, "?")
	return found && query != r.URL.RawQuery && s.hasKey(query)
}

// keepOthersThan is keepOthers where there is one pair of ours and it is known which.
func keepOthersThan(p pairs, prefix, query string) string {
	if p.to < len(query) {
		p.to++ // with the "&" behind it
	} else if p.from > 0 {
		p.from-- // or else before it
	}
	return prefix + query[:p.from] + query[p.to:]
}

// clean takes our parameters out of a request whose URL nobody else holds: out of its
// URL, its RequestURI and a Form that was parsed already. known are the pairs in its query,
// if they were looked for; taken is as in keepOthers.
func (s *sources) clean(r *http.Request, known pairs, taken *strings.Builder) {
	path, query, hasQuery := strings.Cut(r.RequestURI, "?")
	if hasQuery && query == r.URL.RawQuery {
		// As the server made them: one string can serve both.
		prefix, uri := r.RequestURI[:len(path)+1], ""
		if known.count == 1 && taken == nil {
			uri = keepOthersThan(known, prefix, query) // as in most requests with a key here
		} else {
			uri = s.keepOthers(prefix, query, taken)
		}
		r.RequestURI, r.URL.RawQuery = uri, uri[len(path)+1:]
	} else {
		// Something rewrote one of them.
		r.URL.RawQuery = s.keepOthers("", r.URL.RawQuery, taken)
		if s.hasKey(query) {
			r.RequestURI = s.keepOthers(path+"?", query, nil)
		}
	}
	if len(r.RequestURI) == len(path)+1 {
		r.RequestURI = path // without a "?" that begins nothing
	}
	if r.Form != nil {
		r.Form = s.cleanForm(r.Form, r.PostForm)
	}
}

// cleanForm returns a copy of form without the values that came from the query: of our
// parameters only those of the body are left.
func (s *sources) cleanForm(form, body url.Values) url.Values {
	cleaned := make(url.Values, len(form))
	for name, values := range form {
		if s.named(name) >= 0 {
			if values = body[name]; values == nil {
				continue
			}
		}
		cleaned[name] = values
	}
	return cleaned
}
