package keyjson

import (
	"time"

	"github.com/latchkey-dev/apikey"
)

// A History is a page of an audit trail. Next is the cursor of the next page, or "" on the last one.
type History struct {
	Entries []Entry `json:"entries"`
	Next    string  `json:"next,omitempty"`
}

// An Entry is one change of one key.
type Entry struct {
	At      time.Time `json:"at"`
	Actor   string    `json:"actor"`
	Action  string    `json:"action"`
	KeyID   string    `json:"key_id,omitempty"`
	Changes []Change  `json:"changes"`
}

// A Change is a field before and after a change.
type Change struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

// EntryOf returns the JSON object of an entry.
func EntryOf(e apikey.AuditEntry) Entry {
	v := Entry{At: e.At, Actor: e.Actor, Action: e.Action, KeyID: e.KeyID, Changes: []Change{}}
	for _, c := range e.Changes {
		v.Changes = append(v.Changes, Change(c))
	}
	return v
}

// Value returns the entry of an object.
func (v Entry) Value() apikey.AuditEntry {
	e := apikey.AuditEntry{At: v.At, Actor: v.Actor, Action: v.Action, KeyID: v.KeyID}
	for _, c := range v.Changes {
		e.Changes = append(e.Changes, apikey.FieldChange(c))
	}
	return e
}
