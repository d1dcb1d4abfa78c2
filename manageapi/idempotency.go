package manageapi

import (
	"net/http"
	"strings"
)

const maxRequestID = 100

// requestID returns the Idempotency-Key of a request, or "". The value is a string of RFC 9651 section
// 3.3.3, as draft-ietf-httpapi-idempotency-key-header says, or a text without quotes.
func requestID(r *http.Request) (string, error) {
	lines, ok := r.Header["Idempotency-Key"]
	if !ok {
		return "", nil
	}
	if len(lines) == 1 {
		if id, ok := parseRequestID(strings.TrimSpace(lines[0])); ok {
			return id, nil
		}
	}
	return "", malformed("The Idempotency-Key must be one string of 1 to 100 visible ASCII characters.").about("Idempotency-Key")
}

func parseRequestID(value string) (id string, ok bool) {
	if text, quoted := strings.CutPrefix(value, `"`); quoted {
		if value, ok = unquote(text); !ok {
			return "", false
		}
	} else if strings.ContainsAny(value, `",;\`) {
		return "", false
	}
	for _, c := range []byte(value) {
		if c <= ' ' || c > '~' {
			return "", false
		}
	}
	return value, 1 <= len(value) && len(value) <= maxRequestID
}

// unquote returns the text of a quoted string after its first quote. The string must end at its
// second quote.
func unquote(s string) (string, bool) {
	var b strings.Builder
	for i := 0; i < len(s); i++ {
		switch s[i] {
		case '"':
			return b.String(), i == len(s)-1
		case '\\':
			i++
			if i == len(s) || s[i] != '"' && s[i] != '\\' {
				return "", false
			}
		}
		b.WriteByte(s[i])
	}
	return "", false
}
