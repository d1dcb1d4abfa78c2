package emby

import (
	"iter"
	"net/url"
	"strings"

	"github.com/latchkey-dev/apikey"
)

// tokenOf returns the key in the lines of a field, "" if there is none, or ErrAmbiguous.
//
// Servers do not agree about quotes: some split at every comma, and some join the lines of
// a field before they read it. A text in which one of them would find another key than we
// do, or none, is ambiguous, since it may be sent on to one.
func tokenOf(lines []string) (key string, err error) {
	ours := false
	for _, line := range lines {
		text, ok := cutScheme(line)
		if !ok {
			continue
		}
		ours = true
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
	if !ours {
		return "", nil // a field for others
	}
	agreed := key == ""
	for _, line := range lines {
		text, _ := cutScheme(line)
		for name, value := range apparent(text) {
			switch token := tokenIn(name, value); token {
			case "":
			case key:
				agreed = true
			default:
				return "", apikey.ErrAmbiguous
			}
		}
	}
	if !agreed {
		return "", apikey.ErrAmbiguous
	}
	return key, nil
}

// cutScheme returns what follows the scheme in a line, or all of it, and false, if the
// scheme is not ours.
func cutScheme(line string) (text string, ours bool) {
	scheme, text, _ := strings.Cut(trim(line), " ")
	if equalFold(scheme, "mediabrowser") || equalFold(scheme, "emby") {
		return text, true
	}
	return line, false
}

// tokenIn returns the key in a parameter, "" if it has none.
func tokenIn(name, value string) string {
	if !equalFold(trim(name), "token") {
		return ""
	}
	return unescape(unquote(trim(value)))
}

// parameters yields the names and values of `Client="a, b", Token=K`, as they stand there.
func parameters(text string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for text != "" {
			var parameter string
			parameter, text = cutParameter(text)
			// At the first "=", since a key may end in some.
			name, value, found := strings.Cut(parameter, "=")
			if found && !yield(name, value) {
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

// apparent yields what a reader without regard to quotes may take for parameters: from any
// comma to the next, from any equals sign on. Values overlap, so they are not to be looked
// at one by one: tokenOf does so with those of tokens, and ends with the second in a row.
func apparent(text string) iter.Seq2[string, string] {
	return func(yield func(name, value string) bool) {
		for part := range strings.SplitSeq(text, ",") {
			name, value, found := strings.Cut(part, "=")
			for found {
				if !yield(name, value) {
					return
				}
				name, value, found = strings.Cut(value, "=")
			}
		}
	}
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
