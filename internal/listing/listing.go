// Package listing contains the parts of a key list that all stores share: case folding for search and
// sorting, and page cursors that are bound to their query.
package listing

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"fmt"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey-dev/apikey"
)

// Fold returns s without differences of case, by Unicode's simple case folding. Stores fold in Go,
// because databases fold differently.
func Fold(s string) string {
	if isASCII(s) {
		return strings.ToLower(s)
	}
	return strings.Map(func(r rune) rune {
		// The smallest rune stands for all runes that fold to each other. ASCII letters become
		// lower case, so that "_" sorts before letters as people expect.
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

func isASCII(s string) bool {
	for i := range len(s) {
		if s[i] >= utf8.RuneSelf {
			return false
		}
	}
	return true
}

// A Position identifies the last key of a page: its sequence number and its value in the sort order.
type Position struct {
	Seq  int64
	Time int64  // ExpiresAt in Unix microseconds, for apikey.SortExpires
	Text string // folded Name, for apikey.SortName
}

// version is the version of the encoding of cursors.
const version = 1

// maxCursor is longer than any valid Cursor: a Name of at most 400 bytes and 31 bytes before it, in
// base64.
const maxCursor = 1024

// Cursor encodes a position in the list that o selects. The options must be validated.
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
	b = binary.AppendUvarint(b, uint64(len(p.Text))) // otherwise a truncated Cursor would be valid
	b = append(b, p.Text...)
	return base64.RawURLEncoding.EncodeToString(b)
}

func invalidCursor(problem string) error {
	return fmt.Errorf("apikey: %w", &apikey.InvalidError{Field: "Cursor", Problem: problem})
}

// Parse decodes o.Cursor. The options must be validated. ok is false if o.Cursor is empty. The error
// wraps [apikey.ErrInvalid] if the cursor does not decode or belongs to another list.
func Parse(o apikey.ListOptions) (p Position, ok bool, err error) {
	if o.Cursor == "" {
		return Position{}, false, nil
	}
	undecoded := invalidCursor("it does not decode; want the Next of a page")
	if len(o.Cursor) > maxCursor {
		return Position{}, false, undecoded
	}
	query := queryOf(o)
	b, err := base64.RawURLEncoding.DecodeString(o.Cursor)
	if err != nil || len(b) < 1+len(query) || b[0] != version {
		return Position{}, false, undecoded
	}
	if string(b[1:1+len(query)]) != string(query) {
		return Position{}, false, invalidCursor("it belongs to another list")
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
	// Each position has exactly one Cursor. The comparison therefore refuses line breaks, which base64
	// skips, and numbers in more bytes than they need. Text that no Name can contain is refused,
	// because databases return errors of their own for it.
	if Cursor(o, p) != o.Cursor || !utf8.ValidString(p.Text) || strings.IndexByte(p.Text, 0) >= 0 {
		return Position{}, false, undecoded
	}
	return p, true, nil
}

// AuditCursor encodes the position of an entry in the audit trail that o selects. The options must be
// validated.
func AuditCursor(o apikey.AuditOptions, seq int64) string {
	return Cursor(auditList(o), Position{Seq: seq})
}

// ParseAudit is like [Parse], for the Cursor of an audit trail.
func ParseAudit(o apikey.AuditOptions) (p Position, ok bool, err error) {
	return Parse(auditList(o))
}

// auditList describes an audit trail as a list. No list of keys has the Status "audit", so the two
// kinds of cursors are never confused.
func auditList(o apikey.AuditOptions) apikey.ListOptions {
	return apikey.ListOptions{Owner: o.KeyID, Status: "audit", Sort: apikey.SortNewest, Cursor: o.Cursor}
}

func timeText(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.UTC().Format(time.RFC3339Nano)
}

// queryOf returns a hash that identifies the query. It needs no protection against forgery, because
// a cursor grants nothing.
func queryOf(o apikey.ListOptions) []byte {
	sum := sha256.Sum256(fmt.Appendf(nil, "%q", []string{
		o.Owner, o.Search, string(o.Status), string(o.Sort), o.Scope, timeText(o.ExpiresBefore), timeText(o.UnusedSince),
	}))
	return sum[:8]
}
