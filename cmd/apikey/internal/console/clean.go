// Package console writes tables, progress and questions for people at a terminal. No text that it prints
// can move the cursor, change colours or reorder the line.
package console

import (
	"strings"
	"unicode"
)

// Clean returns a text of one line for a terminal. It replaces control characters, line separators, invalid
// UTF-8 and invisible format characters by U+FFFD. Joiners, direction marks and the tag characters of flag emoji
// stay, because names may need them.
func Clean(s string) string { return strings.Map(clean, s) }

// CleanLines is like [Clean], but keeps line feeds, and turns tabs into spaces.
func CleanLines(s string) string {
	return strings.Map(func(r rune) rune {
		switch r {
		case '\n':
			return r
		case '\t':
			return ' '
		}
		return clean(r)
	}, s)
}

func clean(r rune) rune {
	switch {
	case r == 0x200C || r == 0x200D || r == 0x200E || r == 0x200F || r == 0x061C, 0xE0020 <= r && r <= 0xE007F:
		return r
	case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Zl, unicode.Zp):
		return unicode.ReplacementChar
	}
	return r
}
