package sqlstore

import (
	"context"

	"github.com/latchkey-dev/apikey"
)

// maxCreate is the maximum number of keys in a call of CreateAll.
const maxCreate = 500

// CreateAll adds up to 500 keys in one transaction, for imports of many keys. keys[i] gets digests[i].
// CreateAll skips a key whose digest is in use, and sets created[i] to false. The audit trail gets an
// entry for each created key.
//
// After an error no key was created, unless the error wraps [apikey.ErrUncertain]. The error is
// [apikey.ErrInvalid] if a key is invalid. It is [apikey.ErrExists] if the ID of a new key is in use,
// or if two new keys have the same ID or the same digest.
func (s *Store) CreateAll(ctx context.Context, digests []apikey.Digest, keys []apikey.Key) (created []bool, err error) {
	if len(digests) != len(keys) || len(keys) > maxCreate {
		return nil, invalid("keys", "%d keys for %d digests; want as many keys as digests, and at most %d", len(keys), len(digests), maxCreate)
	}
	if len(keys) == 0 {
		return nil, ctx.Err()
	}
	for i := range keys {
		if err := keys[i].Validate(); err != nil {
			return nil, err
		}
	}
	err = s.transact(ctx, func(t *tx) ([]apikey.Digest, error) {
		created = make([]bool, len(keys))
		if err := t.lock(); err != nil { // because other writes must not add the digests from here on
			return nil, err
		}
		added, err := t.createUnknown(digests, keys, created)
		if err == nil && len(added) == 0 {
			err = errUnchanged
		}
		return added, err
	})
	if err != nil {
		return nil, err
	}
	return created, nil
}

// createUnknown adds the keys with unknown digests, marks them in created, and returns their digests.
func (t *tx) createUnknown(digests []apikey.Digest, keys []apikey.Key, created []bool) (added []apikey.Digest, err error) {
	known, err := t.known(digests)
	if err != nil {
		return nil, err
	}
	var ids []any
	newDigests, newIDs := map[apikey.Digest]bool{}, map[string]bool{}
	for i, d := range digests {
		id := keys[i].ID
		if known[d] {
			continue
		}
		if newDigests[d] || newIDs[id] {
			return nil, apikey.ErrExists
		}
		created[i], newDigests[d], newIDs[id] = true, true, true
		added, ids = append(added, d), append(ids, id)
	}
	if len(added) == 0 {
		return nil, nil
	}
	used, err := t.number("SELECT COUNT(*) FROM apikey_keys WHERE id IN "+placeholders(len(ids)), ids...)
	if err == nil && used > 0 {
		err = apikey.ErrExists
	}
	if err != nil {
		return nil, err
	}
	_, err = t.run(int64(len(added)), func(t *tx) (changes []change, err error) {
		seq := int64(t.head.Revision) - int64(len(added))
		var rows []newRow
		for i := range keys {
			if !created[i] {
				continue
			}
			key := keys[i].Clone()
			seq++
			rows = append(rows, newRow{seq, digests[i], &key})
			changes = append(changes, change{"create", key.ID, seq, digests[i], apikey.FieldChanges(&apikey.Key{}, &key)})
		}
		return changes, t.insertRows(rows)
	})
	return added, err
}

// known returns the set of the given digests that are in use.
func (t *tx) known(digests []apikey.Digest) (map[apikey.Digest]bool, error) {
	args := make([]any, len(digests))
	for i := range digests {
		args[i] = digests[i][:]
	}
	rows, err := t.query("SELECT digest FROM apikey_keys WHERE digest IN "+placeholders(len(digests)), args...)
	if err != nil {
		return nil, err
	}
	defer rows.Close()
	known := map[apikey.Digest]bool{}
	for rows.Next() {
		var digest []byte
		if err := rows.Scan(&digest); err != nil {
			return nil, err
		}
		known[apikey.Digest(digest)] = true
	}
	return known, rows.Err()
}
