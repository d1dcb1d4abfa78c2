package apikey

import (
	"slices"
	"strings"
)

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
