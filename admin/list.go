package admin

import (
	"cmp"
	"errors"
	"maps"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

const (
	pageSize   = 50
	anyStatus  = "all" // in the URL; without a status the list shows active keys
	fewScopes  = 2     // of a key in the list
	searchSize = 100   // characters, the most that ListOptions takes
)

// A listPage shows a page of the list.
type listPage struct {
	Keys   []keyRow
	Search string
	Owner  string
	Scope  string
	Expiry string // days within which the keys expire
	Unused string // days for which the keys were not used
	Status apikey.Status
	Sort   apikey.Sort
	Audit  bool     // the store keeps an audit trail
	Used   bool     // the store records when keys are used
	Owners bool     // a key on the page has an owner
	Known  []string // scopes to choose from

	Filters bool   // something other than the default narrows the list
	Secret  bool   // the search looks like a key, so the store was not asked
	Short   bool   // the store has not searched all keys, and the page is not full
	Empty   bool   // the store has no keys
	Total   string // number of keys in the list, or ""
	Has     allowance
	Full    string // why the client cannot add a key, or ""
	Pages   pageLinks
	Wider   string // URL of the same list with keys of any status, or ""
	Shell   string // command that uses a key

	Problem string // the text filter that no key can match: search, owner, scope or ""
	Revoked string // name of the key that has just been revoked, or ""
	Here    string // query that leads a question back to this list
	State   string // query of this list
	Export  string // query of this list without its page

	root  string
	query url.Values
}

// More reports whether a filter that is folded up is set.
func (p listPage) More() bool {
	return p.Owner != "" || p.Scope != "" || p.Expiry != "" || p.Unused != ""
}

// Revocable reports whether a key on the page can be revoked.
func (p listPage) Revocable() bool {
	return slices.ContainsFunc(p.Keys, func(r keyRow) bool { return r.Revocable })
}

// OwnerLink returns the URL of the list with the keys of one owner.
func (p listPage) OwnerLink(owner string) string { return p.narrowed("owner", owner) }

// ScopeLink returns the URL of the list with the keys that have a scope.
func (p listPage) ScopeLink(scope string) string { return p.narrowed("scope", scope) }

func (p listPage) narrowed(name, value string) string {
	to := maps.Clone(p.query)
	if to == nil {
		to = url.Values{}
	}
	to.Del("cursor")
	to.Set(name, value)
	return p.root + listQuery(to)
}

// listOptions returns the options of the list with a query. It returns an error that wraps ErrInvalid
// for a value that the form does not offer.
func (v *visit) listOptions(q url.Values) (apikey.ListOptions, error) {
	o := apikey.ListOptions{
		Search: q.Get("search"), Owner: q.Get("owner"), Scope: q.Get("scope"),
		Status: apikey.Status(q.Get("status")), Sort: apikey.Sort(q.Get("sort")), Cursor: q.Get("cursor"), Limit: pageSize,
	}
	if v.own() {
		o.Owner = ""
	}
	switch o.Status {
	case "":
		o.Status = apikey.StatusActive
	case anyStatus:
		o.Status = ""
	}
	within, err := days("expires", q.Get("expires"), "7", "30")
	if err != nil {
		return o, err
	}
	if within > 0 {
		o.ExpiresBefore = v.h.now().Add(within)
	}
	unused, err := days("unused", q.Get("unused"), "30", "90")
	if err != nil {
		return o, err
	}
	if unused > 0 {
		o.UnusedSince = v.h.now().Add(-unused)
	}
	return o, nil
}

// days returns the duration of a number of days that a filter offers; "" is 0.
func days(field, value string, offered ...string) (time.Duration, error) {
	if value == "" {
		return 0, nil
	}
	if !slices.Contains(offered, value) {
		return 0, invalid(field, "%.100q: want %s", value, strings.Join(offered, " or "))
	}
	n, err := strconv.Atoi(value)
	return time.Duration(n) * day, err
}

// list shows a page of keys. The URL holds its state, so that it can be linked to and survives a
// reload.
func (v *visit) list() (page, error) {
	q := v.r.URL.Query()
	title := v.t("API keys")
	if v.own() {
		title = v.t("Your API keys")
		q.Del("owner")
	}
	o, err := v.listOptions(q)
	if err != nil {
		return page{}, err
	}
	p := listPage{
		Search: o.Search, Owner: o.Owner, Scope: o.Scope, Expiry: q.Get("expires"), Unused: q.Get("unused"),
		Status: cmp.Or(o.Status, anyStatus), Sort: o.Sort, Used: v.h.touched, Audit: v.h.audited, Known: v.knownScopes(), Shell: v.h.example.with(keyInExample),
		Revoked: v.justRevoked(), Here: askedIn(listQuery(q)), State: listQuery(q), root: v.root, query: q,
	}
	if p.Has, err = v.allowance(); err != nil {
		return page{}, err
	}
	if p.Has.Full() {
		p.Full = v.fullText(p.Has)
	}
	p.Export = strings.TrimPrefix(p.narrowed("cursor", ""), v.root)
	p.Filters = p.More() || o.Search != "" || p.Status != apikey.StatusActive
	if looksLikeKey(o.Search) {
		p.Secret, p.Search = true, ""
		return page{view: "list", title: title, content: p}, nil
	}
	var wrong *apikey.InvalidError
	if _, err := o.Validate(); errors.As(err, &wrong) && slices.Contains([]string{"Search", "Owner", "Scope"}, wrong.Field) {
		p.Problem = strings.ToLower(wrong.Field)
		return page{status: http.StatusUnprocessableEntity, view: "list", title: title, content: p}, nil
	}
	found, err := v.keys.List(v.r.Context(), o)
	if err != nil {
		return page{}, err
	}
	if p.Keys, err = v.rows(found.Keys); err != nil {
		return page{}, err
	}
	if len(p.Keys) == 0 && !p.Filters && o.Cursor == "" && found.Next == "" {
		if p.Empty, err = v.storeIsEmpty(); err != nil {
			return page{}, err
		}
	}
	if p.Total, err = v.total(o); err != nil {
		return page{}, err
	}
	p.Short = found.Next != "" && len(found.Keys) < pageSize
	p.Owners = !v.own() && slices.ContainsFunc(found.Keys, func(key apikey.Key) bool { return key.Owner != "" })
	p.Pages = pageLinksOf(v.root, q, found.Next)
	if o.Status != "" {
		p.Wider = p.narrowed("status", anyStatus)
	}
	return page{view: "list", title: title, content: p}, nil
}

// knownScopes returns the names of the scopes that the forms offer.
func (v *visit) knownScopes() (names []string) {
	scopes, _ := v.offered()
	for _, scope := range scopes {
		names = append(names, scope.Name)
	}
	return names
}

// total returns the number of keys in a list, or "" if the store does not count.
func (v *visit) total(o apikey.ListOptions) (string, error) {
	count, err := v.keys.Count(v.r.Context(), o)
	return v.countText(count), err
}

// countText returns "" for the count of a store that does not count.
func (v *visit) countText(count apikey.Count) string {
	switch {
	case count.More && count.Keys == 0:
		return ""
	case count.More && count.Keys >= apikey.MaxCount:
		return v.t("More than 10,000 keys")
	case count.More:
		return v.t("At least %d keys", count.Keys)
	case count.Keys == 1:
		return v.t("1 key")
	}
	return v.t("%d keys", count.Keys)
}

// storeIsEmpty reports whether there are no keys of any status.
func (v *visit) storeIsEmpty() (bool, error) {
	found, err := v.keys.List(v.r.Context(), apikey.ListOptions{Limit: 1})
	return len(found.Keys) == 0 && found.Next == "", err
}

const (
	earlierField = "back" // in the URL: a cursor for each earlier page; "" is the first page
	maxEarlier   = 10
	maxState     = 1000 // bytes of one value in the URL
)

// listQuery returns the state of a list as the query of a link, or "". It drops all other parameters,
// because one of them could be a key.
func listQuery(q url.Values) string {
	state := url.Values{}
	for _, name := range [...]string{"search", "owner", "scope", "expires", "unused", "status", "sort", "cursor"} {
		if value := q.Get(name); value != "" && len(value) <= maxState && !(name == "search" && looksLikeKey(value)) {
			state.Set(name, value)
		}
	}
	if earlier := q[earlierField]; state.Has("cursor") && len(earlier) > 0 {
		state[earlierField] = latest(earlier)
	}
	if len(state) == 0 {
		return ""
	}
	return "?" + state.Encode()
}

// pageLinks are the URLs of other pages of a list. "" means that there is no such page.
type pageLinks struct{ First, Previous, Next string }

// pageLinksOf returns the links of a page. A cursor only leads forward, so the URL of a page holds the
// cursors of the ten pages before it.
func pageLinksOf(root string, q url.Values, next string) (links pageLinks) {
	cursor, earlier := q.Get("cursor"), latest(q[earlierField])
	at := func(cursor string, earlier []string) string {
		to := maps.Clone(q)
		to["cursor"], to[earlierField] = []string{cursor}, earlier
		return root + listQuery(to)
	}
	if cursor != "" {
		links.First = at("", nil)
		if n := len(earlier); n > 0 {
			links.Previous = at(earlier[n-1], earlier[:n-1])
		}
	}
	if next != "" {
		links.Next = at(next, append(slices.Clone(earlier), cursor))
	}
	return links
}

// latest returns the last of the earlier cursors, without gaps.
func latest(earlier []string) []string {
	for i := len(earlier) - 1; i >= 0; i-- {
		if len(earlier)-i > maxEarlier || len(earlier[i]) > maxState {
			return earlier[i+1:]
		}
	}
	return earlier
}
