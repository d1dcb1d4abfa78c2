package apikey

import (
	"errors"
	"fmt"
	"net/http"
	"slices"
	"strings"
)

// sources are the Sources of a Middleware, prepared for the search.
type sources struct {
	list       []Source
	names      []string // of list, as in an Event
	queries    []int    // indexes of the Query sources in list
	prefix     string   // of the keys, for Prefixed sources
	vary       string   // the value of Vary for Optional
	challenges []string // the values of WWW-Authenticate
	bearer     string   // the challenge of the Bearer scheme, or ""
}

func newSources(list []Source, f *Format, realm string) (sources, error) {
	if list == nil {
		list = defaultSources()
	}
	if len(list) == 0 {
		return sources{}, invalid("Sources", "empty; want at least one, or nil for the default ones")
	}
	s := sources{list: slices.Clone(list), prefix: f.prefix}
	for i, source := range s.list {
		if err := source.validate(); err != nil {
			return sources{}, invalid(fmt.Sprintf("Sources[%d]", i), "%v", err)
		}
		if slices.ContainsFunc(s.list[:i], func(other Source) bool {
			return other.kind != funcSource && other.kind == source.kind && other.key == source.key
		}) {
			return sources{}, invalid(fmt.Sprintf("Sources[%d]", i), "%v is listed twice", source)
		}
		s.names = append(s.names, source.String())
		if source.kind == querySource {
			s.queries = append(s.queries, i)
		}
	}
	s.vary = strings.Join(s.fields(), ", ")
	s.addChallenges(realm)
	return s, nil
}

// fields returns the header fields that the sources read, or "*" if a SourceFunc does not name its own.
func (s *sources) fields() (list []string) {
	for _, source := range s.list {
		read := source.fields
		switch {
		case source.kind == headerSource:
			read = []string{source.name}
		case source.kind == schemeSource:
			read = []string{"Authorization"}
		case source.kind == funcSource && len(read) == 0:
			return []string{"*"}
		}
		for _, field := range read {
			if !slices.ContainsFunc(list, func(other string) bool { return strings.EqualFold(other, field) }) {
				list = append(list, field)
			}
		}
	}
	return list
}

func (s *sources) addVary(h http.Header) {
	if s.vary != "" && !slices.Contains(h["Vary"], s.vary) {
		h.Add("Vary", s.vary)
	}
}

// An extraction is the key that a request presents, and where it was found.
type extraction struct {
	key     string
	source  int  // index of the first source that has the key
	inQuery bool // the URL's query contains a key parameter
	pairs   keyPairs
}

// add records one more value. It returns ErrAmbiguous if the value differs from an earlier one.
func (e *extraction) add(value string, source int) error {
	switch {
	case isBlankValue(value):
		return nil
	case e.key == "":
		e.key, e.source = value, source
	case e.key != value:
		return ErrAmbiguous
	}
	return nil
}

// extract finds the key of a request. It returns ErrMissing, ErrAmbiguous, or the error of a
// SourceFunc. The layer l is around r. If layers removed a key from the request, extract reads it
// from their originals.
func (s *sources) extract(r *http.Request, l *layer, found *extraction) error {
	sent := r
	if l = l.changed(); l != nil {
		sent = asSent(r, l)
	}
	for i := range s.list {
		switch source := &s.list[i]; source.kind {
		case headerSource:
			for _, value := range sent.Header[source.key] {
				if value = trimOWS(value); s.mayBeKey(i, value) {
					if err := found.add(value, i); err != nil {
						return err
					}
				}
			}
		case schemeSource:
			for _, line := range sent.Header["Authorization"] {
				if credentials, ok := s.credentials(i, line); ok {
					if err := found.add(credentials, i); err != nil {
						return err
					}
				}
			}
		case funcSource:
			value, err := source.find(sent)
			if err != nil {
				return sourceError(source, err)
			}
			if s.mayBeKey(i, value) {
				if err := found.add(value, i); err != nil {
					return err
				}
			}
		}
	}
	if len(s.queries) > 0 {
		for ; l != nil; l = l.outer().changed() {
			if err := s.extractQuery(found, l.original.Load().URL.RawQuery, false); err != nil {
				return err
			}
			found.inQuery, found.pairs = false, keyPairs{} // because they describe the query of r only
		}
		if err := s.extractQuery(found, r.URL.RawQuery, sent != r); err != nil {
			return err
		}
	}
	if found.key == "" {
		return ErrMissing
	}
	return nil
}

func sourceError(s *Source, err error) error {
	for _, reason := range [...]error{ErrAmbiguous, ErrMalformed} {
		if errors.Is(err, reason) {
			return err
		}
	}
	return fmt.Errorf("%w: source %s: %w", ErrUnavailable, s.name, err)
}

// mayBeKey reports whether source i accepts a value as a key. A Prefixed source requires that a
// word in the value begins with the prefix. The word need not be the first one, because a proxy may
// join several lines, and other software may remove spaces or quotes.
func (s *sources) mayBeKey(i int, value string) bool {
	if !s.list[i].prefixed {
		return true
	}
	for from := 0; ; from++ {
		n := strings.Index(value[from:], s.prefix)
		if n < 0 {
			return false
		}
		if from += n; from == 0 || !isWordByte(value[from-1]) {
			return true
		}
	}
}

// isWordByte reports whether c continues a token68 (RFC 9110 section 11.2). An "=" only ends one.
func isWordByte(c byte) bool {
	return base62[c] != notBase62 || strings.IndexByte("-._~+/", c) >= 0
}

// credentials returns the key in a line of Authorization, and whether the line belongs to source i,
// which is a Scheme.
func (s *sources) credentials(i int, line string) (credentials string, ok bool) {
	credentials, ok = cutScheme(line, s.list[i].key)
	return credentials, ok && s.mayBeKey(i, credentials)
}

// cutScheme returns the part of a line of Authorization after the scheme. If the scheme follows
// another one or precedes a tab, cutScheme returns the whole line, which is a malformed key.
func cutScheme(line, scheme string) (credentials string, ok bool) {
	line = trimOWS(line)
	n := len(scheme)
	if len(line) > n && line[n] == ' ' && equalFoldASCII(line[:n], scheme) {
		return trimOWS(line[n:]), true
	}
	for i := 0; i+n < len(line); i++ {
		begins := i == 0 || isOWS(line[i-1]) || line[i-1] == ','
		if begins && isOWS(line[i+n]) && equalFoldASCII(line[i:i+n], scheme) {
			return line, true
		}
	}
	return "", false
}
