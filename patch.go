package apikey

import (
	"net/netip"
	"time"
)

// A Patch is a change of a key. A nil field keeps the value of the key, and the zero Patch changes
// nothing. The other fields of a Key cannot be changed.
type Patch struct {
	Name     *string
	Owner    *string
	Scopes   *[]string
	Networks *[]netip.Prefix // an empty slice permits every network
	Limits   *[]Limit        // an empty slice removes all limits
	Metadata *map[string]string
	// ExpiresAt sets the expiry. A pointer to the zero time means never.
	ExpiresAt *time.Time
	// Suspended suspends the key or resumes it. Suspending a suspended key keeps its SuspendedAt.
	// A revoked key stays revoked.
	Suspended *bool
}

// Apply returns a copy of key with the fields of the Patch, as of the time now. It returns an error that
// wraps [ErrInvalid] if a new value is out of its limits. It does not check the other fields, because
// a key of an earlier version may contain text that [Key.Validate] refuses today. Apply is for authors
// of stores.
func (p Patch) Apply(key Key, now time.Time) (Key, error) {
	fresh := Key{ID: "-", Name: "-"}
	p.set(&fresh, now)
	if err := fresh.Validate(); err != nil {
		return Key{}, err
	}
	p.set(&key, now)
	return key.Clone(), nil
}

// movedPrefix begins the Origin of a key that got another owner.
const movedPrefix = "moved_"

func (p Patch) set(key *Key, now time.Time) {
	if p.Name != nil {
		key.Name = *p.Name
	}
	if p.Scopes != nil {
		key.Scopes = *p.Scopes
	}
	if p.Metadata != nil {
		key.Metadata = *p.Metadata
	}
	if p.Owner != nil && *p.Owner != key.Owner {
		key.Owner = *p.Owner
		// Otherwise the key would share its limits with the other keys of its series, which keep the
		// earlier owner.
		key.Origin = movedPrefix + key.ID[max(0, len(key.ID)+len(movedPrefix)-maxID):]
	}
	if p.Networks != nil {
		key.Networks = *p.Networks
	}
	if p.Limits != nil {
		key.Limits = *p.Limits
	}
	if p.ExpiresAt != nil {
		key.ExpiresAt = *p.ExpiresAt
	}
	if p.Suspended != nil {
		switch {
		case !*p.Suspended:
			key.SuspendedAt = time.Time{}
		case key.SuspendedAt.IsZero():
			key.SuspendedAt = now
		}
	}
}
