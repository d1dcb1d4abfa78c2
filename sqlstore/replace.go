package sqlstore

import (
	"context"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Replace rotates a key as [apikey.KeyManager] specifies and returns the successor.
func (s *Store) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	return s.unconditional().Replace(ctx, id, expiresAt, d, successor)
}

func (c *conditional) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	if !isID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	var next apikey.Key
	err := c.store.write(ctx, 2, func(t *tx) ([]change, error) {
		current, err := c.get(t, id)
		if err != nil {
			return nil, err
		}
		lineage, err := t.lineage(&current.key)
		if err != nil {
			return nil, err
		}
		var old apikey.Key
		old, next, err = current.key.ReplacedBy(t.now, expiresAt, successor, lineage)
		if err != nil {
			return nil, err
		}
		seq := int64(t.head.Revision) - 1 // the first of the two revisions creates the successor
		if err := t.insert(seq, d, &next); err != nil {
			return nil, err
		}
		if err := t.update(current.seq, &old); err != nil {
			return nil, err
		}
		own := current.key.ExpiresAt
		if lineage.Rotated {
			own = lineage.ExpiresAt
		}
		if err := t.exec("UPDATE apikey_keys SET own_expires_at = ? WHERE seq = ?", ownMicros(own), current.seq); err != nil {
			return nil, err
		}
		if old.RevokedAt.IsZero() {
			if err := c.limit(t, &apikey.Key{}, &next); err != nil {
				return nil, err
			}
		}
		by := apikey.FieldChange{Field: "replaced_by", New: next.ID}
		return []change{
			{"create", next.ID, seq, d, apikey.FieldChanges(&apikey.Key{}, &next)},
			{"replace", id, current.seq, current.digest, append(apikey.FieldChanges(&current.key, &old), by)},
		}, nil
	})
	if err != nil {
		return apikey.Key{}, err
	}
	return next, nil
}

// ownNever is the own_expires_at of a key that had no expiry before its rotation.
const ownNever = -1

// ownMicros returns the own_expires_at for an expiry.
func ownMicros(t time.Time) int64 {
	if t.IsZero() {
		return ownNever
	}
	return t.UnixMicro()
}

// A relative is a key of a lineage.
type relative struct {
	key apikey.Key // only the ID and the times
	own int64      // own_expires_at
}

// lineage returns the successors of a key and its expiry before earlier rotations.
func (t *tx) lineage(key *apikey.Key) (apikey.Lineage, error) {
	var l apikey.Lineage
	seen := make(map[string]bool) // Create accepts any Replaces, even a cycle
	for ids := []string{key.ID}; len(ids) > 0; ids = ids[1:] {
		if seen[ids[0]] {
			continue
		}
		seen[ids[0]] = true
		successors, err := t.relatives("replaces = ? AND replaces <> ''", ids[0])
		if err != nil {
			return apikey.Lineage{}, err
		}
		for _, s := range successors {
			l.Successors = append(l.Successors, s.key)
			if !s.key.RevokedAt.IsZero() {
				ids = append(ids, s.key.ID)
			}
		}
	}
	var err error
	l.ExpiresAt, l.Rotated, err = t.ownExpiry(key.ID)
	return l, err
}

// ownExpiry returns the expiry of a key before any rotation, and whether the key was rotated. A
// program of version 1 of the schema does not store this expiry. It gives the first successor the
// lifetime of the key, so ownExpiry follows first successors until one was not rotated by such a
// program.
func (t *tx) ownExpiry(id string) (at time.Time, rotated bool, err error) {
	var first *relative // the key with the ID id
	for seen := map[string]bool{}; ; {
		found, err := t.relatives("id = ?", id)
		if err != nil {
			return time.Time{}, false, err
		}
		if len(found) == 0 {
			return time.Time{}, false, apikey.ErrNotFound
		}
		current := found[0]
		if first == nil {
			first = &current
		}
		successors, err := t.relatives("replaces = ? AND replaces <> ''", id)
		if err != nil {
			return time.Time{}, false, err
		}
		if current.own == 0 && len(successors) > 0 && !seen[id] {
			rotated = true
			seen[id] = true
			id = successors[0].key.ID
			continue
		}
		return current.expiryOf(first), rotated || current.own != 0, nil
	}
}

// expiryOf returns the expiry of first if first had the lifetime of r.
func (r *relative) expiryOf(first *relative) time.Time {
	ends := r.key.ExpiresAt
	switch r.own {
	case 0:
	case ownNever:
		ends = time.Time{}
	default:
		ends = timeOf(r.own)
	}
	if ends.IsZero() || r.key.CreatedAt.IsZero() || first.key.CreatedAt.IsZero() {
		return ends
	}
	return ends.Add(first.key.CreatedAt.Sub(r.key.CreatedAt))
}

// relatives returns the keys that a condition selects, oldest first.
func (t *tx) relatives(where, id string) (all []relative, err error) {
	rows, err := t.query("SELECT id, created_at, expires_at, revoked_at, own_expires_at FROM apikey_keys WHERE "+where+" ORDER BY seq", id)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	for rows.Next() {
		var r relative
		var created, expires, revoked int64
		if err := rows.Scan(&r.key.ID, &created, &expires, &revoked, &r.own); err != nil {
			return nil, err
		}
		r.key.CreatedAt, r.key.ExpiresAt, r.key.RevokedAt = timeOf(created), timeOf(expires), timeOf(revoked)
		all = append(all, r)
	}
	return all, rows.Err()
}
