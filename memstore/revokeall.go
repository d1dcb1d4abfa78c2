package memstore

import (
	"context"
	"strconv"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// revokeStep is the number of keys that RevokeAll revokes before it releases the lock for other callers.
const revokeStep = 1000

// RevokeAll revokes the keys of an owner, 1,000 at a time, and returns the number of keys that it
// revoked. If ctx ends in between, RevokeAll returns the number so far and the error of ctx. It returns
// an [apikey.InvalidError] for the owner "" and for text that no key can have.
func (s *Store) RevokeAll(ctx context.Context, owner string) (revoked int, err error) {
	if err := listing.CheckOwner(owner); err != nil {
		return 0, err
	}
	for next, complete := 0, false; !complete; {
		if err := ctx.Err(); err != nil {
			return revoked, err
		}
		next, complete = s.revokeSome(ctx, owner, next, &revoked)
	}
	return revoked, nil
}

// revokeSome revokes at most revokeStep keys of an owner, from an index of bySeq on. It returns the index
// at which to continue. If complete is true, this step saw every key of the owner. It has then recorded
// the call of RevokeAll in the audit trail, unless no key was revoked.
func (s *Store) revokeSome(ctx context.Context, owner string, from int, revoked *int) (next int, complete bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	left := revokeStep
	for i, e := range s.bySeq[from:] {
		key := *e.Value.key.Load()
		if key.Owner != owner || !key.RevokedAt.IsZero() {
			continue
		}
		if left == 0 {
			return from + i, false
		}
		key.RevokedAt = time.Now()
		key = key.Clone()
		s.put(ctx, "revoke", e, &key)
		*revoked++
		left--
	}
	if from > 0 {
		return 0, false // because an older key may have got this owner since the first step
	}
	if *revoked > 0 {
		s.record(ctx, "revoke_all", "", []apikey.FieldChange{
			{Field: "owner", New: owner}, {Field: "count", New: strconv.Itoa(*revoked)},
		})
	}
	return 0, true
}
