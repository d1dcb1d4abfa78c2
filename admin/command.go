package admin

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

const (
	defaultExample = "curl -H 'X-API-Key: KEY' https://your-service.example/"
	keyInExample   = "KEY"
)

// An example is a command that uses a key, cut up where the key goes.
type example []string

// parseExample cuts a command at each KEY that is a word of its own, unlike that of X-API-KEY.
func parseExample(command string) (e example) {
	from, at := 0, 0
	for {
		i := strings.Index(command[at:], keyInExample)
		if i < 0 {
			return append(e, command[from:])
		}
		i, at = at+i, at+i+len(keyInExample)
		before, _ := utf8.DecodeLastRuneInString(command[:i])
		after, _ := utf8.DecodeRuneInString(command[at:])
		if !inWord(before) && !inWord(after) {
			e = append(e, command[from:i])
			from = at
		}
	}
}

func inWord(r rune) bool { return r == '-' || r == '_' || unicode.IsLetter(r) || unicode.IsDigit(r) }

// with returns the command with a key in it.
func (e example) with(key string) string { return strings.Join(e, key) }
