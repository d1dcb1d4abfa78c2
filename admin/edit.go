package admin

import (
	"errors"
	"net/http"
	"slices"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

func (v *visit) addForm() (page, error) {
	has, err := v.allowance()
	switch {
	case err != nil:
		return page{}, err
	case has.Full():
		return v.errorPage(http.StatusForbidden, v.t("Add API key"), v.fullText(has)), nil
	}
	p := keyForm{Expiry: v.defaultExpiry(v.h.now())}
	if len(v.preserved) > 0 {
		p = keyFormOf(v.preserved)
	}
	return v.addPage(http.StatusOK, p), nil
}

func (v *visit) addPage(status int, p keyForm) page {
	p.Path, p.Expiries = "add", choose(v.expiries(v.h.now(), nil), p.Expiry)
	return v.keyFormPage(status, v.t("Add API key"), p)
}

func (v *visit) add() (page, error) {
	nonce, err := v.readOnce()
	if err != nil {
		return page{}, err
	}
	p := keyFormOf(v.r.PostForm)
	values := v.check(&p, nil)
	if len(p.Problems) > 0 {
		return v.addPage(http.StatusUnprocessableEntity, p), nil
	}
	secret, issued, err := v.keys.Issue(v.r.Context(), values, nonce)
	if v.refused(&p, err) {
		return v.addPage(http.StatusUnprocessableEntity, p), nil
	}
	return v.newKey(newKeyPage{Title: v.t("Key created"), Secret: secret, Row: v.row(&issued)}, err)
}

func (v *visit) editForm() (page, error) {
	row, err := v.requestedKey()
	switch {
	case err != nil:
		return page{}, err
	case row.State == apikey.StatusRevoked:
		return v.revokedKey(), nil
	}
	p := keyFormOfKey(&row.Key)
	if v.whole(v.preserved) {
		p = keyFormOf(v.preserved)
	}
	return v.editPage(http.StatusOK, row, p), nil
}

func (v *visit) editPage(status int, row keyRow, p keyForm) page {
	offered := v.expiries(v.h.now(), &row.Key)
	if !slices.ContainsFunc(offered, func(c choice) bool { return c.Value == p.Expiry }) {
		p.Expiry = keepExpiry // a form without a chosen expiry would not be whole
	}
	p.Path, p.Editing, p.Expiries = "keys/"+row.ID+"/edit", &row, choose(offered, p.Expiry)
	return v.keyFormPage(status, v.t("Edit key “%s”", row.Name), p)
}

// edit changes the fields that the administrator has changed in the form. It keeps the other fields, which
// another administrator may have changed since the form was loaded. If both have changed one field, edit
// writes nothing and shows the form again.
func (v *visit) edit() (page, error) {
	if err := v.readForm(); err != nil {
		return page{}, err
	}
	if !v.whole(v.r.PostForm) {
		return page{}, invalid("form", "a field is missing")
	}
	// Another change may come between reading the key and writing it.
	for range maxEdits - 1 {
		if p, err := v.tryEdit(); !errors.Is(err, manage.ErrChanged) {
			return p, err
		}
	}
	return v.tryEdit()
}

const maxEdits = 3

// tryEdit returns an error that wraps [manage.ErrChanged] if the key changes at the same time.
func (v *visit) tryEdit() (page, error) {
	row, err := v.requestedKey()
	switch {
	case err != nil:
		return page{}, err
	case row.State == apikey.StatusRevoked:
		return v.revokedKey(), nil
	}
	p := keyFormOf(v.r.PostForm)
	values := v.check(&p, &row.Key)
	if len(p.Problems) > 0 {
		return v.editPage(http.StatusUnprocessableEntity, row, p), nil
	}
	patch, stale := p.patch(values, &row.Key)
	switch {
	case len(stale) > 0:
		return v.editPage(http.StatusConflict, row, v.refresh(p, row, stale)), nil
	case patch == apikey.Patch{}:
		return redirect("../" + v.id), nil
	}
	_, err = v.keys.Update(v.r.Context(), v.id, manage.Version(row.Key), patch)
	switch {
	case v.refused(&p, err):
		return v.editPage(http.StatusUnprocessableEntity, row, p), nil
	case err != nil:
		return page{}, err
	}
	return redirect("../" + v.id + "?done=" + doneChanged), nil
}

// patch returns the change of the fields that the administrator has changed. stale lists those of them
// that have another value in the key than the form showed.
func (p keyForm) patch(values apikey.NewKey, key *apikey.Key) (patch apikey.Patch, stale []string) {
	current := keyTexts(key)
	wanted := keyTexts(&apikey.Key{
		Name: values.Name, Owner: values.Owner, Scopes: values.Scopes, Networks: values.Networks, Limits: values.Limits, Metadata: values.Metadata, ExpiresAt: values.ExpiresAt,
	})
	set := func(field string, assign func()) {
		if !p.changed(field) || wanted[field] == current[field] {
			return
		}
		if p.was(field) != fingerprint(field, current[field]) {
			stale = append(stale, field)
			return
		}
		assign()
	}
	set("name", func() { patch.Name = &values.Name })
	set("scopes", func() { patch.Scopes = &values.Scopes })
	set("owner", func() { patch.Owner = &values.Owner })
	set("networks", func() { patch.Networks = &values.Networks })
	set("limits", func() { patch.Limits = &values.Limits })
	set("metadata", func() { patch.Metadata = &values.Metadata })
	set("expiry", func() { patch.ExpiresAt = &values.ExpiresAt })
	return patch, stale
}

// refresh returns the form with the administrator's changes to the current key, and a problem at each
// stale field.
func (v *visit) refresh(p keyForm, row keyRow, stale []string) keyForm {
	fresh := keyFormOfKey(&row.Key)
	if p.changed("name") {
		fresh.Name = p.Name
	}
	if p.changed("scopes") {
		fresh.Checked, fresh.Typed, fresh.Confirmed, fresh.Unknown = p.Checked, p.Typed, p.Confirmed, p.Unknown
	}
	if p.changed("owner") {
		fresh.Owner = p.Owner
	}
	if p.changed("networks") {
		fresh.Networks = p.Networks
	}
	if p.changed("limits") {
		fresh.Limits = p.Limits
	}
	if p.changed("metadata") {
		fresh.Metadata = p.Metadata
	}
	fresh.Expiry, fresh.Date = p.Expiry, p.Date
	current := keyTexts(&row.Key)
	current["expiry"] = v.t("Never")
	if !row.ExpiresAt.IsZero() {
		current["expiry"] = row.Expires.Exact
	}
	for _, field := range stale {
		word := v.t("This field has changed since you opened the form. It is empty now.")
		if current[field] != "" {
			word = v.t("This field has changed since you opened the form. Its value is now “%s”.", strings.ReplaceAll(current[field], "\n", ", "))
		}
		fresh.Problems = append(fresh.Problems, problem{field, word})
	}
	return fresh
}
