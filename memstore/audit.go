package memstore

import (
	"context"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// maxEntries is the number of latest audit entries that a Store never drops.
const maxEntries = 10_000

// A trail holds the latest audit entries, the oldest first.
type trail struct {
	entries []apikey.AuditEntry
	dropped int64 // number of older entries that the trail no longer holds
}

// add appends an entry. It first drops the older half of a full trail.
func (t *trail) add(e apikey.AuditEntry) {
	if len(t.entries) == 2*maxEntries {
		t.entries = append(t.entries[:0], t.entries[maxEntries:]...)
		clear(t.entries[maxEntries : 2*maxEntries])
		t.dropped += maxEntries
	}
	t.entries = append(t.entries, e)
}

// record adds an entry to the audit trail. The caller holds s.mu.
func (s *Store) record(ctx context.Context, action, id string, changes []apikey.FieldChange) {
	s.trail.add(apikey.AuditEntry{
		At: time.Now().UTC().Truncate(time.Microsecond), Actor: apikey.Actor(ctx), Action: action, KeyID: id, Changes: changes,
	})
}

// Audit returns a page of the audit trail, the newest entry first. The trail holds at least the latest
// 10,000 entries. Audit reads entries of all keys until the page is full.
func (s *Store) Audit(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
	if err := ctx.Err(); err != nil {
		return apikey.AuditPage{}, err
	}
	o, err := o.Validate()
	if err != nil {
		return apikey.AuditPage{}, err
	}
	from, follows, err := listing.ParseAudit(o)
	if err != nil {
		return apikey.AuditPage{}, err
	}
	s.mu.RLock()
	defer s.mu.RUnlock()
	var page apikey.AuditPage
	next := int64(len(s.trail.entries)) // the next entry of the page is entries[next-1]
	if follows {
		next = min(next, max(0, from.Seq-s.trail.dropped))
	}
	for ; next > 0; next-- {
		e := s.trail.entries[next-1]
		if o.KeyID != "" && e.KeyID != o.KeyID {
			continue
		}
		if len(page.Entries) == o.Limit {
			page.Next = listing.AuditCursor(o, next+s.trail.dropped)
			break
		}
		e.Changes = append([]apikey.FieldChange(nil), e.Changes...)
		page.Entries = append(page.Entries, e)
	}
	return page, nil
}
