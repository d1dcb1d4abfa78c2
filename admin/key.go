package admin

import (
	"net/http"
	"net/url"

	"github.com/latchkey-dev/apikey"
)

const historySize = 25

// keyPage is the page of one key.
type keyPage struct {
	Row     keyRow
	Used    bool // last uses are known
	Heir    heir
	Kept    bool   // the store keeps a history
	Revoked string // the name of the key, if it was just revoked
	History []historyRow
	Newest  string // "": these are the newest entries
	Older   string // "": there are none
}

// A historyRow is one change.
type historyRow struct {
	When                moment
	Actor, What, Detail string
}

func (h *Handler) key(v *visit) {
	key, err := h.keys.Get(v.r.Context(), v.id)
	if err != nil {
		v.storeFailed(err)
		return
	}
	p := keyPage{Row: v.row(&key), Used: h.touched, Kept: h.audit != nil, Revoked: v.revokedNow()}
	if h.audit != nil {
		cursor := v.r.URL.Query().Get("cursor")
		entries, next, err := h.audit.Audit(v.r.Context(), v.id, cursor, historySize)
		if err != nil {
			v.storeFailed(err)
			return
		}
		for _, e := range entries {
			p.History = append(p.History, v.historyRow(e))
		}
		p.Heir = heirIn(entries)
		if all := cursor == "" && next == ""; !all && !p.Heir.Exists {
			if p.Heir, err = h.heirOf(v.r.Context(), v.id); err != nil {
				v.storeFailed(err)
				return
			}
		}
		if cursor != "" {
			p.Newest = "./" + v.id
		}
		if next != "" {
			p.Older = "./" + v.id + "?cursor=" + url.QueryEscape(next)
		}
	}
	v.show(http.StatusOK, "key", key.Name, p)
}

func (v *visit) historyRow(e apikey.AuditEntry) historyRow {
	t := v.h.text
	what, ok := map[string]string{"create": t.ActionCreate, "update": t.ActionUpdate, "replace": t.ActionReplace, "revoke": t.ActionRevoke}[e.Action]
	if !ok {
		what = e.Action
	}
	actor := e.Actor
	if actor == "" {
		actor = t.UnknownActor
	}
	return historyRow{v.moment(e.At), actor, what, e.Detail}
}
