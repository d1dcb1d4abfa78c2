package manage

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
	"strconv"

	"github.com/latchkey-dev/apikey"
)

// maxHistory is the maximum number of entries of a key that the session of an owner sees. It bounds the
// work for a later page, which reads every entry before it.
const maxHistory = 10_000

// History returns a page of the audit trail, the newest entry first. A store without an audit trail has
// no entries.
//
// The session of an owner must set KeyID; otherwise the error is [apikey.ErrNotFound]. It sees at most the
// newest 10,000 entries, and only those since the key came to the owner. In the entry of that change the
// old values are "".
func (s *Session) History(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
	auditor, audited := apikey.StoreAs[apikey.Auditor](s.desk.store)
	if s.access.AllOwners {
		if !audited {
			return apikey.AuditPage{}, nil
		}
		return auditor.Audit(ctx, o)
	}
	if _, err := s.Get(ctx, o.KeyID); err != nil {
		return apikey.AuditPage{}, err
	}
	o, err := o.Validate()
	if err != nil || !audited {
		return apikey.AuditPage{}, err
	}
	page, err := s.ownHistory(ctx, auditor, o)
	if err != nil {
		return apikey.AuditPage{}, err
	}
	// If the key has gone to another owner since, the newest entries are changes of that owner.
	if _, err := s.Get(ctx, o.KeyID); err != nil {
		return apikey.AuditPage{}, err
	}
	return page, nil
}

// ownHistory returns a page of the history of a key since it came to the owner. It finds that change only
// by reading from the newest entry on, so a later page reads the entries of the pages before it again. A
// cursor names the last entry of the page before. A cursor of the store would let a caller begin behind
// the change of owner.
func (s *Session) ownHistory(ctx context.Context, auditor apikey.Auditor, o apikey.AuditOptions) (page apikey.AuditPage, err error) {
	begun, last, names := o.Cursor == "", "", cursors{}
	read := apikey.AuditOptions{KeyID: o.KeyID, Limit: 500}
	for seen := 0; seen < maxHistory; {
		batch, err := auditor.Audit(ctx, read)
		if err != nil {
			return apikey.AuditPage{}, err
		}
		for _, e := range batch.Entries {
			if seen++; seen > maxHistory {
				break
			}
			came, mine := s.ownerChange(e)
			if !mine {
				return apikey.AuditPage{}, apikey.ErrNotFound // the key went to another owner since Get
			}
			if came {
				e = withoutOld(e)
			}
			name := names.next(e)
			switch {
			case begun && len(page.Entries) == o.Limit:
				page.Next = last
				return page, nil
			case begun:
				page.Entries, last = append(page.Entries, e), name
			case name == o.Cursor:
				begun = true
			}
			if came {
				return s.endOfHistory(page, begun)
			}
		}
		if batch.Next == "" {
			break
		}
		read.Cursor = batch.Next
	}
	return s.endOfHistory(page, begun)
}

func (s *Session) endOfHistory(page apikey.AuditPage, begun bool) (apikey.AuditPage, error) {
	if !begun {
		return apikey.AuditPage{}, invalid("Cursor", "not a cursor of this history; want the Next of the page before")
	}
	return page, nil
}

// ownerChange reports whether an entry moved the key to the owner of the session, and whether the key
// belonged to that owner afterwards. Without a change of the owner, it returns false and true.
func (s *Session) ownerChange(e apikey.AuditEntry) (came, mine bool) {
	for _, c := range e.Changes {
		if c.Field == "owner" {
			return c.New == s.access.Owner, c.New == s.access.Owner
		}
	}
	return false, true
}

// withoutOld returns an entry without the values that the key had under another owner.
func withoutOld(e apikey.AuditEntry) apikey.AuditEntry {
	e.Changes = slices.Clone(e.Changes)
	for i := range e.Changes {
		e.Changes[i].Old = ""
	}
	return e
}

// cursors counts equal entries, so that each entry of a history has a cursor of its own.
type cursors map[string]int

// next returns the cursor that names the next entry of the history.
func (c cursors) next(e apikey.AuditEntry) string {
	text, _ := json.Marshal(e) // cannot fail: the time of an entry is between 1970 and 9999
	sum := sha256.Sum256(text)
	name := hex.EncodeToString(sum[:16])
	c[name]++
	return name + "-" + strconv.Itoa(c[name])
}
