package sqlstore

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"unicode"
	"unicode/utf8"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/internal/listing"
)

// Audit returns a page of the audit trail, the newest entry first. The error is [apikey.ErrInvalid]
// for invalid options.
func (s *Store) Audit(ctx context.Context, o apikey.AuditOptions) (apikey.AuditPage, error) {
	o, err := o.Validate()
	if err != nil {
		return apikey.AuditPage{}, err
	}
	from, follows, err := listing.ParseAudit(o)
	if err != nil {
		return apikey.AuditPage{}, err
	}
	query, args := "SELECT rev, at, actor, action, key_id, detail, changes FROM apikey_audit WHERE rev < ? ", []any{from.Seq}
	if !follows {
		args[0] = int64(math.MaxInt64)
	}
	if o.KeyID != "" {
		if !isID(o.KeyID) {
			return apikey.AuditPage{}, nil
		}
		query += "AND key_seq = (SELECT seq FROM apikey_keys WHERE id = ?) "
		args = append(args, o.KeyID)
	}
	var page apikey.AuditPage
	err = s.read(ctx, func(ctx context.Context) error {
		rows, err := s.query(ctx, query+"ORDER BY rev DESC LIMIT ?", append(args, o.Limit+1)...)
		if err != nil {
			return err
		}
		defer rows.Close()
		var rev int64
		for rows.Next() {
			if len(page.Entries) == o.Limit {
				page.Next = listing.AuditCursor(o, rev)
				return nil
			}
			var e apikey.AuditEntry
			var at int64
			var detail, changes string
			if err := rows.Scan(&rev, &at, &e.Actor, &e.Action, &e.KeyID, &detail, &changes); err != nil {
				return err
			}
			e.At = timeOf(at)
			if e.Changes, err = fieldsOf(e.Action, detail, changes); err != nil {
				return fmt.Errorf("apikey_audit: revision %d: %w", rev, err)
			}
			page.Entries = append(page.Entries, e)
		}
		return rows.Err()
	})
	if err != nil {
		return apikey.AuditPage{}, err
	}
	return page, nil
}

// A fieldChange is the JSON form of an apikey.FieldChange in the column changes.
type fieldChange struct {
	Field string `json:"field"`
	Old   string `json:"old,omitempty"`
	New   string `json:"new,omitempty"`
}

// json returns the value of the column changes. It is [] if no field changed, because an empty text
// marks an entry of a program of version 1.
func (c *change) json() string {
	list := make([]fieldChange, len(c.fields))
	for i, f := range c.fields {
		list[i] = fieldChange(f)
	}
	b, _ := json.Marshal(list) // never fails for strings
	return string(b)
}

// detail returns the value of the column detail, which programs of version 1 of the schema read.
func (c *change) detail() string {
	var names []string
	for _, f := range c.fields {
		switch {
		case c.action == "create" && f.Field == "replaces":
			return "replaces " + f.New
		case c.action == "replace" && f.Field == "replaced_by":
			return "by " + f.New
		case c.action == "update" && f.Field == "expires":
			names = append(names, "expiry")
		case c.action == "update":
			names = append(names, f.Field)
		}
	}
	return strings.Join(names, ", ")
}

// fieldsOf returns the changes of an entry. An entry of a program of version 1 names fields without
// values.
func fieldsOf(action, detail, changes string) ([]apikey.FieldChange, error) {
	if changes != "" {
		var list []fieldChange
		if err := json.Unmarshal([]byte(changes), &list); err != nil {
			return nil, fmt.Errorf("column changes: %w", err)
		}
		var all []apikey.FieldChange
		for _, f := range list {
			all = append(all, apikey.FieldChange(f))
		}
		return all, nil
	}
	switch {
	case detail == "":
		return nil, nil
	case action == "create":
		return []apikey.FieldChange{{Field: "replaces", New: strings.TrimPrefix(detail, "replaces ")}}, nil
	case action == "replace":
		return []apikey.FieldChange{{Field: "replaced_by", New: strings.TrimPrefix(detail, "by ")}}, nil
	}
	var all []apikey.FieldChange
	for field := range strings.SplitSeq(detail, ", ") {
		if field == "expiry" {
			field = "expires"
		}
		all = append(all, apikey.FieldChange{Field: field})
	}
	return all, nil
}

// maxActor is the maximum number of characters of an actor in the audit trail.
const maxActor = 200

// actorOf returns the actor of a change as text that every database can store. It shortens and
// replaces instead of failing, because an actor's name must not prevent a revocation.
func actorOf(ctx context.Context) string {
	actor := apikey.Actor(ctx)
	actor = actor[:min(len(actor), maxActor*utf8.UTFMax)]
	n := 0
	return strings.Map(func(r rune) rune {
		if n++; n > maxActor {
			return -1
		}
		if unicode.IsControl(r) {
			return utf8.RuneError
		}
		return r // strings.Map has replaced invalid UTF-8 by RuneError
	}, actor)
}
