package leak

import (
	"fmt"
	"net/url"
	"slices"
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

// A cleaner removes keys from the texts of a sender, before they go into a Report. The URL of a place may
// contain the leaked key itself.
type cleaner struct{ shapes *apikey.Middleware }

func newCleaner(d *manage.Desk) (cleaner, error) {
	// A Middleware finds every text in the shape of a key, also in escaped parts.
	m, err := apikey.New(d.Issuer().Manager(), apikey.Options{Format: d.Issuer().Format()})
	if err != nil {
		return cleaner{}, fmt.Errorf("leak: %w", err)
	}
	return cleaner{m}, nil
}

// A cleaning prepares the texts of one request.
type cleaning struct {
	cleaner
	keys *strings.Replacer // redacts the reported keys
}

// of returns the cleaning of a request, whose texts contain none of the reported keys.
func (c cleaner) of(verdicts map[text]verdict) cleaning {
	var keys []string
	for token, v := range verdicts {
		if v.ours {
			keys = append(keys, string(token))
		}
	}
	// A key that begins with another one comes first, because the rest of it would remain otherwise.
	slices.SortFunc(keys, func(a, b string) int { return len(b) - len(a) })
	pairs := make([]string, 0, 2*len(keys))
	for _, key := range keys {
		pairs = append(pairs, key, redacted)
	}
	return cleaning{c, strings.NewReplacer(pairs...)}
}

// clean returns a text without the token, without other keys and without control characters. It
// shortens a text that is longer than most bytes.
func (c cleaning) clean(s string, token text, most int) string {
	// First, because a key could stand around such a character.
	s = strings.Map(func(r rune) rune {
		if unicode.IsControl(r) || r == unicode.ReplacementChar {
			return -1
		}
		return r
	}, strings.ToValidUTF8(s, ""))
	s = c.without(s, token)
	// An imported key has no shape, so an escaped one cannot be located.
	for unescaped, n := s, 0; ; n++ {
		next := unescape(unescaped)
		if next == unescaped {
			break
		}
		if unescaped = next; n == maxEscapes || c.without(unescaped, token) != unescaped {
			return redacted
		}
	}
	s = c.shapes.RedactURI(s)
	if len(s) > most {
		s = strings.ToValidUTF8(s[:most], "") // after redaction, which finds only whole keys
	}
	return s
}

// without redacts the token and the reported keys.
func (c cleaning) without(s string, token text) string {
	return c.keys.Replace(strings.ReplaceAll(s, string(token), redacted))
}

// unescape decodes the percent escapes of a text, and keeps malformed ones.
func unescape(s string) string {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		if s[i] == '%' && i+2 < len(s) {
			if decoded, err := url.PathUnescape(s[i : i+3]); err == nil {
				b.WriteString(decoded)
				i += 2
				continue
			}
		}
		b.WriteByte(s[i])
	}
	return b.String()
}
