package emby

import (
	"iter"
	"strconv"
	"strings"
)

// readings yields every value that a known parser may read as the token of text. The second value,
// atCommas, is true if a parser reads it by splitting at every comma.
//
// Parsers differ in where a parameter begins (after a comma, a comma outside quotes, the last
// equals sign, or a space) and where it ends. They also differ in how they remove quotes, spaces
// and escapes, and in the meaning of an empty value: Jellyfin, at least up to 10.11, reads the
// text after the next comma as the value.
//
// Values can overlap. The work is still linear if the caller stops at the first value that
// differs from the ones before it.
func readings(text string) iter.Seq2[string, bool] {
	return func(yield func(value string, atCommas bool) bool) {
		quoted := false
		for i := range len(text) {
			switch text[i] {
			case '"':
				quoted = !quoted
			case '=':
				if namesToken(text[:i], quoted) && !readValue(text[i+1:], quoted, yield) {
					return
				}
			}
		}
	}
}

// namesToken reports whether the text before an equals sign ends with the name Token, as some
// parser reads it.
func namesToken(before string, quoted bool) bool {
	before = trimInvisibleRight(before)
	n := len(before) - len("token")
	if n < 0 || !equalFold(before[n:], "token") {
		return false
	}
	before = before[:n]
	outer := trimInvisibleRight(before)
	if outer == "" {
		return true
	}
	last := outer[len(outer)-1]
	return last == ',' || last == '=' || !quoted && len(outer) < len(before)
}

// readValue yields the readings of the text after "Token=". It returns false if yield does.
func readValue(text string, quoted bool, yield func(string, bool) bool) bool {
	value, _, _ := strings.Cut(text, ",")
	if !decode(value, func(s string) bool { return yield(s, true) }) {
		return false
	}
	more := func(s string) bool { return yield(s, false) }
	if opened, ok := strings.CutPrefix(trimInvisibleLeft(text), `"`); ok {
		if inner, _, _ := strings.Cut(opened, `"`); !decode(inner, more) {
			return false
		}
	} else if end := strings.IndexAny(trim(value), " \t\""); end >= 0 && !decode(trim(value)[:end], more) {
		return false
	}
	if quoted {
		return true // a parser that respects quotes finds no parameter here
	}
	whole, after := cutParameter(text)
	if trimOuter(whole) == "" {
		return readAfterEmpty(after, more)
	}
	return len(whole) == len(value) || decode(whole, more)
}

// readAfterEmpty yields the text after an empty value, unless that text is a parameter itself.
func readAfterEmpty(text string, yield func(string) bool) bool {
	for text != "" {
		var value string
		value, text = cutParameter(text)
		if trimOuter(value) == "" {
			continue
		}
		if i := strings.IndexByte(value, '='); i >= 0 && strings.Count(value[:i], `"`)%2 == 0 {
			return true
		}
		// A key contains no space, unlike the credentials of a proxy in the next line.
		return decode(value, func(s string) bool { return hasSpace(s) || yield(s) })
	}
	return true
}

// decode yields the results of every known way to remove quotes and escapes from a value. It
// yields nothing for an empty value.
func decode(value string, yield func(string) bool) bool {
	once, all := unquote(trimInvisible(value)), trimOuter(value)
	switch {
	case once == "" && all == "":
		return true
	case once != all && !yield(once):
		return false
	case strings.IndexByte(all, '%') < 0 && strings.IndexByte(all, '+') < 0 && strings.IndexByte(all, '\\') < 0:
		return yield(all)
	}
	if !yield(unescape(all)) || !yield(unescapeEach(all)) || !yield(unescapeQuoted(all)) {
		return false
	}
	// Form encoding reads a plus sign as a space, and no key contains a space.
	form := unescapeEach(strings.ReplaceAll(all, "+", " "))
	return hasSpace(form) || yield(form)
}

// unescapeEach decodes the well-formed escapes of a value and keeps the malformed ones.
func unescapeEach(value string) string {
	decoded := make([]byte, 0, len(value))
	for value != "" {
		c, n := firstByte(value)
		decoded, value = append(decoded, c), value[n:]
	}
	return trim(string(decoded))
}

// firstByte returns the first byte of s, decoded if it is escaped, and its length in s.
func firstByte(s string) (c byte, n int) {
	if s[0] == '%' && len(s) >= 3 {
		if b, err := strconv.ParseUint(s[1:3], 16, 8); err == nil {
			return byte(b), 3
		}
	}
	return s[0], 1
}

// unescapeQuoted removes the backslashes of quoted-pairs (RFC 9110 section 5.6.4).
func unescapeQuoted(value string) string { return strings.ReplaceAll(unescape(value), `\`, "") }

func hasSpace(s string) bool { return strings.ContainsAny(s, " \t") }

// trimInvisible removes everything except visible ASCII from both ends of s. Parsers that trim
// Unicode white space also trim U+00A0 and U+0085, in UTF-8 or in Latin-1.
func trimInvisible(s string) string { return trimInvisibleRight(trimInvisibleLeft(s)) }

func trimInvisibleLeft(s string) string {
	for s != "" && !isVisible(s[0]) {
		s = s[1:]
	}
	return s
}

func trimInvisibleRight(s string) string {
	for s != "" && !isVisible(s[len(s)-1]) {
		s = s[:len(s)-1]
	}
	return s
}

// trimOuter removes quotes and everything except visible ASCII from both ends of s.
func trimOuter(s string) string {
	for s != "" && (s[0] == '"' || !isVisible(s[0])) {
		s = s[1:]
	}
	for s != "" && (s[len(s)-1] == '"' || !isVisible(s[len(s)-1])) {
		s = s[:len(s)-1]
	}
	return s
}
