package apikey

import (
	"cmp"
	"maps"
	"net/netip"
	"slices"
	"time"
)

// The limits of a Key's fields, which [Key.Validate] checks.
const (
	maxID       = 64   // bytes
	maxText     = 100  // characters of a Name, an Owner or a Hint
	maxScope    = 100  // bytes of one scope
	maxScopes   = 100  // scopes of one key
	maxMetadata = 4096 // bytes of all names and values
)

// A Key is the identity of a caller. It contains neither the secret nor its digest, so it can be
// logged and shown. A zero time means never.
type Key struct {
	// ID identifies the key in public: 1 to 64 characters of A-Z, a-z, 0-9, "_" and "-".
	ID string
	// Name describes the program that has the key: 1 to 100 characters. Several keys may have the
	// same name.
	Name string
	// Owner is the account to which the key belongs, as the service defines it: up to 100
	// characters.
	Owner string
	// Scopes are the permissions of the key; see [Require]. At most 100, each of 1 to 100 visible
	// ASCII characters other than `"` and `\`, the scope-token of RFC 6749 section 3.3.
	Scopes []string
	// Metadata is for the service's own use: names and values of at most 4 KiB together, without
	// control characters.
	Metadata map[string]string
	// Networks are the networks from which the key may be used, at most 100. A key without networks
	// may be used from every address. Options.ClientAddr finds the address of a client.
	Networks []netip.Prefix
	// Limits restrict how many requests the key may make, at most 8. Package limit enforces them.
	Limits []Limit
	// Hint is a part of the secret by which people recognise the key, such as "ak_…x7Qd": up to 100
	// characters.
	Hint string
	// Replaces is the ID of the key from which this one was rotated, or "".
	Replaces string
	// Origin is the ID of the first key in a series of rotations, or "" if the key replaces no other.
	// Keys with the same Origin share their limits. A key that gets another owner leaves its series.
	// Its Origin is then "moved_" followed by its own ID, or by the last 58 characters of a longer ID.
	Origin string

	// CreatedAt is the time at which the key was issued or imported. An import may set an earlier
	// time.
	CreatedAt time.Time
	// ExpiresAt is the first moment at which the key is no longer valid.
	ExpiresAt time.Time
	// RevokedAt is the time of the first revocation. It is never cleared.
	RevokedAt time.Time
	// SuspendedAt is the time at which the key was suspended. The zero time means that it is not
	// suspended. A suspended key is refused until a [Patch] resumes it.
	SuspendedAt time.Time
	// LastUsedAt is the time of the last accepted use. Only Get and List of a [Toucher] set it. It
	// lags behind, because stores collect uses before they write them.
	LastUsedAt time.Time
	// LastUsedAddr is the address of the client of that use. It is the zero Addr if the address was not
	// recorded; see [Options].RecordAddress. Stores ignore it in a key that they create.
	LastUsedAddr netip.Addr
}

// HasScopes reports whether the key has all of the wanted scopes. It compares them exactly, without
// wildcards, hierarchies or case folding.
func (k *Key) HasScopes(want ...string) bool {
	for _, w := range want {
		if !slices.Contains(k.Scopes, w) {
			return false
		}
	}
	return true
}

// Check returns nil if the key may be used at the time now. Otherwise it returns the first of these
// that applies: [ErrRevoked] if RevokedAt is set, [ErrSuspended] if SuspendedAt is set, and
// [ErrExpired] from ExpiresAt on. Stores return revoked, suspended and expired keys unchecked.
func (k *Key) Check(now time.Time) error {
	if !k.RevokedAt.IsZero() {
		return ErrRevoked
	}
	if !k.SuspendedAt.IsZero() {
		return ErrSuspended
	}
	if !k.ExpiresAt.IsZero() && !now.Before(k.ExpiresAt) {
		return ErrExpired
	}
	return nil
}

// Clone returns a copy that shares no memory with k. The copy has the form in which stores keep a
// key. Its times are in UTC and truncated to the microsecond, its 4-in-6 networks are IPv4 networks,
// an empty Origin is Replaces, and empty Scopes, Networks, Limits and Metadata are nil.
func (k *Key) Clone() Key {
	c := *k
	c.Scopes = append([]string(nil), k.Scopes...)
	c.Networks = nil
	for _, n := range k.Networks {
		c.Networks = append(c.Networks, unmapped(n))
	}
	c.Origin = cmp.Or(k.Origin, k.Replaces)
	c.Limits = append([]Limit(nil), k.Limits...)
	c.Metadata = nil
	if len(k.Metadata) > 0 {
		c.Metadata = maps.Clone(k.Metadata)
	}
	for _, t := range c.times() {
		*t = t.UTC().Truncate(time.Microsecond)
	}
	return c
}

func (k *Key) times() [5]*time.Time {
	return [5]*time.Time{&k.CreatedAt, &k.ExpiresAt, &k.RevokedAt, &k.SuspendedAt, &k.LastUsedAt}
}

// Validate returns an error that wraps an [InvalidError] if a field is out of its limits. Every
// [KeyManager] calls it before it creates a key. Times must be zero or between 1970 and 9999.
//
// Text must be valid UTF-8 without control characters and line separators. It must also not contain
// invisible characters, because two different names could look the same. These are Unicode's
// Default_Ignorable_Code_Point and the format characters, some of which change the direction of
// writing.
//
// Validate permits invisible characters where they change how the text looks. These are joiners,
// variation selectors and tags in emoji, Persian and the scripts of India, and direction marks at
// the boundaries of right-to-left text.
func (k *Key) Validate() error {
	if !ValidID(k.ID) {
		return invalid("ID", "%s: want 1 to %d characters of A-Z, a-z, 0-9, _ and -", quote(k.ID), maxID)
	}
	if k.Replaces != "" && !ValidID(k.Replaces) {
		return invalid("Replaces", "%s: want the ID of a key, or the empty text", quote(k.Replaces))
	}
	if k.Origin != "" && !ValidID(k.Origin) {
		return invalid("Origin", "%s: want the ID of a key, or the empty text", quote(k.Origin))
	}
	if isBlank(k.Name) {
		return invalid("Name", "%s: want 1 to %d characters, not all blank", quote(k.Name), maxText)
	}
	for _, f := range [...]struct{ field, text string }{{"Name", k.Name}, {"Owner", k.Owner}, {"Hint", k.Hint}} {
		if problem := textProblem(f.text, maxText); problem != "" {
			return invalid(f.field, "%s: %s", quote(f.text), problem)
		}
	}
	if len(k.Scopes) > maxScopes {
		return invalid("Scopes", "%d scopes; want at most %d", len(k.Scopes), maxScopes)
	}
	for _, s := range k.Scopes {
		if err := checkScope("Scopes", s); err != nil {
			return err
		}
	}
	if problem := networksProblem(k.Networks); problem != "" {
		return invalid("Networks", "%s", problem)
	}
	if problem := limitsProblem(k.Limits); problem != "" {
		return invalid("Limits", "%s", problem)
	}
	if err := validateMetadata(k.Metadata); err != nil {
		return err
	}
	for i, t := range k.times() {
		if err := checkTime([...]string{"CreatedAt", "ExpiresAt", "RevokedAt", "SuspendedAt", "LastUsedAt"}[i], *t); err != nil {
			return err
		}
	}
	return nil
}

func validateMetadata(metadata map[string]string) error {
	size := 0
	for name, value := range metadata {
		size += len(name) + len(value)
		if name == "" {
			return invalid("Metadata", "a name is empty")
		}
		for _, text := range [...]string{name, value} {
			if problem := textProblem(text, maxMetadata); problem != "" {
				return invalid("Metadata", "%s: %s", quote(name), problem)
			}
		}
	}
	if size > maxMetadata {
		return invalid("Metadata", "%d bytes; want at most %d", size, maxMetadata)
	}
	return nil
}

// ValidID reports whether s can be the ID of a key: 1 to 64 characters of A-Z, a-z, 0-9, "_" and
// "-". It is for authors of stores.
func ValidID(s string) bool {
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

func checkScope(field, scope string) error {
	if !validScope(scope) {
		return invalid(field, "%s: want 1 to %d visible ASCII characters other than \" and \\", quote(scope), maxScope)
	}
	return nil
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

func checkTime(field string, t time.Time) error {
	if !validTime(t) {
		return invalid(field, "%v: want a time between 1970 and 9999, or the zero time", t)
	}
	return nil
}

// validTime reports whether stores can represent t, as microseconds since 1970 with 0 for never.
func validTime(t time.Time) bool {
	return t.IsZero() || t.UnixMicro() > 0 && t.UTC().Year() <= 9999
}
