package cli

import (
	"errors"
	"strings"
	"unicode"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
	"github.com/latchkey-dev/apikey/manage"
)

// message returns the text of an error for the user, which is the same for a database and for a server. It names
// fields as in JSON and omits the names of packages.
func message(err error) string {
	if ExitStatus(err) == ExitInterrupted {
		return "interrupted"
	}
	text := err.Error()
	if refused, ok := errors.AsType[*manage.RefusedError](err); ok {
		text = strings.Replace(text, refused.Error(), about(refused.Field, refused.Problem), 1)
	}
	if invalid, ok := errors.AsType[*apikey.InvalidError](err); ok {
		text = strings.Replace(text, invalid.Error(), about(invalid.Field, invalid.Problem), 1)
	}
	for _, name := range []string{"remote: ", "sqlstore: ", "manage: ", "admin: ", "apikey: "} {
		text = strings.ReplaceAll(strings.TrimPrefix(text, name), ": "+name, ": ")
	}
	if database.LacksTables(err) {
		text += "; create the tables with apikey migrate"
	}
	return text
}

func about(field, problem string) string {
	if field == "" {
		return problem
	}
	return member(field) + ": " + problem
}

// member returns the name in JSON of a field in Go, such as expires_at for ExpiresAt.
func member(field string) string {
	var b strings.Builder
	lower := false
	for _, r := range field {
		if unicode.IsUpper(r) && lower {
			b.WriteByte('_')
		}
		lower = unicode.IsLower(r)
		b.WriteRune(unicode.ToLower(r))
	}
	return b.String()
}
