// Package takeover imports the keys of other systems.
package takeover

import (
	"crypto/sha256"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/rehash"
)

// maxRows bounds the memory that an import takes. A row takes about one kilobyte.
const maxRows = 250_000

// A row is one key of a source.
type row struct {
	id  string // identifies the key in the source
	key apikey.ImportedKey
	// pending is the hash of a key whose SHA-256 is unknown until its first use, or nil.
	pending *rehash.Row
	// scopes are the scopes of the source, before the mapping.
	scopes []string
	notes  []string
	// problem says why the key cannot be imported; "" if it can.
	problem string
}

// matches reports whether a key of the source is the key of this row.
func (r *row) matches(secret apikey.Secret, scheme rehash.Scheme) bool {
	switch {
	case r.problem != "":
		return false
	case r.pending != nil:
		return r.pending.Matches(scheme, secret)
	}
	presented := sha256.Sum256([]byte(secret.Reveal()))
	if r.key.SHA256 != [sha256.Size]byte{} {
		return presented == r.key.SHA256
	}
	return r.key.Secret.Reveal() != "" && presented == sha256.Sum256([]byte(r.key.Secret.Reveal()))
}

func (r *row) note(text string) { r.notes = append(r.notes, text) }

// A mapping sets the fields that the operator chooses for all keys.
type mapping struct {
	system string
	owner  string            // for keys without an owner
	scopes []string          // instead of the scopes of the source; nil maps them
	rename map[string]string // from scopes of the source; others are dropped
	keep   bool              // keep the scopes of the source if rename is empty
}

const maxName = 100 // characters

// apply sets the name, owner, scopes and metadata of a row. It moves times in the future to now.
func (m *mapping) apply(r *row, now time.Time) {
	k := &r.key
	k.Name = strings.TrimSpace(k.Name)
	if k.Name == "" {
		k.Name = "Key " + r.id
	}
	if utf8.RuneCountInString(k.Name) > maxName {
		k.Name = string([]rune(k.Name)[:maxName-1]) + "…"
		r.note("name shortened")
	}
	if k.Owner == "" {
		k.Owner = m.owner
	}
	m.mapScopes(r)
	k.Metadata = map[string]string{"source": m.system, "source_id": r.id}
	for _, t := range []*time.Time{&k.CreatedAt, &k.LastUsedAt, &k.RevokedAt, &k.SuspendedAt} {
		if t.After(now) { // the clock of the source was ahead
			*t = now
		}
	}
}

func (m *mapping) mapScopes(r *row) {
	switch {
	case m.scopes != nil:
		r.key.Scopes = m.scopes
		return
	case m.keep && len(m.rename) == 0:
		r.key.Scopes = r.scopes
		return
	}
	var dropped []string
	for _, old := range r.scopes {
		switch scope, ok := m.rename[old]; {
		case !ok:
			dropped = append(dropped, old)
		case !slices.Contains(r.key.Scopes, scope):
			r.key.Scopes = append(r.key.Scopes, scope)
		}
	}
	if len(dropped) > 0 {
		r.note("scopes dropped: " + strings.Join(dropped, " "))
	}
}
