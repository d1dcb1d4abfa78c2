package apikey

import (
	"slices"
	"strings"
)

// RedactURI returns a URI, or a part of one, in which REDACTED stands for every key: the
// values of our query parameters, and whatever looks like a key of the [Format]
// wherever it stands, also in a URI that is escaped within another one, up to four times
// over. It is for loggers that get the URL from elsewhere than a request that
// [Middleware.Conceal] has seen.
func (m *Middleware) RedactURI(uri string) string {
	t := escapedText{text: uri}
	found := m.appendKeys(nil, t)
	for n, more := 0, true; more && n < maxEscapes; n++ {
		if t, more = t.unescape(); more {
			found = m.appendKeys(found, t)
		}
	}
	if len(found) == 0 {
		return uri
	}
	slices.SortFunc(found, func(a, b piece) int { return a.from - b.from })
	var out strings.Builder
	done := 0 // how much of uri is in out, or stands behind a REDACTED
	for i, p := range found {
		if i == 0 || p.from > done { // else it goes on where another one ends, or before
			out.WriteString(uri[done:p.from])
			out.WriteString(redacted)
		}
		done = max(done, p.to)
	}
	out.WriteString(uri[done:])
	return out.String()
}

// maxEscapes bounds the work: each round of "%2525…25" takes away no more than two bytes.
const maxEscapes = 4

// A piece is a part of a URI, by the bytes from which and to which it reaches.
type piece struct{ from, to int }

// appendKeys appends where keys stand in a text, as pieces of what it was unescaped from.
func (m *Middleware) appendKeys(found []piece, t escapedText) []piece {
	const separators = "?&;#"
	s, length := t.text, m.format.length()
	for i := 0; i < len(s); i++ {
		if i == 0 || strings.IndexByte(separators, s[i-1]) >= 0 {
			n := strings.IndexAny(s[i:], "="+separators)
			if n >= 0 && s[i+n] == '=' && m.sources.escaped(s[i:i+n]) >= 0 {
				// Up to the next "&", whatever is between: too much rather
				// than too little.
				end := len(s)
				if amp := strings.IndexByte(s[i:], '&'); amp >= 0 {
					end = i + amp
				}
				found = append(found, t.piece(i+n+1, end))
				i = end
				continue
			}
		}
		if len(s)-i >= length && strings.HasPrefix(s[i:], m.format.prefix) && m.format.hasShape(s[i:i+length]) {
			found = append(found, t.piece(i, i+length))
			i += length - 1
		}
	}
	return found
}

// An escapedText is a text and where in its original each of its bytes stands. Nil is where
// the text is the original.
type escapedText struct {
	text string
	at   []int // one more than there are bytes
}

func (t escapedText) piece(from, to int) piece {
	if t.at == nil {
		return piece{from, to}
	}
	return piece{t.at[from], t.at[to]}
}

// unescape decodes each %XX of the text once, and reports whether there was one. What is no
// such escape stays as it is.
func (t escapedText) unescape() (escapedText, bool) {
	s := t.text
	if strings.IndexByte(s, '%') < 0 {
		return t, false
	}
	var decoded strings.Builder
	at := make([]int, 0, len(s)+1)
	any := false
	for i := 0; i < len(s); i++ {
		at = append(at, t.piece(i, i).from)
		if i+2 < len(s) && s[i] == '%' && isHex(s[i+1]) && isHex(s[i+2]) {
			decoded.WriteByte(unhex(s[i+1])<<4 | unhex(s[i+2]))
			i += 2
			any = true
		} else {
			decoded.WriteByte(s[i])
		}
	}
	return escapedText{decoded.String(), append(at, t.piece(len(s), len(s)).from)}, any
}

func isHex(c byte) bool {
	return '0' <= c && c <= '9' || 'a' <= lowerByte(c) && lowerByte(c) <= 'f'
}

// unhex returns the value of a digit for which isHex holds.
func unhex(c byte) byte {
	if c <= '9' {
		return c - '0'
	}
	return lowerByte(c) - 'a' + 10
}
