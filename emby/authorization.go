package emby

import (
	"iter"
	"net/url"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// tokenOf returns the key in the lines of a field, "" if there is none, or ErrAmbiguous.
func tokenOf(lines []string) (key string, err error) {
	for _, line := range lines {
		scheme, text, _ := strings.Cut(trim(line), " ")
		if !equalFold(scheme, "mediabrowser") && !equalFold(scheme, "emby") {
			continue
		}
		for name, value := range parameters(text) {
			if !equalFold(name, "token") {
				continue
			}
			switch token := unescape(unquote(value)); {
			case token == "":
			case key == "":
				key = token
			case key != token:
				return "", apikey.ErrAmbiguous
			}
		}
	}
	return key, nil
}

// parameters yields the names and values of `Client="a, b", Token=K`, as they stand there
// but for blanks around them. Each byte is looked at a fixed number of times, whatever
// the text.
func parameters(text string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for text != "" {
			var parameter string
			parameter, text = cutParameter(text)
			// At the first "=", since a key may end in some.
			name, value, found := strings.Cut(parameter, "=")
			if found && !yield(trim(name), trim(value)) {
				return
			}
		}
	}
}

// cutParameter cuts text at the first comma that is not in quotes.
func cutParameter(text string) (parameter, rest string) {
	quoted := false
	for i := range len(text) { // bytes: not all of it need be UTF-8
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

// unquote returns a value without the quotes, and blanks, around it.
func unquote(value string) string {
	if inner, quoted := strings.CutPrefix(value, `"`); quoted {
		value = strings.TrimSuffix(inner, `"`)
	}
	return trim(value)
}

// unescape decodes a value, or returns it as it is if it was not encoded.
func unescape(value string) string {
	if decoded, err := url.PathUnescape(value); err == nil {
		return trim(decoded)
	}
	return value
}

// trim removes the optional white space of RFC 9110 section 5.6.3.
func trim(s string) string { return strings.Trim(s, " \t") }

// equalFold reports whether two texts differ at most in the case of ASCII letters.
// strings.EqualFold takes the Kelvin sign for a k.
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
