package emby

import (
	"bytes"
	"net/http"
	"net/url"
	"slices"
	"strings"
)

// maxPath is the length of the longest escaped path that can match a pattern, in bytes.
const maxPath = 8 << 10

// patterns are the routes of a service.
type patterns struct {
	list        []pattern // most specific first
	maxSegments int       // of one pattern
}

type pattern struct {
	method   string // "" is any
	segments []segment
}

// A segment is the text between two slashes of a pattern.
type segment struct {
	kind    segmentKind
	name    string // of a literal
	escaped string // name, escaped for a URL
}

type segmentKind uint8

const (
	literal  segmentKind = iota
	wildcard             // {name}
	end                  // {$}
	rest                 // {name...}, or a slash at the end
)

// newPatterns parses patterns in the syntax of ServeMux. It ignores hosts.
func newPatterns(texts []string) (p patterns) {
	for _, text := range texts {
		before, path, found := strings.Cut(text, "/")
		if !found {
			continue // a pattern without a path matches nothing
		}
		var one pattern
		if i := strings.IndexAny(before, " \t"); i >= 0 { // otherwise before is a host
			one.method = before[:i]
		}
		for name := range strings.SplitSeq(path, "/") {
			one.segments = append(one.segments, newSegment(name))
		}
		p.list = append(p.list, one)
		p.maxSegments = max(p.maxSegments, len(one.segments))
	}
	slices.SortStableFunc(p.list, func(a, b pattern) int {
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
	return segment{kind: literal, name: text, escaped: url.PathEscape(text)}
}

// spell returns an escaped path in the spelling of the first pattern that it matches. Patterns
// with another method come last, because their route responds with 405.
func (p patterns) spell(method, path string) string {
	if len(path) > maxPath {
		return path
	}
	var buffer [16]part
	parts := split(buffer[:0], path, p.maxSegments)
	for _, withMethod := range [...]bool{true, false} {
		for _, one := range p.list {
			if one.serves(method) == withMethod && one.matches(parts) {
				return one.spell(parts, path)
			}
		}
	}
	return path
}

// A part is a segment of a path and the path after it, which is empty or begins with a slash.
type part struct{ name, after string }

// split appends the segments of a path that are not empty. It stops after n+1 segments, because
// a pattern of n segments does not match a longer path.
func split(parts []part, path string, n int) []part {
	for range n + 1 {
		var one part
		if one.name, one.after = cutSegment(path); one.name == "" {
			break
		}
		parts, path = append(parts, one), one.after
	}
	return parts
}

// serves reports whether a ServeMux would choose the pattern for a method.
func (p pattern) serves(method string) bool {
	return p.method == "" || p.method == method || p.method == http.MethodGet && method == http.MethodHead
}

func (p pattern) matches(parts []part) bool {
	for i, want := range p.segments {
		switch {
		case want.kind == end:
			return i == len(parts)
		case want.kind == rest:
			return true
		case i == len(parts), want.kind == literal && !sameName(parts[i].name, want.name):
			return false
		}
	}
	return len(parts) == len(p.segments)
}

// spell returns a path that matches the pattern, in the pattern's spelling.
func (p pattern) spell(parts []part, path string) string {
	var buffer [128]byte
	spelled := buffer[:0]
	for i, want := range p.segments {
		if want.kind == rest {
			return string(append(spelled, path...))
		}
		spelled = append(spelled, '/')
		switch want.kind {
		case literal:
			spelled = append(spelled, want.escaped...)
		case wildcard:
			spelled = append(spelled, parts[i].name...)
		}
		if want.kind != end {
			path = parts[i].after
		}
	}
	return string(spelled)
}

// cutSegment returns the first segment of a path that is not empty and the path after it, which
// is empty or begins with a slash.
func cutSegment(path string) (first, rest string) {
	path = strings.TrimLeft(path, "/")
	if i := strings.IndexByte(path, '/'); i >= 0 {
		return path[:i], path[i:]
	}
	return path, ""
}

// resolveDots resolves the segments "." and ".." of an escaped path as ServeMux does, which also
// removes empty segments. It returns a path without dot segments unchanged.
func resolveDots(path string) string {
	if !hasDots(path) {
		return path
	}
	resolved := make([]byte, 0, len(path))
	for after := path; after != ""; {
		var name string
		switch name, after = cutSegment(after); {
		case name == "" || sameName(name, "."):
		case sameName(name, ".."):
			resolved = resolved[:max(bytes.LastIndexByte(resolved, '/'), 0)]
		default:
			resolved = append(append(resolved, '/'), name...)
		}
	}
	if len(resolved) == 0 || strings.HasSuffix(path, "/") {
		resolved = append(resolved, '/')
	}
	return string(resolved)
}

func hasDots(path string) bool {
	for path != "" {
		var name string
		if name, path = cutSegment(path); sameName(name, ".") || sameName(name, "..") {
			return true
		}
	}
	return false
}

// sameName reports whether an escaped segment decodes to name, in any case.
func sameName(segment, name string) bool {
	for i := range len(name) {
		if segment == "" {
			return false
		}
		c, n := firstByte(segment)
		if lower(c) != lower(name[i]) {
			return false
		}
		segment = segment[n:]
	}
	return segment == ""
}
