package sqlstore

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// Create adds a key.
func (s *Store) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	if err := key.Validate(); err != nil {
		return err
	}
	key = key.Clone()
	return s.write(ctx, 1, func(t *tx) ([]change, error) {
		seq := int64(t.head.Revision)
		if err := t.insert(seq, d, &key); err != nil {
			return nil, err
		}
		return []change{{"create", key.ID, seq, d, ""}}, nil
	})
}

// insert adds a row. Nobody else can add one meanwhile, so what is looked for here is not
// there when it is written.
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
	args := append([]any{seq, key.ID, d[:]}, values(key)...)
	return t.exec("INSERT INTO apikey_keys (seq, id, digest, name, fold, fold_id, owner, hint, scopes, metadata, replaces, "+
		"created_at, expires_at, revoked_at, dead, changed) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, 0)", args...)
}

// Update changes what the Patch sets.
func (s *Store) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	return s.change(ctx, id, "update", func(_ time.Time, key *apikey.Key) (string, error) {
		changed, err := p.Apply(*key)
		if err != nil {
			return "", err
		}
		*key = changed
		return patched(p), nil
	})
}

// patched names the fields that a Patch sets.
func patched(p apikey.Patch) string {
	var fields []string
	for _, f := range []struct {
		set  bool
		name string
	}{{p.Name != nil, "name"}, {p.Scopes != nil, "scopes"}, {p.Metadata != nil, "metadata"}, {p.ExpiresAt != nil, "expiry"}} {
		if f.set {
			fields = append(fields, f.name)
		}
	}
	return strings.Join(fields, ", ")
}

// Revoke ends a key for good. Revoking again changes nothing.
func (s *Store) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return s.change(ctx, id, "revoke", func(now time.Time, key *apikey.Key) (string, error) {
		if !key.RevokedAt.IsZero() {
			return "", errUnchanged
		}
		key.RevokedAt = now
		*key = key.Clone()
		return "", nil
	})
}

// errUnchanged says that there is nothing to write.
var errUnchanged = errors.New("unchanged")

// change replaces a key by what f makes of it, and returns it with its last use.
func (s *Store) change(ctx context.Context, id, action string, f func(now time.Time, key *apikey.Key) (detail string, err error)) (apikey.Key, error) {
	if !isID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	var result apikey.Key
	unchanged := func() {}
	err := s.write(ctx, 1, func(t *tx) ([]change, error) {
		old, err := t.get(id)
		if err != nil {
			return nil, err
		}
		result = old.key
		detail, err := f(t.now, &result)
		if errors.Is(err, errUnchanged) {
			// Another process may have changed it, and this one's caches not know yet. The
			// state is the one before ours, which is not written.
			before := apikey.Cursor{Epoch: t.head.Epoch, Revision: t.head.Revision - 1}
			unchanged = func() { s.subs.publish(old.digest, before) }
			return nil, nil
		}
		if err == nil {
			err = t.update(old.seq, &result)
		}
		return []change{{action, id, old.seq, old.digest, detail}}, err
	})
	if err != nil {
		return apikey.Key{}, err
	}
	unchanged()
	return result, nil
}

// get reads a key that nobody else can change before this write is done.
func (t *tx) get(id string) (stored, error) {
	rows, err := t.query(withUse+"WHERE k.id = ?", id)
	if err != nil {
		return stored{}, err
	}
	keys, err := scanKeys(rows)
	if err != nil {
		return stored{}, err
	}
	if len(keys) == 0 {
		return stored{}, apikey.ErrNotFound
	}
	return keys[0], nil
}

// update writes a key back; its revision tells caches.
func (t *tx) update(seq int64, key *apikey.Key) error {
	args := append(values(key), int64(t.head.Revision), seq)
	return t.exec("UPDATE apikey_keys SET name = ?, fold = ?, fold_id = ?, owner = ?, hint = ?, scopes = ?, metadata = ?, replaces = ?, "+
		"created_at = ?, expires_at = ?, revoked_at = ?, dead = ?, changed = ? WHERE seq = ?", args...)
}

// Replace rotates a key.
func (s *Store) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	if !isID(id) {
		return apikey.Key{}, apikey.ErrNotFound
	}
	var heir apikey.Key
	err := s.write(ctx, 2, func(t *tx) ([]change, error) {
		old, err := t.get(id)
		if err != nil {
			return nil, err
		}
		ends, next, err := old.key.ReplacedBy(t.now, expiresAt, successor)
		if err != nil {
			return nil, err
		}
		heir = next
		// The first of the two revisions is the successor's.
		seq := int64(t.head.Revision) - 1
		if err := t.insert(seq, d, &heir); err != nil {
			return nil, err
		}
		if err := t.update(old.seq, &ends); err != nil {
			return nil, err
		}
		return []change{
			{"create", heir.ID, seq, d, "replaces " + id},
			{"replace", id, old.seq, old.digest, "by " + heir.ID},
		}, nil
	})
	if err != nil {
		return apikey.Key{}, err
	}
	return heir, nil
}

// isID reports whether id can be one: what cannot is not found, and no text that a
// database would choke on gets there.
func isID(id string) bool {
	key := apikey.Key{ID: id, Name: "-"}
	return key.Validate() == nil
}
