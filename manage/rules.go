package manage

import (
	"context"
	"errors"
	"fmt"
	"net/netip"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// condition returns the Condition of a change of a key that the session sees. The store checks it in
// the transaction of the change.
func (s *Session) condition(check func(apikey.Key) error, maxKeys int) apikey.Condition {
	return apikey.Condition{MaxKeys: maxKeys, Check: func(key apikey.Key) error {
		if !s.sees(key) {
			return apikey.ErrNotFound
		}
		return check(key)
	}}
}

func (s *Session) sees(k apikey.Key) bool {
	return s.access.AllOwners || k.Owner == s.access.Owner && k.Owner != ""
}

func (s *Session) mayWrite() error {
	if s.access.ReadOnly {
		return &RefusedError{RuleReadOnly, "", "You can only view keys."}
	}
	return nil
}

// mayGive returns a RefusedError if the session may not give one of the scopes to a key.
func (s *Session) mayGive(scopes []string) error {
	if s.access.AnyScope {
		return nil
	}
	for _, scope := range scopes {
		if !slices.Contains(s.access.Scopes, scope) {
			return &RefusedError{RuleScopes, "Scopes", fmt.Sprintf("You cannot give the scope %q.", scope)}
		}
	}
	return nil
}

// checkRestrictions returns a RefusedError if a key with these networks and limits is less restricted than the
// Access.
func (s *Session) checkRestrictions(networks []netip.Prefix, limits []apikey.Limit) error {
	if !contains(s.access.Networks, networks) {
		return &RefusedError{RuleNetworks, "Networks", fmt.Sprintf("The key must be restricted to %s.", listOf(s.access.Networks))}
	}
	for _, l := range s.access.Limits {
		if !slices.Contains(limits, l) {
			return &RefusedError{RuleLimits, "Limits", fmt.Sprintf("The key must have the limit %v.", l)}
		}
	}
	return nil
}

// mayMark returns a RefusedError if the session may not make this change of the metadata of a key.
func (s *Session) mayMark(before, after map[string]string) error {
	if s.access.AllOwners || before[MetadataDeclaredBy] == after[MetadataDeclaredBy] {
		return nil
	}
	return &RefusedError{RuleMetadata, "Metadata", fmt.Sprintf("You cannot change the name %q in the metadata of a key.", MetadataDeclaredBy)}
}

// listOf returns networks as text.
func listOf(networks []netip.Prefix) string {
	words := make([]string, len(networks))
	for i, n := range networks {
		words[i] = n.String()
	}
	return strings.Join(words, ", ")
}

// notAfter returns the latest expiry that the Access permits for a key that is made now; the zero time
// means that it permits every expiry. The Issuer may permit less.
func (s *Session) notAfter(now time.Time) time.Time {
	at := s.access.NotAfter
	if s.access.MaxLifetime > 0 {
		at = earlier(at, now.Add(s.access.MaxLifetime))
	}
	return at
}

// latest is notAfter with the limit of the Issuer.
func (s *Session) latest(now time.Time) time.Time {
	at := s.notAfter(now)
	if limit := s.desk.issuer.MaxLifetime(); limit > 0 {
		at = earlier(at, now.Add(limit))
	}
	return at
}

// mayExpire returns a RefusedError if a key may not live until expiresAt.
func mayExpire(expiresAt, latest time.Time, field string) error {
	if !isLater(expiresAt, latest) {
		return nil
	}
	return &RefusedError{RuleLifetime, field, fmt.Sprintf("The key must expire by %s.", latest.UTC().Format("2006-01-02 15:04 MST"))}
}

// mayPatch returns an error if the session may not make this change of a key that it sees.
//
// The change may keep or take away rights that the key has, and add scopes of the Access. If it adds a
// scope, prolongs the key, permits more networks or moves the key to another owner, the Access must
// permit the expiry, the networks and the limits of the result. Unless the change only adds scopes, the
// Access must also permit all scopes of the result. A move counts, because the secret of the key then
// opens the new owner's data.
func (s *Session) mayPatch(key apikey.Key, p apikey.Patch, now time.Time) error {
	after, err := p.Apply(key, now)
	if err != nil {
		return err
	}
	if after.Owner != key.Owner && !s.access.AllOwners {
		return &RefusedError{RuleOwner, "Owner", "You cannot change the owner of a key."}
	}
	if !slices.Equal(after.Limits, key.Limits) && !s.access.AllOwners {
		return &RefusedError{RuleLimits, "Limits", "You cannot change the limits of a key."}
	}
	if err := s.mayMark(key.Metadata, after.Metadata); err != nil {
		return err
	}
	if !key.SuspendedAt.IsZero() && after.SuspendedAt.IsZero() && !s.access.AllOwners && !s.access.MayResume {
		return &RefusedError{RuleResume, "Suspended", "You cannot resume a suspended key."}
	}
	added := slices.DeleteFunc(slices.Clone(after.Scopes), func(scope string) bool { return slices.Contains(key.Scopes, scope) })
	if err := s.mayGive(added); err != nil {
		return err
	}
	if err := s.desk.issuer.CheckScopes(added); err != nil {
		return err
	}
	prolongs, widens, moves := isLater(after.ExpiresAt, key.ExpiresAt), !contains(key.Networks, after.Networks), after.Owner != key.Owner
	if prolongs {
		latest := s.notAfter(now)
		if limit := s.desk.issuer.MaxLifetime(); limit > 0 {
			latest = earlier(latest, key.CreatedAt.Add(limit)) // otherwise a key could be renewed forever
		}
		if err := mayExpire(after.ExpiresAt, latest, "ExpiresAt"); err != nil {
			return err
		}
	}
	if prolongs || widens || moves {
		if err := s.mayGive(after.Scopes); err != nil {
			field := "Owner"
			if prolongs {
				field = "ExpiresAt"
			} else if widens {
				field = "Networks"
			}
			return &RefusedError{RuleScopes, field, "The key has scopes that you cannot give, so it cannot get more rights."}
		}
	}
	unlimits := !slices.Equal(after.Limits, key.Limits)
	if len(added) > 0 || prolongs || widens || moves || unlimits {
		if err := s.checkRestrictions(after.Networks, after.Limits); err != nil {
			return err
		}
	}
	if len(added) > 0 || widens || moves {
		field := "Owner"
		if len(added) > 0 {
			field = "Scopes"
		} else if widens {
			field = "Networks"
		}
		if err := mayExpire(after.ExpiresAt, s.notAfter(now), field); err != nil {
			return err
		}
	}
	return nil
}

// isLater reports whether a key that expires at a lives longer than one that expires at b. The zero
// time means never.
func isLater(a, b time.Time) bool { return !b.IsZero() && (a.IsZero() || a.After(b)) }

// earlier returns the earlier of two times. The zero time means never.
func earlier(a, b time.Time) time.Time {
	if isLater(a, b) {
		return b
	}
	return a
}

// contains reports whether a key with the networks in outer works from every address from which a key
// with the networks in inner does. It is false if only several networks of outer together contain one
// of inner.
func contains(outer, inner []netip.Prefix) bool {
	outer, inner = asStored(outer), asStored(inner)
	if len(outer) == 0 {
		return true
	}
	return len(inner) > 0 && !slices.ContainsFunc(inner, func(n netip.Prefix) bool {
		return !slices.ContainsFunc(outer, func(o netip.Prefix) bool { return o.Bits() <= n.Bits() && o.Contains(n.Addr()) })
	})
}

// asStored returns networks as a store keeps them. A 4-in-6 network becomes an IPv4 network, which ::/0 no
// longer contains.
func asStored(networks []netip.Prefix) []netip.Prefix {
	key := (&apikey.Key{Networks: networks}).Clone()
	return key.Networks
}

// refused returns the error of a change as a RefusedError if the store found that a rule was broken. It
// removes the ID of a successor that the session does not see.
func (s *Session) refused(ctx context.Context, err error) error {
	if replaced, ok := errors.AsType[*apikey.ReplacedError](err); ok && !s.access.AllOwners {
		if _, unseen := s.Get(ctx, replaced.Successor); unseen != nil {
			hidden := *replaced
			hidden.Successor = ""
			return &hidden
		}
	}
	if errors.Is(err, apikey.ErrTooManyKeys) {
		keys := "keys"
		if s.access.MaxKeys == 1 {
			keys = "key"
		}
		return &RefusedError{RuleKeys, "", fmt.Sprintf("You can have at most %d %s. Revoke a key first.", s.access.MaxKeys, keys)}
	}
	return err
}
