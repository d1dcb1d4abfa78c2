package emby

import (
	"iter"
	"net/url"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// tokenOf returns the key in the lines of a field, or "" if they contain no key.
//
// Servers parse this text in different ways; see readings. The request may be forwarded to any
// of them, so tokenOf returns ErrAmbiguous unless every parser finds the same key.
func tokenOf(lines []string) (key string, err error) {
	hasScheme := false
	for _, line := range lines {
		text, found, proper := cutScheme(line)
		hasScheme = hasScheme || found
		if !proper {
			continue
		}
		for name, value := range parameters(text) {
			switch token := tokenIn(name, value); {
			case token == "":
			case key == "":
				key = token
			case key != token:
				return "", apikey.ErrAmbiguous
			}
		}
	}
	if !hasScheme {
		return "", nil
	}
	agreed := key == ""
	agrees := func(line string) bool {
		text, _, _ := cutScheme(line)
		for reading, atCommas := range readings(text) {
			if reading != key {
				return false
			}
			agreed = agreed || atCommas
		}
		return true
	}
	for _, line := range lines {
		if !agrees(line) {
			return "", apikey.ErrAmbiguous
		}
	}
	if len(lines) > 1 && !agrees(strings.Join(lines, ",")) || !agreed {
		return "", apikey.ErrAmbiguous
	}
	return key, nil
}

// cutScheme returns the text after the scheme MediaBrowser or Emby, or the whole line if it
// contains neither.
//
// The result proper reports whether the scheme begins the line and a space follows it. Some parsers
// find the scheme elsewhere too, for example after the credentials of another scheme that a proxy
// joined to the line.
func cutScheme(line string) (text string, found, proper bool) {
	line = trim(line)
	for i := range len(line) {
		if i > 0 && line[i-1] != ',' && isVisible(line[i-1]) {
			continue
		}
		for _, scheme := range [...]string{"mediabrowser", "emby"} {
			end := i + len(scheme)
			switch {
			case len(line) < end || !equalFold(line[i:end], scheme):
			case len(line) == end:
				return "", true, i == 0
			case line[end] == ',' || !isVisible(line[end]):
				return line[end+1:], true, i == 0 && line[end] == ' '
			}
		}
	}
	return line, false, false
}

// tokenIn returns the value of a parameter named Token, or "" for another parameter.
func tokenIn(name, value string) string {
	if !equalFold(trim(name), "token") {
		return ""
	}
	return unescape(unquote(trim(value)))
}

// parameters yields the names and values of `Client="a, b", Token=K` without decoding them.
func parameters(text string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for text != "" {
			var parameter string
			parameter, text = cutParameter(text)
			// A key may end in equals signs (Base64), so the first one ends the name.
			name, value, found := strings.Cut(parameter, "=")
			if found && !yield(name, value) {
				return
			}
		}
	}
}

// cutParameter cuts text at the first comma outside quotes.
func cutParameter(text string) (parameter, rest string) {
	quoted := false
	for i := range len(text) { // bytes, because the text need not be UTF-8
		switch text[i] {
		case '"':
			quoted = !quoted
		case ',':
			if !quoted {
				return text[:i], text[i+1:]
			}
		}
	}
	return text, ""
}

// unquote returns a value without the quotes and spaces around it.
func unquote(value string) string {
	if inner, quoted := strings.CutPrefix(value, `"`); quoted {
		value = strings.TrimSuffix(inner, `"`)
	}
	return trim(value)
}

// unescape decodes a value, or returns it unchanged if one of its escapes is malformed.
func unescape(value string) string {
	if decoded, err := url.PathUnescape(value); err == nil {
		return trim(decoded)
	}
	return value
}

// trim removes the optional white space of RFC 9110 section 5.6.3.
func trim(s string) string { return strings.Trim(s, " \t") }

// isVisible reports whether c is a visible ASCII character (VCHAR in RFC 5234).
func isVisible(c byte) bool { return '!' <= c && c <= '~' }

// equalFold reports whether a and b are equal except for the case of ASCII letters. Unlike
// strings.EqualFold, it does not match the Kelvin sign with a k.
func equalFold(a, b string) bool {
	if len(a) != len(b) {
		return false
	}
	for i := range len(a) {
		if lower(a[i]) != lower(b[i]) {
			return false
		}
	}
	return true
}

func lower(c byte) byte {
	if 'A' <= c && c <= 'Z' {
		c += 'a' - 'A'
	}
	return c
}
