package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// afterAudit replaces Audit. f edits the entries of each page.
func (b *broken) afterAudit(f func(entries []apikey.AuditEntry) []apikey.AuditEntry) {
	b.audit = func(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
		page, err := b.full.Audit(ctx, o)
		page.Entries = f(page.Entries)
		return page, err
	}
}

var auditDefects = []defect{
	{"Audit omits actors", rules("Audit/every write has an entry with actor, action, key and time"), func(b *broken) {
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			for i := range entries {
				entries[i].Actor = ""
			}
			return entries
		})
	}},
	{"Audit omits values", rules("Audit/every entry has the old and the new value of each changed field", "Audit/stores the longest values in full"), func(b *broken) {
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			for _, e := range entries {
				for i, c := range e.Changes {
					e.Changes[i] = apikey.FieldChange{Field: c.Field}
				}
			}
			return entries
		})
	}},
	{"Audit omits revocations", rules("Audit/every write has an entry with actor, action, key and time", "Audit/returns the newest entry first"), func(b *broken) {
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			return slices.DeleteFunc(entries, func(e apikey.AuditEntry) bool { return e.Action == "revoke" })
		})
	}},
	{"Audit omits times", rules("Audit/every write has an entry with actor, action, key and time"), func(b *broken) {
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			for i := range entries {
				entries[i].At = time.Time{}
			}
			return entries
		})
	}},
	{"Audit returns the oldest entry first", rules("Audit/returns the newest entry first"), func(b *broken) {
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			slices.Reverse(entries)
			return entries
		})
	}},
	{"Audit selects IDs by prefix and ignores case", rules("Audit/the trail of a key contains only its entries"), func(b *broken) {
		b.audit = func(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
			prefix := strings.ToLower(o.KeyID)
			o.KeyID = ""
			page, err := b.full.Audit(ctx, o)
			page.Entries = slices.DeleteFunc(page.Entries, func(e apikey.AuditEntry) bool {
				return !strings.HasPrefix(strings.ToLower(e.KeyID), prefix)
			})
			return page, err
		}
	}},
	{"Audit skips the first entry of a page", rules("Audit/pages of any size list every entry once", "Audit/a write between pages neither repeats nor skips entries"), func(b *broken) {
		b.audit = func(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
			page, err := b.full.Audit(ctx, o)
			if o.Cursor != "" && len(page.Entries) > 0 {
				page.Entries = page.Entries[1:]
			}
			return page, err
		}
	}},
	{"Audit returns entries of failed writes", rules("Audit/a failed write has no entry"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			key, err := b.full.Revoke(ctx, id)
			if err != nil {
				b.count++
			}
			return key, err
		}
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			for range b.count {
				entries = append(entries, apikey.AuditEntry{At: time.Now().UTC(), Action: "revoke", KeyID: "unknown"})
			}
			return entries
		})
	}},
	{"Audit returns digests", rules("Audit/no entry contains a digest"), func(b *broken) {
		digests := make(map[string]string)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			digests[key.ID] = strings.ToUpper(hexOf(d))
			return b.full.Create(ctx, d, key)
		}
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			for i := range entries {
				entries[i].Changes = []apikey.FieldChange{{Field: "digest", New: digests[entries[i].KeyID]}}
			}
			return entries
		})
	}},
	{"Audit accepts any Cursor and Limit", rules("Audit/returns ErrInvalid for an invalid Cursor or Limit"), func(b *broken) {
		b.audit = func(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
			page, err := b.full.Audit(ctx, o)
			if errors.Is(err, apikey.ErrInvalid) {
				err = nil
			}
			return page, err
		}
	}},
}
