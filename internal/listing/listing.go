// Package listing is what lists of keys have in common in every store: how text is
// folded for search and sorting, and how a cursor is written and bound to its query.
package listing

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey-dev/apikey"
)

// Fold returns text without differences of case, by Unicode's simple folding. Stores
// fold in Go, since databases disagree.
func Fold(s string) string {
	return strings.Map(func(r rune) rune {
		// The least of all that fold to each other, but lower-case for ASCII, in which
		// the order of letters and "_" is then the usual one.
		least := r
		for f := unicode.SimpleFold(r); f != r; f = unicode.SimpleFold(f) {
			least = min(least, f)
		}
		if 'A' <= least && least <= 'Z' {
			least += 'a' - 'A'
		}
		return least
	}, s)
}

// A Position is where a page ended: the key with this sequence number, and what the list
// is sorted by.
type Position struct {
	Seq  int64
	Time int64  // for apikey.SortExpires
	Text string // for apikey.SortName
}

const version = 1

// maxCursor is more characters than the Cursor of any key has: a Name, which is at most
// 400 bytes, and 31 bytes before it, in base64.
const maxCursor = 1024

// Cursor writes a position in the list that validated options select.
func Cursor(o apikey.ListOptions, p Position) string {
	if o.Sort != apikey.SortName {
		p.Text = ""
	}
	if o.Sort != apikey.SortExpires {
		p.Time = 0
	}
	b := append([]byte{version}, queryOf(o)...)
	b = binary.AppendVarint(b, p.Seq)
	b = binary.AppendVarint(b, p.Time)
	b = binary.AppendUvarint(b, uint64(len(p.Text))) // or half a Cursor were another
	b = append(b, p.Text...)
	return base64.RawURLEncoding.EncodeToString(b)
}

// Parse reads the Cursor of validated options. ok is false where there is none, and the
// error wraps apikey.ErrInvalid if it is not one of this list's.
func Parse(o apikey.ListOptions) (p Position, ok bool, err error) {
	if o.Cursor == "" {
		return Position{}, false, nil
	}
	undecoded := fmt.Errorf("%w Cursor: it does not decode; want the Next of a page", apikey.ErrInvalid)
	if len(o.Cursor) > maxCursor {
		return Position{}, false, undecoded
	}
	query := queryOf(o)
	b, err := base64.RawURLEncoding.DecodeString(o.Cursor)
	if err != nil || len(b) < 1+len(query) || b[0] != version {
		return Position{}, false, undecoded
	}
	if string(b[1:1+len(query)]) != string(query) {
		return Position{}, false, fmt.Errorf("%w Cursor: it belongs to another Owner, Search, Status or Sort", apikey.ErrInvalid)
	}
	b = b[1+len(query):]
	for _, v := range []*int64{&p.Seq, &p.Time} {
		n := 0
		if *v, n = binary.Varint(b); n <= 0 {
			return Position{}, false, undecoded
		}
		b = b[n:]
	}
	length, n := binary.Uvarint(b)
	if n <= 0 || length != uint64(len(b)-n) {
		return Position{}, false, undecoded
	}
	p.Text = string(b[n:])
	// One position has one Cursor, so line breaks, which base64 skips, and numbers in
	// more bytes than they need are refused. So is text that no Name can be and that
	// databases answer with errors of their own.
	if Cursor(o, p) != o.Cursor || !utf8.ValidString(p.Text) || strings.IndexByte(p.Text, 0) >= 0 {
		return Position{}, false, undecoded
	}
	return p, true, nil
}

// queryOf tells one query from another. It is no protection: a cursor grants nothing.
func queryOf(o apikey.ListOptions) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{o.Owner, o.Search, o.Status, o.Sort}))
	return sum[:8]
}
