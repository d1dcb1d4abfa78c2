package admin

import (
	"net/http"
	"net/url"
	"time"

	"github.com/latchkey-dev/apikey"
)

const (
	pageSize     = 50
	expiringSoon = 7 * 24 * time.Hour
	unusedFor    = 90 * 24 * time.Hour
)

// listPage is what the list shows.
type listPage struct {
	Keys    []keyRow
	Search  string
	Status  string
	Sort    string
	Used    bool // last uses are known
	Owners  bool // one of the keys has an owner
	Filters bool // something narrows the list

	First string // "": this is the first page
	Next  string // "": this is the last one
	Short bool   // the search has not looked at all keys, and this page is not full
	Empty bool   // there are no keys at all
	Shell string // a command that uses a key

	Revoked string // the name of the key that was just revoked, or ""
	Here    string // the query of a question that is asked in this list
}

// list shows a page of keys. Its state is in the URL, so that it can be linked to and survives a
// reload.
func (h *Handler) list(v *visit) {
	q := v.r.URL.Query()
	o := apikey.ListOptions{
		Search: q.Get("search"), Status: q.Get("status"), Sort: q.Get("sort"), Cursor: q.Get("cursor"), Limit: pageSize,
	}
	found, err := h.keys.List(v.r.Context(), o)
	if err != nil {
		v.storeFailed(err)
		return
	}
	p := listPage{
		Search: o.Search, Status: o.Status, Sort: o.Sort, Used: h.touched, Shell: h.example.with(keyInExample),
		Filters: o.Search != "" || o.Status != "",
		Short:   found.Next != "" && len(found.Keys) < pageSize,
		Revoked: v.revokedNow(), Here: askedIn(listQuery(q)),
	}
	for i := range found.Keys {
		p.Keys = append(p.Keys, v.row(&found.Keys[i]))
		p.Owners = p.Owners || found.Keys[i].Owner != ""
	}
	p.Empty = len(p.Keys) == 0 && !p.Filters && o.Cursor == "" && found.Next == ""
	if o.Cursor != "" {
		q.Del("cursor")
		p.First = v.root + listQuery(q)
	}
	if found.Next != "" {
		q.Set("cursor", found.Next)
		p.Next = v.root + listQuery(q)
	}
	v.show(http.StatusOK, "list", h.text.ListTitle, p)
}

// listQuery returns what makes the state of a list, as the query of a link, or "". Whatever else
// stands in a URL stays out of links and redirects: it could be a key.
func listQuery(q url.Values) string {
	kept := url.Values{}
	for _, name := range [...]string{"search", "status", "sort", "cursor"} {
		if value := q.Get(name); value != "" {
			kept.Set(name, value)
		}
	}
	if len(kept) == 0 {
		return ""
	}
	return "?" + kept.Encode()
}

// A keyRow is a key as pages show it.
type keyRow struct {
	apikey.Key
	State   string // active, expiring, expired or revoked
	Word    string // for it
	Created moment
	Used    moment
	Expires moment
	Revoked moment
	Unused  bool // for long, though it was used once
	Usable  bool
}

func (v *visit) row(key *apikey.Key) keyRow {
	t, now := v.h.text, v.h.now()
	r := keyRow{
		Key: *key, State: apikey.StatusActive, Word: t.StatusActive, Usable: key.Check(now) == nil,
		Created: v.moment(key.CreatedAt), Used: v.moment(key.LastUsedAt), Expires: v.moment(key.ExpiresAt), Revoked: v.moment(key.RevokedAt),
	}
	switch {
	case !key.RevokedAt.IsZero():
		r.State, r.Word = apikey.StatusRevoked, t.StatusRevoked
	case !r.Usable:
		r.State, r.Word = apikey.StatusExpired, t.StatusExpired
	case !key.ExpiresAt.IsZero() && key.ExpiresAt.Sub(now) <= expiringSoon:
		r.State, r.Word = "expiring", t.StatusExpiring
	}
	r.Unused = r.Usable && v.h.touched && !key.LastUsedAt.IsZero() && now.Sub(key.LastUsedAt) >= unusedFor
	return r
}
