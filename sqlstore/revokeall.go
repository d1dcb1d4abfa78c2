package sqlstore

import (
	"context"
	"encoding/json"
	"strconv"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// revokeStep is the number of keys that RevokeAll revokes in one transaction.
const revokeStep = 1000

// RevokeAll revokes every key of an owner and returns the number of keys that were not revoked
// before. Each transaction revokes at most 1,000 keys. The audit trail gets an entry for each key,
// and with the last transaction an entry with the number of keys. After an error, call RevokeAll
// again.
func (s *Store) RevokeAll(ctx context.Context, owner string) (revoked int, err error) {
	if err := listing.CheckOwner(owner); err != nil {
		return 0, err
	}
	for after := int64(0); ; {
		var step revocation
		err := s.transact(ctx, func(t *tx) ([]apikey.Digest, error) {
			var err error
			step, err = t.revokeSome(owner, after, revoked)
			return step.digests, err
		})
		if err != nil {
			return revoked, err
		}
		revoked += len(step.digests)
		switch {
		case step.complete:
			return revoked, nil
		case step.more:
			after = step.last
		default:
			after = 0 // because an older key may have got this owner since the first step
		}
	}
}

// A revocation is one step of RevokeAll.
type revocation struct {
	digests []apikey.Digest
	last    int64 // the seq of the last key
	more    bool  // whether there are more keys after it

	// complete reports that the owner had no other key at the moment of this step.
	complete bool
}

// revokeSome revokes up to revokeStep keys of an owner after a seq. before is the number of keys
// that earlier steps revoked.
func (t *tx) revokeSome(owner string, after int64, before int) (revocation, error) {
	const these = "owner = ? AND owner <> '' AND seq > ? AND dead <> 1"
	var step revocation
	if err := t.lock(); err != nil { // because other writes must not change the keys from here on
		return step, err
	}
	rows, err := t.query("SELECT seq, digest FROM apikey_keys WHERE "+these+" ORDER BY seq LIMIT ?", owner, after, revokeStep+1)
	if err != nil {
		return step, err
	}
	defer rows.Close()
	for rows.Next() {
		if len(step.digests) == revokeStep {
			step.more = true
			break
		}
		var digest []byte
		if err := rows.Scan(&step.last, &digest); err != nil {
			return step, err
		}
		step.digests = append(step.digests, apikey.Digest(digest))
	}
	rows.Close()
	if err := rows.Err(); err != nil {
		return step, err
	}
	n := int64(len(step.digests))
	step.complete = after == 0 && !step.more
	if n == 0 && (before == 0 || !step.complete) {
		return step, errUnchanged
	}
	first := int64(t.head.Revision) + 1
	revisions := n
	if step.complete {
		revisions++ // for the audit entry of the whole call
	}
	if err := t.advance(revisions); err != nil {
		return step, err
	}
	now := microsOf(t.now)
	if n > 0 {
		change := change{fields: []apikey.FieldChange{{Field: "revoked", New: timeOf(now).Format(time.RFC3339Nano)}}}
		if err := t.exec("INSERT INTO apikey_audit (rev, tag, at, actor, action, key_id, key_seq, detail, changes) "+
			"SELECT ? + ROW_NUMBER() OVER (ORDER BY seq), ?, ?, ?, 'revoke', id, seq, '', ? FROM apikey_keys WHERE "+these+" AND seq <= ?",
			first-1, t.tag, now, t.actor, change.json(), owner, after, step.last); err != nil {
			return step, err
		}
		// All keys get the same revision, because looking up each key's own one is slow on PostgreSQL.
		if err := t.exec("UPDATE apikey_keys SET revoked_at = CASE WHEN revoked_at = 0 THEN ? ELSE revoked_at END, dead = 1, changed = ? WHERE "+these+" AND seq <= ?",
			now, first+revisions-1, owner, after, step.last); err != nil {
			return step, err
		}
	}
	if step.complete {
		whole, _ := json.Marshal([]fieldChange{{Field: "owner", New: owner}, {Field: "count", New: strconv.Itoa(before + int(n))}})
		return step, t.exec("INSERT INTO apikey_audit (rev, tag, at, actor, action, key_id, key_seq, detail, changes) "+
			"VALUES (?, ?, ?, ?, 'revoke_all', '', 0, '', ?)", first+n, t.tag, now, t.actor, string(whole))
	}
	return step, nil
}
