package sqlstore

import (
	"strconv"
	"strings"
	"sync"
)

// defaultPrefix begins the names of tables and indexes by default, and in the text of every
// statement in this package.
const defaultPrefix = "apikey_"

// maxPrefix keeps the longest index name within the 63 bytes that PostgreSQL permits.
const maxPrefix = 40

// A binder adapts the statements of this package to one Store: it inserts the Store's prefix and
// the database's syntax of placeholders.
type binder struct {
	prefix   string
	numbered bool     // placeholders are $1, $2 … instead of ?
	bound    sync.Map // from a statement in this package, of which there are few, to the adapted one
}

// bind returns a statement of this package as the Store's database executes it.
func (b *binder) bind(query string) string {
	if b.prefix == defaultPrefix && !b.numbered {
		return query
	}
	if bound, ok := b.bound.Load(query); ok {
		return bound.(string)
	}
	bound := strings.ReplaceAll(query, defaultPrefix, b.prefix)
	if b.numbered {
		bound = number(bound)
	}
	b.bound.Store(query, bound)
	return bound
}

// number replaces each ? by $1, $2 and so on.
func number(query string) string {
	var b strings.Builder
	for n := 1; ; n++ {
		before, after, found := strings.Cut(query, "?")
		b.WriteString(before)
		if !found {
			return b.String()
		}
		b.WriteString("$" + strconv.Itoa(n))
		query = after
	}
}

// isValidPrefix reports whether every database reads a prefix in the same way without quotes. Upper
// case is invalid, because only some databases fold it.
func isValidPrefix(prefix string) bool {
	for i, c := range []byte(prefix) {
		letter := 'a' <= c && c <= 'z'
		if !letter && (i == 0 || c != '_' && (c < '0' || c > '9')) {
			return false
		}
	}
	return prefix != "" && len(prefix) <= maxPrefix
}

// channelOf returns the name of the PostgreSQL notification channel for a prefix.
func channelOf(prefix string) string { return strings.TrimRight(prefix, "_") }
