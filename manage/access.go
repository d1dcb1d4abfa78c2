package manage

import (
	"errors"
	"fmt"
	"net/netip"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/latchkey-dev/apikey"
)

// The scopes of keys that manage keys; see [ByKey].
const (
	// ScopeManage lets a key with an owner manage the keys of that owner.
	ScopeManage = "apikeys:manage"
	// ScopeAdminister lets a key without an owner manage every key.
	ScopeAdminister = "apikeys:administer"
)

// MetadataDeclaredBy is the name in the Metadata of a key by which the command apikey apply finds the keys that a
// file has declared. Only a session with AllOwners sets, changes or removes its value. Otherwise the owner
// of a key could keep the key when the file no longer declares it.
const MetadataDeclaredBy = "declared_by"

// An Access says what the caller of a request may do. The zero Access is refused by [Desk.As].
type Access struct {
	// Actor names the caller in the audit trail: 1 to 200 characters without control
	// characters and invisible ones, as in the Name of a key. It is required.
	Actor string

	// Owner is the account whose keys the caller sees and manages, and no others. Set either Owner or
	// AllOwners.
	Owner string
	// AllOwners permits the caller to see and manage the keys of every owner, and keys without an owner.
	AllOwners bool

	// Scopes are the scopes that the caller may give to a key; nil means no scopes.
	Scopes []string
	// AnyScope permits every scope of the Issuer.
	AnyScope bool

	// Networks are the networks within which a key of this session must work. A new key without networks
	// gets these. Nil means that a key may work from everywhere.
	Networks []netip.Prefix
	// Limits are the limits of use that a key of this session must have. A new key without limits gets
	// these. Nil means that a key may have no limits.
	Limits []apikey.Limit

	// MaxLifetime is the longest time from now until a key expires; 0 means the Issuer's.
	MaxLifetime time.Duration
	// NotAfter is the latest time at which a key may expire, in addition to MaxLifetime; the zero time
	// means no such limit.
	NotAfter time.Time

	// MaxKeys is the most keys of the Owner that are neither revoked nor expired; 0 means no limit. A
	// rotation may exceed it by one until the old key expires.
	MaxKeys int

	// ReadOnly permits the caller to view keys and not to change them.
	ReadOnly bool

	// MayResume permits the session of an Owner to resume suspended keys. Without it, a key that an
	// administrator suspended stays suspended. So does a key that the owner suspended.
	MayResume bool
}

// ByKey returns the Access of a program by the scopes and the owner of its key.
//
//   - A key with [ScopeManage] and an owner manages the keys of that owner. It may give to a key the
//     scopes that it has itself, including ScopeManage.
//   - A key with [ScopeAdminister] and without an owner manages every key and may give every scope. A
//     session of an owner cannot make such a key, because each of its keys has that owner.
//   - For every other key, and for one that may not be used now, ByKey returns the zero Access, which
//     [Desk.As] refuses.
//
// A key that the program makes expires no later than the program's own key, works only within the
// networks of that key, and has its limits. Package limit counts the use of each key separately, unless
// limit.Options.By joins them. To let programs renew their own keys, set NotAfter to the zero time and
// MaxLifetime to a limit.
func ByKey(k apikey.Key) Access {
	if k.Check(time.Now()) != nil {
		return Access{}
	}
	k = k.Clone()
	access := Access{Actor: KeyActor(k), Networks: k.Networks, Limits: k.Limits, NotAfter: k.ExpiresAt}
	switch {
	case k.Owner != "" && k.HasScopes(ScopeManage):
		access.Owner, access.Scopes = k.Owner, k.Scopes
	case k.Owner == "" && k.HasScopes(ScopeAdminister):
		access.AllOwners, access.AnyScope = true, true
	default:
		return Access{}
	}
	return access
}

// KeyActor returns the name of a key as an actor, such as "API key Backup job (7Qd…)". It leaves out a
// name that an actor cannot have, such as a name with an invisible character from an earlier version.
func KeyActor(k apikey.Key) string {
	if actorProblem(k.Name) != "" {
		return fmt.Sprintf("API key (%s)", k.ID)
	}
	return fmt.Sprintf("API key %s (%s)", k.Name, k.ID)
}

// maxActor is the number of characters of an actor that every store keeps.
const maxActor = 200

// check returns an error that wraps [apikey.ErrInvalid] if an Access is nonsense.
func (a *Access) check() error {
	if problem := actorProblem(a.Actor); problem != "" {
		return invalid("Actor", "%s", problem)
	}
	switch {
	case a.Owner == "" && !a.AllOwners:
		return invalid("Owner, AllOwners", "neither is set; want one of them")
	case a.Owner != "" && a.AllOwners:
		return invalid("Owner, AllOwners", "both are set; want one of them")
	case a.AnyScope && a.Scopes != nil:
		return invalid("Scopes, AnyScope", "both are set; want one of them")
	case a.MaxKeys < 0:
		return invalid("MaxKeys", "%d: want 0 or more", a.MaxKeys)
	case a.MaxKeys > 0 && a.AllOwners:
		return invalid("MaxKeys", "set with AllOwners; want an Owner, whose keys it limits")
	case a.MaxLifetime < 0:
		return invalid("MaxLifetime", "%v: want 0 or more", a.MaxLifetime)
	}
	// A list can select the owner of a key of an earlier version, which no new key may have.
	if _, err := (apikey.ListOptions{Owner: a.Owner}).Validate(); err != nil {
		return fmt.Errorf("manage: %w", err)
	}
	for _, scope := range a.Scopes {
		if err := (&apikey.Key{ID: "-", Name: "-", Scopes: []string{scope}}).Validate(); err != nil {
			return fmt.Errorf("manage: %w", err)
		}
	}
	if err := (&apikey.Key{ID: "-", Name: "-", Networks: a.Networks, Limits: a.Limits}).Validate(); err != nil {
		return fmt.Errorf("manage: %w", err)
	}
	if err := (&apikey.Key{ID: "-", Name: "-", ExpiresAt: a.NotAfter}).Validate(); err != nil {
		return invalid("NotAfter", "%v: want a time between 1970 and 9999, or the zero time", a.NotAfter)
	}
	return nil
}

// actorProblem returns the rule that an actor breaks, or "". Two actors must not look the same in an audit
// trail. Package sqlstore also shortens long actors and replaces invalid characters.
func actorProblem(actor string) string {
	// The rules for text are those of a key.
	err := (&apikey.Key{ID: "-", Name: "-", Metadata: map[string]string{"actor": actor}}).Validate()
	wrong, invalid := errors.AsType[*apikey.InvalidError](err)
	switch {
	case utf8.RuneCountInString(actor) > maxActor:
		return fmt.Sprintf("%d characters; want at most %d", utf8.RuneCountInString(actor), maxActor)
	case invalid:
		return strings.TrimPrefix(wrong.Problem, `"actor": `)
	case strings.TrimSpace(actor) == "":
		return "empty; want the name of the caller"
	}
	return ""
}
