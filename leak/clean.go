package leak

import (
	"fmt"
	"net/url"
	"strings"
	"unicode"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

const (
	maxURL   = 2048 // bytes
	maxLabel = 200  // bytes

	redacted   = "REDACTED"
	maxEscapes = 4
)

// A cleaner prepares texts of a sender for a Report. A URL may contain the leaked key itself.
type cleaner struct{ shapes *apikey.Middleware }

func newCleaner(d *manage.Desk) (cleaner, error) {
	// A Middleware finds every text in the shape of a key, also in escaped parts.
	m, err := apikey.New(d.Issuer().Manager(), apikey.Options{Format: d.Issuer().Format()})
	if err != nil {
		return cleaner{}, fmt.Errorf("leak: %w", err)
	}
	return cleaner{m}, nil
}

// clean returns a text without the token, without other keys and without control characters. It
// shortens a text that is longer than most bytes.
func (c cleaner) clean(s string, token text, most int) string {
	s = strings.ReplaceAll(s, string(token), redacted)
	// An imported key has no shape, so an escaped one cannot be located.
	for unescaped, n := s, 0; n < maxEscapes; n++ {
		next, err := url.PathUnescape(unescaped)
		if err != nil || next == unescaped {
			break
		}
		if unescaped = next; strings.Contains(unescaped, string(token)) {
			return redacted
		}
	}
	s = c.shapes.RedactURI(s)
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") // after redacting, which needs whole keys
	}
	return s
}
