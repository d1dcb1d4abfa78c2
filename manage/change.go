package manage

import (
	"context"
	"math"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Issue makes a key. In the session of an owner an empty Owner means that owner. Without an ExpiresAt
// the key lives as long as the Issuer's default and the Access permit. Without Networks or Limits it has
// those of the Access.
//
// A requestID of 1 to 100 visible ASCII characters makes Issue idempotent; "" means that each call makes
// a key. When the same actor with the same Owner or AllOwners repeats the requestID, Issue returns the
// key of the first call as it is now, even if it was revoked or has expired. It then returns the zero Secret,
// because the secret cannot be read again. If the repeated call asks for another key, or the key has changed
// since, the error wraps [apikey.ErrExists].
func (s *Session) Issue(ctx context.Context, k apikey.NewKey, requestID string) (apikey.Secret, apikey.Key, error) {
	if err := s.mayWrite(); err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	id, err := s.keyIDOf("issue", "", requestID)
	if err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	if k.Owner == "" {
		k.Owner = s.access.Owner
	}
	if len(k.Networks) == 0 {
		k.Networks = s.access.Networks
	}
	if len(k.Limits) == 0 {
		k.Limits = s.access.Limits
	}
	secret, key, err := s.issue(ctx, id, k)
	if id != "" && mayBeRepeated(err) {
		key, err = s.issued(ctx, id, k, err)
		return apikey.Secret{}, key, err
	}
	return secret, key, err
}

// issue makes a key with an ID; "" means a random one.
func (s *Session) issue(ctx context.Context, id string, k apikey.NewKey) (apikey.Secret, apikey.Key, error) {
	if s.access.Owner != "" && k.Owner != s.access.Owner {
		return apikey.Secret{}, apikey.Key{}, &RefusedError{RuleOwner, "Owner", "You can create keys only for your own account."}
	}
	if err := s.mayGive(k.Scopes); err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	if err := s.mayMark(nil, k.Metadata); err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	if err := s.checkRestrictions(k.Networks, k.Limits); err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	if !k.ExpiresAt.IsZero() {
		if err := mayExpire(k.ExpiresAt, s.latest(time.Now()), "ExpiresAt"); err != nil {
			return apikey.Secret{}, apikey.Key{}, err
		}
	}
	issuer, err := s.issuer(id, apikey.Condition{MaxKeys: s.access.MaxKeys})
	if err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	secret, key, err := issuer.Issue(s.as(ctx), k)
	return secret, key, s.refused(ctx, err)
}

// Update changes a key. version is the [Version] of the key that the caller has read; "" means any
// version. If the key has another version now, the error is [ErrChanged]. The package documentation
// states what a session may change.
func (s *Session) Update(ctx context.Context, id, version string, p apikey.Patch) (apikey.Key, error) {
	if err := s.mayWrite(); err != nil {
		return apikey.Key{}, err
	}
	condition := s.condition(func(key apikey.Key) error {
		if version != "" && version != Version(key) {
			return ErrChanged
		}
		return s.mayPatch(key, p, time.Now())
	}, s.access.MaxKeys)
	key, err := s.desk.store.If(condition).Update(s.as(ctx), id, p)
	return key, s.refused(ctx, err)
}

// Rotate makes a successor of a key; see [apikey.Issuer.Rotate]. The caller gets the successor's secret,
// so its Access must include all scopes of the key, its networks, and no limits that the key lacks. The
// successor lives at most as long as the Access permits for a new key. A [*apikey.ReplacedError] does not
// name a successor that the session does not see.
//
// requestID is as in Issue. A repeated Rotate returns the successor that the first call made and the
// zero Secret. It ignores grace.
func (s *Session) Rotate(ctx context.Context, id string, grace time.Duration, requestID string) (apikey.Secret, apikey.Key, error) {
	if err := s.mayWrite(); err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	newID, err := s.keyIDOf("rotate", id, requestID)
	if err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	secret, key, err := s.rotate(ctx, newID, id, grace)
	if newID != "" && mayBeRepeated(err) {
		key, err = s.rotated(ctx, newID, id, err)
		return apikey.Secret{}, key, err
	}
	return secret, key, err
}

// rotate makes a successor with an ID; "" means a random one.
func (s *Session) rotate(ctx context.Context, newID, id string, grace time.Duration) (apikey.Secret, apikey.Key, error) {
	maxKeys := s.access.MaxKeys
	if maxKeys > 0 && maxKeys < math.MaxInt {
		maxKeys++ // for the old key, until it expires
	}
	issuer, err := s.issuer(newID, s.condition(func(key apikey.Key) error {
		if err := s.mayGive(key.Scopes); err != nil {
			return err
		}
		return s.checkRestrictions(key.Networks, key.Limits)
	}, maxKeys))
	if err != nil {
		return apikey.Secret{}, apikey.Key{}, err
	}
	secret, key, err := issuer.Rotate(s.as(ctx), id, grace)
	return secret, key, s.refused(ctx, err)
}

// Revoke revokes a key permanently and returns it. Every session that sees the key and is not ReadOnly
// may revoke it, so that the owner of a leaked key can always do so.
func (s *Session) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	if err := s.mayWrite(); err != nil {
		return apikey.Key{}, err
	}
	condition := s.condition(func(apikey.Key) error { return nil }, 0)
	return s.desk.store.If(condition).Revoke(s.as(ctx), id)
}

// RevokeAll revokes all keys of an owner and returns how many it revoked. The session of an owner revokes
// only the keys of that owner; for another owner it returns 0, as for an owner without keys.
func (s *Session) RevokeAll(ctx context.Context, owner string) (int, error) {
	if err := s.mayWrite(); err != nil {
		return 0, err
	}
	if s.access.Owner != "" && owner != s.access.Owner {
		return 0, nil
	}
	return s.desk.store.RevokeAll(s.as(ctx), owner)
}

// Suspend suspends a key until [Session.Resume].
func (s *Session) Suspend(ctx context.Context, id string) (apikey.Key, error) {
	return s.Update(ctx, id, "", apikey.Patch{Suspended: new(true)})
}

// Resume resumes a suspended key. The session of an owner needs Access.MayResume.
func (s *Session) Resume(ctx context.Context, id string) (apikey.Key, error) {
	return s.Update(ctx, id, "", apikey.Patch{Suspended: new(false)})
}

// issuer returns an Issuer of keys that expire when the Access permits. The next key gets the ID; ""
// means a random one.
func (s *Session) issuer(id string, c apikey.Condition) (*apikey.Issuer, error) {
	now := time.Now()
	notAfter := s.notAfter(now)
	if !notAfter.IsZero() && !notAfter.After(now) {
		return nil, &RefusedError{RuleLifetime, "", "You can no longer create keys."}
	}
	return s.desk.issuer.With(apikey.Terms{ID: id, NotAfter: notAfter, Condition: c})
}

// as returns a context that names the actor of the session.
func (s *Session) as(ctx context.Context) context.Context {
	return apikey.WithActor(ctx, s.access.Actor)
}
