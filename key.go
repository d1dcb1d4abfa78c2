package apikey

import (
	"fmt"
	"maps"
	"slices"
	"time"
	"unicode"
	"unicode/utf8"
)

// The limits of a Key's fields, as [Key.Validate] holds them.
const (
	maxID       = 64   // bytes
	maxText     = 100  // characters of a Name, an Owner or a Hint
	maxScope    = 100  // bytes of one scope
	maxScopes   = 100  // scopes of one key
	maxMetadata = 4096 // bytes of all names and values
)

// A Key tells who a caller is. It holds neither the secret nor its digest, so it
// can be logged and shown. A zero time means never.
type Key struct {
	// ID names the key in public: 1 to 64 of A-Z, a-z, 0-9, "_" and "-".
	ID string
	// Name tells people which system has the key: 1 to 100 characters. Two keys
	// may have the same name.
	Name string
	// Owner is whoever the host says the key belongs to, up to 100 characters.
	// It never changes.
	Owner string
	// Scopes are what the key may do, compared exactly; see [Require]. Each is
	// 1 to 100 visible ASCII characters other than `"` and `\`, the scope-token
	// of RFC 6749 section 3.3. At most 100.
	Scopes []string
	// Metadata is the host's own, at most 4 KiB of names and values, without control
	// characters.
	Metadata map[string]string
	// Hint is enough of the key to recognise it by, such as "ak_…x7Qd".
	Hint string
	// Replaces is the ID of the key that this one was rotated from, if any.
	Replaces string

	// CreatedAt is when the key was made or imported.
	CreatedAt time.Time
	// ExpiresAt is the first moment at which the key is no longer valid.
	ExpiresAt time.Time
	// RevokedAt is when the key was first revoked. It is never cleared.
	RevokedAt time.Time
	// LastUsedAt is filled by Get and List of stores that are Touchers. It lags
	// behind by as long as the store collects uses before it writes them.
	LastUsedAt time.Time
}

// HasScopes reports whether the key has every one of the wanted scopes. Scopes
// are opaque: no wildcard, no hierarchy, no folding of case.
func (k *Key) HasScopes(want ...string) bool {
	for _, w := range want {
		if !slices.Contains(k.Scopes, w) {
			return false
		}
	}
	return true
}

// Check returns nil if the key may be used at that time, [ErrRevoked] if it was
// revoked at any time, else [ErrExpired] from ExpiresAt on. It is the only judge
// of a key: stores return revoked and expired keys as they are.
func (k *Key) Check(now time.Time) error {
	if !k.RevokedAt.IsZero() {
		return ErrRevoked
	}
	if !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return ErrExpired
	}
	return nil
}

// Clone returns a copy that shares no memory with k, in the form in which stores
// keep a key: times in UTC and truncated to the microsecond, Scopes and Metadata
// nil when they are empty.
func (k *Key) Clone() Key {
	c := *k
	c.Scopes = append([]string(nil), k.Scopes...)
	c.Metadata = nil
	if len(k.Metadata) > 0 {
		c.Metadata = maps.Clone(k.Metadata)
	}
	for _, t := range c.times() {
		*t = t.UTC().Truncate(time.Microsecond)
	}
	return c
}

func (k *Key) times() [4]*time.Time {
	return [4]*time.Time{&k.CreatedAt, &k.ExpiresAt, &k.RevokedAt, &k.LastUsedAt}
}

// Validate returns nil, or an error that wraps [ErrInvalid] and names the field
// that is out of its limits. Text must be valid UTF-8 without control characters,
// line separators, characters that cannot be seen and such as turn the direction of
// writing, by which one name could be made to look like another. Times lie between 1970 and 9999. Every
// KeyManager calls it before it writes.
func (k *Key) Validate() error {
	if !validID(k.ID) {
		return invalid("ID %s: want 1 to %d of A-Z, a-z, 0-9, _ and -", quote(k.ID), maxID)
	}
	if k.Replaces != "" && !validID(k.Replaces) {
		return invalid("Replaces %s: want an ID or nothing", quote(k.Replaces))
	}
	if isBlank(k.Name) {
		return invalid("Name %s: want 1 to %d characters, not all blank", quote(k.Name), maxText)
	}
	for _, f := range [...]struct{ field, text string }{{"Name", k.Name}, {"Owner", k.Owner}, {"Hint", k.Hint}} {
		if problem := textProblem(f.text, maxText); problem != "" {
			return invalid("%s %s: %s", f.field, quote(f.text), problem)
		}
	}
	if len(k.Scopes) > maxScopes {
		return invalid("Scopes: %d of them; at most %d", len(k.Scopes), maxScopes)
	}
	for _, s := range k.Scopes {
		if !validScope(s) {
			return invalid("Scopes: %s: want 1 to %d visible ASCII characters other than \" and \\", quote(s), maxScope)
		}
	}
	if err := validateMetadata(k.Metadata); err != nil {
		return err
	}
	for i, t := range k.times() {
		if !validTime(*t) {
			return invalid("%s %v: want a time between 1970 and 9999, or the zero time",
				[...]string{"CreatedAt", "ExpiresAt", "RevokedAt", "LastUsedAt"}[i], *t)
		}
	}
	return nil
}

func validateMetadata(metadata map[string]string) error {
	size := 0
	for name, value := range metadata {
		size += len(name) + len(value)
		if name == "" {
			return invalid("Metadata: a name is empty")
		}
		for _, text := range [...]string{name, value} {
			if problem := textProblem(text, maxMetadata); problem != "" {
				return invalid("Metadata %s: %s", quote(name), problem)
			}
		}
	}
	if size > maxMetadata {
		return invalid("Metadata: %d bytes; at most %d", size, maxMetadata)
	}
	return nil
}

func validID(s string) bool {
	if len(s) == 0 || len(s) > maxID {
		return false
	}
	for i := range len(s) {
		if base62[s[i]] == notBase62 && s[i] != '_' && s[i] != '-' {
			return false
		}
	}
	return true
}

func validScope(s string) bool {
	if len(s) > maxScope {
		return false
	}
	for i := range len(s) {
		if !isVisible(s[i]) || s[i] == '"' || s[i] == '\\' {
			return false
		}
	}
	return s != ""
}

// validTime reports whether stores can hold t, which they do as microseconds
// since 1970 with 0 for never.
func validTime(t time.Time) bool {
	return t.IsZero() || t.UnixMicro() > 0 && t.UTC().Year() <= 9999
}

// textProblem tells what is wrong with a text of people, or "".
func textProblem(s string, most int) string {
	// The length first, so that a text of megabytes costs nothing.
	if len(s) > most*utf8.UTFMax || utf8.RuneCountInString(s) > most {
		return fmt.Sprintf("more than %d characters", most)
	}
	if !utf8.ValidString(s) {
		return "not valid UTF-8"
	}
	for _, r := range s {
		if unicode.In(r, unicode.Cc, unicode.Zl, unicode.Zp, bidiControls, invisible) {
			return fmt.Sprintf("holds the control character or invisible character %U", r)
		}
	}
	return ""
}

// bidiControls are the embeddings, overrides and isolates of Unicode's
// bidirectional algorithm (UAX #9, section 2), which reorder the text around them.
// The marks (U+200E, U+200F, U+061C) do not, and ordinary names hold them.
var bidiControls = &unicode.RangeTable{R16: []unicode.Range16{{Lo: 0x202A, Hi: 0x202E, Stride: 1}, {Lo: 0x2066, Hi: 0x2069, Stride: 1}}}

// invisible are characters that have no width or no ink, but for the joiners
// (U+200C, U+200D), without which Persian, Hindi and emoji cannot be written, and for the
// marks of direction.
var invisible = &unicode.RangeTable{
	R16: []unicode.Range16{
		{Lo: 0x00AD, Hi: 0x00AD, Stride: 1}, {Lo: 0x115F, Hi: 0x1160, Stride: 1}, {Lo: 0x180E, Hi: 0x180E, Stride: 1},
		{Lo: 0x200B, Hi: 0x200B, Stride: 1}, {Lo: 0x2060, Hi: 0x2064, Stride: 1}, {Lo: 0x206A, Hi: 0x206F, Stride: 1},
		{Lo: 0x3164, Hi: 0x3164, Stride: 1}, {Lo: 0xFEFF, Hi: 0xFEFF, Stride: 1}, {Lo: 0xFFA0, Hi: 0xFFA0, Stride: 1},
		{Lo: 0xFFF9, Hi: 0xFFFB, Stride: 1},
	},
	R32:         []unicode.Range32{{Lo: 0x1BCA0, Hi: 0x1BCA3, Stride: 1}, {Lo: 0x1D173, Hi: 0x1D17A, Stride: 1}, {Lo: 0xE0000, Hi: 0xE007F, Stride: 1}},
	LatinOffset: 1,
}

// isBlank reports whether nothing of s can be seen: a space, a braille pattern without
// dots, a joiner with nothing to join.
func isBlank(s string) bool {
	for _, r := range s {
		if !unicode.IsSpace(r) && !unicode.Is(unicode.Cf, r) && r != 0x2800 {
			return false
		}
	}
	return true
}

// isVisible reports whether c is a visible ASCII character, VCHAR of RFC 5234.
func isVisible(c byte) bool { return c > ' ' && c < 0x7F }

func invalid(format string, args ...any) error {
	return fmt.Errorf("%w "+format, append([]any{ErrInvalid}, args...)...)
}

// quote shows a value in an error, cut short where it is long.
func quote(s string) string {
	const most = 40
	if len(s) > most {
		return fmt.Sprintf("%q (%d bytes)", s[:most], len(s))
	}
	return fmt.Sprintf("%q", s)
}
