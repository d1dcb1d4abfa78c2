package sqlstore

import (
	"encoding/hex"
	"fmt"
	"strconv"
	"strings"
)

// interpolate writes arguments into a statement for MySQL, as numbers and hexadecimal literals.
// Regardless of its contents and of the settings of the session, no argument can end its literal.
func interpolate(query string, args []any) string {
	var b strings.Builder
	for _, arg := range args {
		before, after, _ := strings.Cut(query, "?")
		b.WriteString(before)
		switch arg := arg.(type) {
		case int:
			b.WriteString(strconv.Itoa(arg))
		case int64:
			b.WriteString(strconv.FormatInt(arg, 10))
		case string:
			b.WriteString("_utf8mb4 X'" + hex.EncodeToString([]byte(arg)) + "'")
		case []byte:
			b.WriteString("X'" + hex.EncodeToString(arg) + "'")
		default:
			panic(fmt.Sprintf("sqlstore: statement argument of type %T", arg)) // a bug in this package
		}
		query = after
	}
	return b.String() + query
}
