package admin

import (
	"cmp"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

const historySize = 25 // entries of a page

// A history is a page of changes, the newest first.
type history struct {
	Kept   bool // the store keeps an audit trail
	Every  bool // of all keys, so that rows name their key
	Root   string
	Rows   []historyRow
	Newest string // URL of the first page, or "" on it
	Older  string // URL of the next page, or "" on the last one
}

// A historyRow is one change.
type historyRow struct {
	When        moment
	KeyID       string // "" for a change of several keys
	Actor, What string
	Changes     []fieldRow
}

// A fieldRow is a field before and after a change. Old and New are "" where the field had no value.
// Scopes, networks and limits have Added and Removed instead.
type fieldRow struct {
	Field    string
	Old, New string
	ID       string // of another key, instead of New
	Added    []string
	Removed  []string
}

// history returns changes of one key, or of all keys for the ID "". here is the URL of the page.
func (v *visit) history(keyID, here string) (history, error) {
	if !v.h.audited {
		return history{}, nil
	}
	cursor := v.r.URL.Query().Get("cursor")
	found, err := v.keys.History(v.r.Context(), apikey.AuditOptions{KeyID: keyID, Cursor: cursor, Limit: historySize})
	if err != nil {
		return history{}, err
	}
	past := history{Kept: true, Every: keyID == "", Root: v.root}
	for _, e := range found.Entries {
		past.Rows = append(past.Rows, v.historyRow(e))
	}
	if cursor != "" {
		past.Newest = here
	}
	if found.Next != "" {
		past.Older = here + "?cursor=" + url.QueryEscape(found.Next)
	}
	return past, nil
}

func (v *visit) historyRow(e apikey.AuditEntry) historyRow {
	row := historyRow{When: v.moment(e.At), KeyID: e.KeyID, Actor: cmp.Or(e.Actor, v.t("unknown")), What: v.actionName(e)}
	for _, c := range e.Changes {
		if c.Field == "owner" && v.own() {
			continue // the owner's ID says nothing to the owner
		}
		change := v.fieldRow(c)
		if e.Action == "create" {
			change.Old = ""
		}
		row.Changes = append(row.Changes, change)
	}
	return row
}

// actionName returns the name of an entry's action, and an unknown action unchanged. A change that only
// suspends or resumes a key has its own name.
func (v *visit) actionName(e apikey.AuditEntry) string {
	switch e.Action {
	case "create":
		return v.t("Created")
	case "update":
		if len(e.Changes) != 1 || e.Changes[0].Field != "suspended" {
			return v.t("Changed")
		}
		if e.Changes[0].New == "" {
			return v.t("Resumed")
		}
		return v.t("Suspended")
	case "replace":
		return v.t("Rotated")
	case "revoke":
		return v.t("Revoked")
	case "revoke_all":
		return v.t("Revoked all keys of an owner")
	}
	return e.Action
}

// fieldName returns the name of a field, and an unknown field unchanged.
func (v *visit) fieldName(field string) string {
	switch field {
	case "name":
		return v.t("Name")
	case "owner":
		return v.t("Owner")
	case "scopes":
		return v.t("Scopes")
	case "networks":
		return v.t("Networks")
	case "limits":
		return v.t("Limits")
	case "metadata":
		return v.t("Metadata")
	case "expires":
		return v.t("Expires")
	case "suspended":
		return v.t("Suspended")
	case "revoked":
		return v.t("Revoked")
	case "replaces":
		return v.t("Replaces")
	case "replaced_by":
		return v.t("Replaced by")
	case "count":
		return v.t("Number of keys")
	}
	return field
}

func (v *visit) fieldRow(c apikey.FieldChange) fieldRow {
	row := fieldRow{Field: v.fieldName(c.Field), Old: c.Old, New: c.New}
	switch c.Field {
	case "scopes", "networks", "limits":
		old, new := strings.Fields(c.Old), strings.Fields(c.New)
		row.Old, row.New = "", ""
		row.Added, row.Removed = without(new, old), without(old, new)
	case "expires":
		row.Old, row.New = timeIn(c.Old, v.end), timeIn(c.New, v.end)
		if c.Old != "" || c.New != "" {
			row.Old, row.New = cmp.Or(row.Old, v.t("Never")), cmp.Or(row.New, v.t("Never"))
		}
	case "suspended", "revoked":
		row.Old, row.New = timeIn(c.Old, v.moment), timeIn(c.New, v.moment)
	case "replaces", "replaced_by":
		if apikey.ValidID(c.New) {
			row.New, row.ID = "", c.New
		}
	}
	return row
}

// without returns the values that are not in others.
func without(values, others []string) []string {
	return slices.DeleteFunc(slices.Clone(values), func(s string) bool { return slices.Contains(others, s) })
}

// timeIn returns the time in an audit entry as pages show it. It returns other texts unchanged.
func timeIn(text string, show func(time.Time) moment) string {
	at, err := time.Parse(time.RFC3339Nano, text)
	if err != nil {
		return text
	}
	return show(at).Exact
}

// activity shows the changes of all keys.
func (v *visit) activity() (page, error) {
	past, err := v.history("", "./activity")
	if err != nil {
		return page{}, err
	}
	return page{view: "activity", title: v.t("Activity"), content: past}, nil
}
