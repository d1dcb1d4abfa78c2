package emby

import (
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// patterns are the routes that a path is compared with, the most particular first.
type patterns []pattern

type pattern struct {
	method   string // "" is any
	segments []segment
}

// A segment is what stands between two slashes of a pattern.
type segment struct {
	kind  segmentKind
	name  string // of a literal
	spelt string // of a literal, as it is written in a URL
}

type segmentKind uint8

const (
	literal  segmentKind = iota
	wildcard             // {name}
	end                  // {$}
	rest                 // {name...}, or a slash at the end
)

func newPatterns(texts []string) (p patterns) {
	for _, text := range texts {
		before, path, found := strings.Cut(text, "/")
		if !found {
			continue // no path, so nothing matches it
		}
		var one pattern
		if i := strings.IndexAny(before, " \t"); i >= 0 { // else it is a host
			one.method = before[:i]
		}
		for name := range strings.SplitSeq(path, "/") {
			one.segments = append(one.segments, newSegment(name))
		}
		p = append(p, one)
	}
	slices.SortStableFunc(p, func(a, b pattern) int {
		return slices.CompareFunc(a.segments, b.segments, func(a, b segment) int { return int(a.kind) - int(b.kind) })
	})
	return p
}

func newSegment(text string) segment {
	switch {
	case text == "" || strings.HasSuffix(text, "...}"):
		return segment{kind: rest}
	case text == "{$}":
		return segment{kind: end}
	case strings.HasPrefix(text, "{"):
		return segment{kind: wildcard}
	}
	if decoded, err := url.PathUnescape(text); err == nil {
		text = decoded
	}
	return segment{kind: literal, name: text, spelt: url.PathEscape(text)}
}

// spell returns an escaped path as the first pattern that it matches has it. Those with
// another method come last: a route then answers that it does not allow this one.
func (p patterns) spell(method, path string) string {
	var buffer [128]byte
	for _, ours := range [...]bool{true, false} {
		for _, one := range p {
			if one.serves(method) != ours {
				continue
			}
			if spelt, ok := spell(buffer[:0], one.segments, path); ok {
				return string(spelt)
			}
		}
	}
	return path
}

// serves reports whether a ServeMux would choose the pattern for a method.
func (p pattern) serves(method string) bool {
	return p.method == "" || p.method == method || p.method == http.MethodGet && method == http.MethodHead
}

func spell(spelt []byte, segments []segment, path string) ([]byte, bool) {
	for _, want := range segments {
		switch want.kind {
		case end:
			return append(spelt, '/'), strings.Trim(path, "/") == ""
		case rest:
			return append(spelt, path...), true
		}
		var got string
		if got, path = cutSegment(path); got == "" {
			return nil, false
		}
		spelt = append(spelt, '/')
		if want.kind == wildcard {
			spelt = append(spelt, got...)
			continue
		}
		if !sameName(got, want.name) {
			return nil, false
		}
		spelt = append(spelt, want.spelt...)
	}
	return spelt, strings.Trim(path, "/") == ""
}

// cutSegment returns the first segment of a path that is not empty, and what follows,
// which begins with a slash if there is something.
func cutSegment(path string) (first, rest string) {
	path = strings.TrimLeft(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// sameName reports whether an escaped segment is name, in whatever case.
func sameName(segment, name string) bool {
	if strings.IndexByte(segment, '%') >= 0 && len(segment) <= len(name)*len("%41") {
		segment, _ = url.PathUnescape(segment)
	}
	return equalFold(segment, name)
}
