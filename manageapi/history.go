package manageapi

import (
	"net/http"
	"time"
)

type changeView struct {
	Field string `json:"field"`
	Old   string `json:"old"`
	New   string `json:"new"`
}

type entryView struct {
	At      time.Time    `json:"at"`
	Actor   string       `json:"actor"`
	Action  string       `json:"action"`
	KeyID   string       `json:"key_id,omitempty"`
	Changes []changeView `json:"changes"`
}

// history returns the history of the key in the path, or of all keys if the path has no key.
func (c *call) history() error {
	options, err := auditOptions(c.r.URL.RawQuery)
	if err != nil {
		return err
	}
	options.KeyID = c.id
	page, err := c.session.History(c.r.Context(), options)
	if err != nil {
		return err
	}
	v := struct {
		Entries []entryView `json:"entries"`
		Next    string      `json:"next,omitempty"`
	}{make([]entryView, 0, len(page.Entries)), page.Next}
	for _, e := range page.Entries {
		entry := entryView{At: e.At, Actor: e.Actor, Action: e.Action, KeyID: e.KeyID, Changes: []changeView{}}
		for _, f := range e.Changes {
			entry.Changes = append(entry.Changes, changeView(f))
		}
		v.Entries = append(v.Entries, entry)
	}
	c.linkNext(page.Next)
	return c.writeJSON(http.StatusOK, v)
}
