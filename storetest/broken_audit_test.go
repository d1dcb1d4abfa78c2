package storetest_test

import (
	"context"
	"errors"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// afterAudit breaks Audit: f gets each page.
func (b *broken) afterAudit(f func(entries []apikey.AuditEntry) []apikey.AuditEntry) {
	b.audit = func(ctx context.Context, keyID, cursor string, limit int) ([]apikey.AuditEntry, string, error) {
		entries, next, err := b.full.Audit(ctx, keyID, cursor, limit)
		return f(entries), next, err
	}
}

var auditDefects = []defect{
	{"the trail has no actors", one("Audit/each write has an entry with its actor, action, key and time"), func(b *broken) {
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			for i := range entries {
				entries[i].Actor = ""
			}
			return entries
		})
	}},
	{"the trail lacks revocations", []string{"Audit/each write has an entry with its actor, action, key and time", "Audit/the newest entry comes first"}, func(b *broken) {
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			return slices.DeleteFunc(entries, func(e apikey.AuditEntry) bool { return e.Action == "revoke" })
		})
	}},
	{"the trail has no times", one("Audit/each write has an entry with its actor, action, key and time"), func(b *broken) {
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			for i := range entries {
				entries[i].At = time.Time{}
			}
			return entries
		})
	}},
	{"the oldest entry comes first", one("Audit/the newest entry comes first"), func(b *broken) {
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			slices.Reverse(entries)
			return entries
		})
	}},
	{"a trail is of all IDs that begin so", one("Audit/the trail of a key is of that key alone"), func(b *broken) {
		b.audit = func(ctx context.Context, keyID, cursor string, limit int) ([]apikey.AuditEntry, string, error) {
			entries, next, err := b.full.Audit(ctx, "", cursor, limit)
			return slices.DeleteFunc(entries, func(e apikey.AuditEntry) bool {
				return !strings.HasPrefix(strings.ToLower(e.KeyID), strings.ToLower(keyID))
			}), next, err
		}
	}},
	{"the trail skips an entry at the beginning of a page", []string{"Audit/pages have every entry once, whatever their size", "Audit/a write between pages neither repeats nor skips entries"}, func(b *broken) {
		b.audit = func(ctx context.Context, keyID, cursor string, limit int) ([]apikey.AuditEntry, string, error) {
			entries, next, err := b.full.Audit(ctx, keyID, cursor, limit)
			if cursor != "" && len(entries) > 0 {
				entries = entries[1:]
			}
			return entries, next, err
		}
	}},
	{"the trail tells of writes that failed", one("Audit/a write that failed has no entry"), func(b *broken) {
		b.revoke = func(ctx context.Context, id string) (apikey.Key, error) {
			b.full.record(ctx, "revoke", id, func() error { return nil })
			return b.full.Revoke(ctx, id)
		}
	}},
	{"the trail tells digests", one("Audit/no entry holds a digest"), func(b *broken) {
		digests := make(map[string]string)
		b.create = func(ctx context.Context, d apikey.Digest, key apikey.Key) error {
			digests[key.ID] = strings.ToUpper(hexOf(d))
			return b.full.Create(ctx, d, key)
		}
		b.afterAudit(func(entries []apikey.AuditEntry) []apikey.AuditEntry {
			for i := range entries {
				entries[i].Detail = "digest=" + digests[entries[i].KeyID]
			}
			return entries
		})
	}},
	{"the trail takes any cursor and limit", one("Audit/a cursor that does not decode or a limit out of range is ErrInvalid"), func(b *broken) {
		b.audit = func(ctx context.Context, keyID, cursor string, limit int) ([]apikey.AuditEntry, string, error) {
			entries, next, err := b.full.Audit(ctx, keyID, cursor, limit)
			if errors.Is(err, apikey.ErrInvalid) {
				err = nil
			}
			return entries, next, err
		}
	}},
}
