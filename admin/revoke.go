package admin

import (
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// A revokePage asks whether to revoke a key.
type revokePage struct {
	Row   keyRow
	Used  bool   // the store records when keys are used
	Query string // of the form, for the way back
	Back  string // URL of Cancel
}

func (v *visit) revokeForm() (page, error) {
	row, err := v.requestedKey()
	if err != nil {
		return page{}, err
	}
	p := revokePage{Row: row, Used: v.h.touched, Back: v.askedAt()}
	if q := v.r.URL.Query(); q.Has("list") {
		p.Query = askedIn(q.Get("list"))
	}
	return page{view: "revoke", title: v.t("Revoke key?"), content: p}, nil
}

// revoke needs no nonce, because revoking a key again changes nothing.
func (v *visit) revoke() (page, error) {
	if err := v.readForm(); err != nil {
		return page{}, err
	}
	if _, err := v.keys.Revoke(v.r.Context(), v.id); err != nil {
		return page{}, err
	}
	to := v.askedAt()
	separator := "?"
	if strings.Contains(to, "?") {
		separator = "&"
	}
	return redirect(to + separator + "revoked=" + v.id), nil
}

// askedIn returns the query of a question that is asked in a list with the query list.
func askedIn(list string) string { return "?list=" + url.QueryEscape(list) }

// askedAt returns the page that asked whether to revoke the key: the list, in its state, or the page
// of the key.
func (v *visit) askedAt() string {
	q := v.r.URL.Query()
	if !q.Has("list") {
		return "../" + v.id
	}
	return v.listAt(q.Get("list"))
}

// justRevoked returns the name of the key that the URL calls revoked, or "". A forged link can only
// name a key that really is revoked.
func (v *visit) justRevoked() string {
	id := v.r.URL.Query().Get("revoked")
	if !apikey.ValidID(id) {
		return ""
	}
	key, err := v.keys.Get(v.r.Context(), id)
	if err != nil || key.RevokedAt.IsZero() {
		return ""
	}
	return key.Name
}

// A revokeSelectedPage asks whether to revoke the keys that were selected in the list.
type revokeSelectedPage struct {
	Rows []keyRow
	List string // query of the list
	Back string // URL of the list
}

func (v *visit) revokeSelectedForm() (page, error) {
	form := v.r.URL.Query()
	if len(v.preserved) > 0 {
		form = v.preserved
	}
	p := revokeSelectedPage{List: form.Get("list"), Back: v.listAt(form.Get("list"))}
	ids, err := selectedIDs(form)
	if err != nil {
		return page{}, err
	}
	for _, id := range ids {
		key, err := v.keys.Get(v.r.Context(), id)
		if err != nil && !errors.Is(err, apikey.ErrNotFound) {
			return page{}, err
		}
		if err == nil && key.RevokedAt.IsZero() {
			p.Rows = append(p.Rows, v.row(&key))
		}
	}
	if len(p.Rows) == 0 {
		return v.errorPage(http.StatusUnprocessableEntity, v.t("No keys selected"), v.t("Select the keys to revoke in the list first.")), nil
	}
	return page{view: "revokeselected", title: v.t("Revoke the selected keys?"), content: p}, nil
}

// selectedIDs returns the selected IDs. If there are more than a page of the list has, the error wraps
// ErrInvalid, because revoking only some of the selected keys would mislead.
func selectedIDs(form url.Values) (ids []string, err error) {
	for _, id := range form["id"] {
		if apikey.ValidID(id) && !slices.Contains(ids, id) {
			ids = append(ids, id)
		}
		if len(ids) > pageSize {
			return nil, invalid("id", "want at most %d", pageSize)
		}
	}
	return ids, nil
}

// listAt returns the URL of the list with a query.
func (v *visit) listAt(query string) string { return v.root + cleanList(query) }

// cleanList returns a query with only the state of a list.
func cleanList(query string) string {
	state, _ := url.ParseQuery(strings.TrimPrefix(query, "?"))
	return listQuery(state)
}

// revokeSelected needs no nonce, because revoking a key again changes nothing. After a failure the
// form may be sent again.
func (v *visit) revokeSelected() (page, error) {
	if err := v.readForm(); err != nil {
		return page{}, err
	}
	form := v.r.PostForm
	done := donePage{Back: v.listAt(form.Get("list"))}
	ids, err := selectedIDs(form)
	if err != nil {
		return page{}, err
	}
	for _, id := range ids {
		key, revoked, err := v.revokeLive(id)
		if err != nil {
			return page{}, &partialRevocation{len(done.Rows), err}
		}
		if revoked {
			done.Rows = append(done.Rows, v.row(&key))
		}
	}
	done.Message = v.revokedText(len(done.Rows))
	return page{view: "done", title: v.t("Keys revoked"), content: done}, nil
}

func (v *visit) revokedText(n int) string {
	if n == 1 {
		return v.t("1 key was revoked.")
	}
	return v.t("%d keys were revoked.", n)
}

// revokeLive revokes a key, and reports whether it did so. It does nothing to an unknown or revoked key.
func (v *visit) revokeLive(id string) (key apikey.Key, revoked bool, err error) {
	key, err = v.keys.Get(v.r.Context(), id)
	if err == nil && key.RevokedAt.IsZero() {
		key, err = v.keys.Revoke(v.r.Context(), id)
		revoked = err == nil
	}
	if errors.Is(err, apikey.ErrNotFound) {
		err = nil
	}
	return key, revoked, err
}

// A partialRevocation is the failure of a store that has revoked some keys.
type partialRevocation struct {
	revoked int
	err     error
}

func (p *partialRevocation) Error() string { return p.err.Error() }

func (p *partialRevocation) Unwrap() error { return p.err }

// A revokeOwnerPage asks for the owner's name before it revokes the owner's keys.
type revokeOwnerPage struct {
	Owner   string
	Total   string // number of keys that are not revoked, or "" if the store does not count
	None    bool   // there is no key to revoke
	Problem string
	Back    string // URL of the owner's keys
}

// A donePage confirms a change of several keys.
type donePage struct {
	Message string
	Rows    []keyRow // the changed keys
	Back    string
}

func (v *visit) revokeOwnerForm() (page, error) {
	asked := v.r.URL.Query()
	if v.preserved.Has("owner") {
		asked = v.preserved
	}
	owner, err := v.ownerIn(asked)
	if err != nil {
		return page{}, err
	}
	return v.askOwner(http.StatusOK, owner, "")
}

// ownerIn returns the owner whose keys a form is to revoke. In the session of an owner that is the owner
// of the session. A form for another owner, for example from before a change of the account, is an error,
// because it would otherwise revoke the wrong keys.
func (v *visit) ownerIn(form url.Values) (string, error) {
	if !v.own() {
		return form.Get("owner"), nil
	}
	own := v.access().Owner
	if form.Has("owner") && form.Get("owner") != own {
		return "", &manage.RefusedError{Rule: manage.RuleOwner, Field: "Owner", Problem: "You can manage only your own keys."}
	}
	return own, nil
}

func (v *visit) askOwner(status int, owner, problem string) (page, error) {
	if owner == "" {
		return page{}, invalid("owner", "want the owner of keys")
	}
	p := revokeOwnerPage{Owner: owner, Problem: problem, Back: v.ownersKeys(owner)}
	var sum apikey.Count
	for _, status := range []apikey.Status{apikey.StatusActive, apikey.StatusSuspended, apikey.StatusExpired} {
		count, err := v.keys.Count(v.r.Context(), apikey.ListOptions{Owner: owner, Status: status})
		if err != nil {
			return page{}, err
		}
		sum.Keys, sum.More = sum.Keys+count.Keys, sum.More || count.More
	}
	p.Total, p.None = v.countText(sum), sum == apikey.Count{}
	title := v.t("Revoke all keys of an owner?")
	if v.own() {
		title = v.t("Revoke all of your keys?")
	}
	return page{status: status, view: "revokeowner", title: title, content: p}, nil
}

// ownersKeys returns the URL of the list with all keys of an owner.
func (v *visit) ownersKeys(owner string) string {
	q := url.Values{"owner": {owner}, "status": {anyStatus}}
	if v.own() {
		q.Del("owner")
	}
	return v.root + listQuery(q)
}

// revokeOwner needs no nonce, because it revokes only keys that are not revoked.
func (v *visit) revokeOwner() (page, error) {
	if err := v.readForm(); err != nil {
		return page{}, err
	}
	owner, err := v.ownerIn(v.r.PostForm)
	if err != nil {
		return page{}, err
	}
	switch typed := v.r.PostForm.Get("confirm"); {
	case v.own() && typed == "":
		return v.askOwner(http.StatusUnprocessableEntity, owner, v.t("Confirm that you want to revoke all of your keys."))
	case !v.own() && typed != owner && strings.TrimSpace(typed) != owner:
		return v.askOwner(http.StatusUnprocessableEntity, owner, v.t("This is not the name of the owner."))
	}
	n, err := v.keys.RevokeAll(v.r.Context(), owner)
	if err != nil {
		return page{}, &partialRevocation{n, err}
	}
	message := v.t("%d keys of “%s” were revoked.", n, owner)
	switch {
	case v.own():
		message = v.revokedText(n)
	case n == 1:
		message = v.t("1 key of “%s” was revoked.", owner)
	}
	return page{view: "done", title: v.t("Keys revoked"), content: donePage{Message: message, Back: v.ownersKeys(owner)}}, nil
}
