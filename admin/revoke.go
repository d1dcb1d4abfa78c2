package admin

import (
	"net/http"
	"net/url"
	"strings"
)

// revokePage asks whether a key is to be revoked.
type revokePage struct {
	Row   keyRow
	Used  bool   // last uses are known
	Query string // of the form: where it was asked
	Back  string // what Cancel leads to
}

func (h *Handler) revokeForm(v *visit) {
	key, err := h.keys.Get(v.r.Context(), v.id)
	if err != nil {
		v.storeFailed(err)
		return
	}
	p := revokePage{Row: v.row(&key), Used: h.touched, Back: v.back(false)}
	if q := v.r.URL.Query(); q.Has("list") {
		p.Query = askedIn(q.Get("list"))
	}
	v.show(http.StatusOK, "revoke", h.text.Revoke, p)
}

// revoke may be sent as often as one likes: the first time counts.
func (h *Handler) revoke(v *visit) {
	if _, ok := v.readForm(); !ok {
		return
	}
	if _, err := h.keys.Revoke(v.ctx(), v.id); err != nil {
		v.storeFailed(err)
		return
	}
	v.location(v.back(true))
}

// askedIn returns the query of a question that is asked in a list, whose own query it holds.
func askedIn(list string) string { return "?list=" + url.QueryEscape(list) }

// back returns the page on which it was asked whether to revoke a key: the list, as it was, or
// the key's own. After that the page says so.
func (v *visit) back(revoked bool) string {
	to, query := "../"+v.id, ""
	if q := v.r.URL.Query(); q.Has("list") {
		state, _ := url.ParseQuery(strings.TrimPrefix(q.Get("list"), "?"))
		to, query = v.root, listQuery(state)
	}
	switch {
	case !revoked:
	case query == "":
		query = "?revoked=" + v.id
	default:
		query += "&revoked=" + v.id
	}
	return to + query
}

// revokedNow returns the name of a key that was just revoked, as the URL has it, or "". A link
// that somebody made up can tell of nothing but what is so.
func (v *visit) revokedNow() string {
	id := v.r.URL.Query().Get("revoked")
	if !validID(id) {
		return ""
	}
	key, err := v.h.keys.Get(v.r.Context(), id)
	if err != nil || key.RevokedAt.IsZero() {
		return ""
	}
	return key.Name
}
