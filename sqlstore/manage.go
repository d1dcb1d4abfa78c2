package sqlstore

import (
	"cmp"
	"context"
	"errors"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Create adds a key. The error is [apikey.ErrExists] if its ID or digest is in use, and
// [apikey.ErrInvalid] if the key is invalid.
func (s *Store) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	return s.unconditional().Create(ctx, d, key)
}

func (c *conditional) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	if err := key.Validate(); err != nil {
		return err
	}
	key = key.Clone()
	return c.store.write(ctx, 1, func(t *tx) ([]change, error) {
		seq := int64(t.head.Revision)
		if err := t.insert(seq, d, &key); err != nil {
			return nil, err
		}
		if err := c.limit(t, &apikey.Key{}, &key); err != nil {
			return nil, err
		}
		return []change{{"create", key.ID, seq, d, apikey.FieldChanges(&apikey.Key{}, &key)}}, nil
	})
}

// insert adds a row. The counter row is locked, so no other write can add the same ID or digest
// after the check.
func (t *tx) insert(seq int64, d apikey.Digest, key *apikey.Key) error {
	rows, err := t.query("SELECT 1 FROM apikey_keys WHERE id = ? OR digest = ?", key.ID, d[:])
	if err != nil {
		return err
	}
	taken := rows.Next()
	rows.Close()
	if err := rows.Err(); err != nil {
		return err
	}
	if taken {
		return apikey.ErrExists
	}
	return t.insertRow(seq, d, key)
}

// insertRow adds a row whose ID and digest are not in use.
func (t *tx) insertRow(seq int64, d apikey.Digest, key *apikey.Key) error {
	return t.insertRows([]newRow{{seq, d, key}})
}

// A newRow is a key to insert.
type newRow struct {
	seq    int64
	digest apikey.Digest
	key    *apikey.Key
}

// insertRows adds rows whose IDs and digests are not in use, with their last uses.
func (t *tx) insertRows(rows []newRow) error {
	var used, keys [][]any
	for _, r := range rows {
		if !r.key.LastUsedAt.IsZero() {
			used = append(used, []any{r.seq, microsOf(r.key.LastUsedAt)})
		}
		row := append([]any{r.seq, r.key.ID, r.digest[:]}, columnValues(r.key)...)
		keys = append(keys, append(row, int64(0)))
	}
	if err := t.insertInto("apikey_used (seq, at)", used); err != nil {
		return err
	}
	return t.insertInto("apikey_keys (seq, id, digest, name, fold, fold_id, owner, hint, scopes, metadata, replaces, "+
		"created_at, expires_at, revoked_at, suspended_at, networks, limits, origin, dead, changed)", keys)
}

// Update applies a Patch to a key and returns the updated key. The error is [apikey.ErrNotFound] for an
// unknown ID, and [apikey.ErrInvalid] for a value out of its limits.
func (s *Store) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	return s.unconditional().Update(ctx, id, p)
}

func (c *conditional) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	return c.change(ctx, id, "update", p.Apply)
}

// Revoke revokes a key permanently and returns it. Revoking it again changes nothing. The error is
// [apikey.ErrNotFound] for an unknown ID.
func (s *Store) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return s.unconditional().Revoke(ctx, id)
}

func (c *conditional) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return c.change(ctx, id, "revoke", func(key apikey.Key, now time.Time) (apikey.Key, error) {
		if !key.RevokedAt.IsZero() {
			return key, errUnchanged
		}
		key.RevokedAt = now
		return key.Clone(), nil
	})
}

// errUnchanged reports that there is nothing to write.
var errUnchanged = errors.New("unchanged")

// change replaces a key by the result of f and returns it, including its last use.
func (c *conditional) change(ctx context.Context, id, action string, f func(key apikey.Key, now time.Time) (apikey.Key, error)) (apikey.Key, error) {
	if !isID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	var result apikey.Key
	unchanged := func() {}
	err := c.store.write(ctx, 1, func(t *tx) ([]change, error) {
		old, err := c.get(t, id)
		if action == "revoke" && errors.Is(err, errUnknownRules) {
			err = nil // a revoked key is refused without its rules, which stay in the row
		}
		if err != nil {
			return nil, err
		}
		result, err = f(old.key, t.now)
		if errors.Is(err, errUnchanged) {
			// Another process may have changed the key, and the caches of this process may not know
			// that yet. This write is rolled back, so the current revision is the one before.
			before := apikey.Version{Epoch: t.head.Epoch, Revision: t.head.Revision - 1}
			unchanged = func() { c.store.subs.publish(old.digest, before) }
			return nil, nil
		}
		if err != nil {
			return nil, err
		}
		if action == "revoke" {
			// The other columns stay, because they may contain rules that this program does not know.
			err = t.exec("UPDATE apikey_keys SET revoked_at = ?, dead = 1, changed = ? WHERE seq = ?",
				microsOf(result.RevokedAt), int64(t.head.Revision), old.seq)
		} else {
			err = t.update(old.seq, &result)
		}
		if err == nil {
			err = c.limit(t, &old.key, &result)
		}
		return []change{{action, id, old.seq, old.digest, apikey.FieldChanges(&old.key, &result)}}, err
	})
	if err != nil {
		return apikey.Key{}, err
	}
	unchanged()
	return result, nil
}

// get reads a key, or returns the error with which Check refuses the change. With errUnknownRules it
// also returns the key.
func (c *conditional) get(t *tx, id string) (storedKey, error) {
	stored, err := t.get(id)
	if err == nil || errors.Is(err, errUnknownRules) {
		err = cmp.Or(c.check(&stored.key), err)
	}
	return stored, err
}

// get reads a key. No other write can change the key until this one ends. With errUnknownRules get also
// returns the key.
func (t *tx) get(id string) (storedKey, error) {
	rows, err := t.query(selectKeys+"WHERE k.id = ?", id)
	if err != nil {
		return storedKey{}, err
	}
	keys, err := scanKeys(rows)
	if len(keys) == 0 {
		return storedKey{}, cmp.Or(err, apikey.ErrNotFound)
	}
	return keys[0], err
}

// update writes a key and sets changed, so that caches read it again.
func (t *tx) update(seq int64, key *apikey.Key) error {
	args := append(columnValues(key), int64(t.head.Revision), seq)
	return t.exec("UPDATE apikey_keys SET name = ?, fold = ?, fold_id = ?, owner = ?, hint = ?, scopes = ?, metadata = ?, replaces = ?, "+
		"created_at = ?, expires_at = ?, revoked_at = ?, suspended_at = ?, networks = ?, limits = ?, origin = ?, dead = ?, changed = ? WHERE seq = ?", args...)
}

// isID reports whether id is a valid ID. Callers treat other texts as unknown IDs, so that no
// database gets text that it rejects.
func isID(id string) bool {
	key := apikey.Key{ID: id, Name: "-"}
	return key.Validate() == nil
}
