package admin

import (
	"errors"
	"net/http"
	"slices"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A newKeyPage is the only page that shows a new key.
type newKeyPage struct {
	Title  string
	Secret apikey.Secret
	Row    keyRow
	Old    string // what happens to the key that it replaces, or ""
	Shell  string // command that uses it
}

// Reveal is for the view.
func (p newKeyPage) Reveal() string { return p.Secret.Reveal() }

// newKey shows a key that a form has made. If the form is sent again, it makes no second key, and the
// secret of the first one cannot be shown again.
func (v *visit) newKey(made newKeyPage, err error) (page, error) {
	switch {
	case errors.Is(err, apikey.ErrExists), err == nil && made.Secret.Reveal() == "":
		return page{status: http.StatusConflict, view: "again", title: v.t("Form already sent"), content: made.Row.ID}, nil
	case err != nil:
		return page{}, err
	}
	made.Shell = v.h.example.with(made.Secret.Reveal())
	return page{view: "new", title: made.Title, content: made}, nil
}

// A rotatePage asks how long the old key continues to work.
type rotatePage struct {
	Row     keyRow
	Graces  []choice
	Problem string
	Expires string // when the successor expires
	Rotated bool   // the key has a successor, which is the key to rotate
}

const defaultGrace = "24h"

func (v *visit) graces() []choice {
	return []choice{{Value: "0", Word: v.t("Not at all")}, {Value: "1h", Word: v.t("An hour")}, {Value: defaultGrace, Word: v.t("A day")}, {Value: "168h", Word: v.t("A week")}}
}

func (v *visit) rotateForm() (page, error) {
	grace := defaultGrace
	if len(v.preserved) > 0 {
		grace = v.preserved.Get("grace")
	}
	return v.askGrace(http.StatusOK, grace, "")
}

// askGrace returns the form of a key that can be rotated.
func (v *visit) askGrace(status int, chosen, problem string) (page, error) {
	row, err := v.requestedKey()
	if err != nil {
		return page{}, err
	}
	if err := row.Check(v.h.now()); err != nil {
		return page{}, err
	}
	if row.Beyond != "" {
		return v.errorPage(http.StatusForbidden, v.t("Rotate key “%s”", row.Name), v.beyondText(row.Beyond)), nil
	}
	replaced, err := v.isReplaced(&row)
	if err != nil {
		return page{}, err
	}
	p := rotatePage{Row: row, Rotated: replaced}
	if !replaced {
		p.Graces, p.Problem, p.Expires = choose(v.graces(), chosen), problem, v.successorExpires(row)
	}
	return v.rotatePage(status, p), nil
}

func (v *visit) rotatePage(status int, p rotatePage) page {
	return page{status: status, view: "rotate", title: v.t("Rotate key “%s”", p.Row.Name), content: p}
}

// isReplaced reports whether a key has a successor that is not revoked. If the client may not see the
// successor, because it has another owner, isReplaced removes its ID from the row.
func (v *visit) isReplaced(row *keyRow) (bool, error) {
	if row.Successor == "" {
		return false, nil
	}
	successor, err := v.keys.Get(v.r.Context(), row.Successor)
	if errors.Is(err, apikey.ErrNotFound) {
		row.Successor = ""
		return true, nil
	}
	return successor.RevokedAt.IsZero(), err
}

// successorExpires says when the successor will expire. A rotation shortens the lifetime of a key, so a
// key with revoked successors does not show its original lifetime.
func (v *visit) successorExpires(row keyRow) string {
	now := v.h.now()
	latest, limited := v.latestExpiry(now, nil)
	life := row.ExpiresAt.Sub(row.CreatedAt)
	at := now.Add(life)
	switch {
	case row.Successor != "" || row.CreatedAt.IsZero() || !row.ExpiresAt.IsZero() && life <= 0:
		if limited {
			return v.t("The new key gets the lifetime that this key had at first, but will expire on %s at the latest.", v.moment(latest).Exact)
		}
		return v.t("The new key gets the lifetime that this key had at first.")
	case limited && (row.ExpiresAt.IsZero() || at.After(latest)):
		at = latest
	case row.ExpiresAt.IsZero():
		return v.t("The new key will not expire.")
	}
	return v.t("The new key will expire on %s.", v.moment(at).Exact)
}

func (v *visit) rotate() (page, error) {
	nonce, err := v.readOnce()
	if err != nil {
		return page{}, err
	}
	chosen := v.r.PostForm.Get("grace")
	if !slices.ContainsFunc(v.graces(), func(c choice) bool { return c.Value == chosen }) {
		return v.askGrace(http.StatusUnprocessableEntity, "", v.t("Choose how long the old key continues to work."))
	}
	grace, _ := time.ParseDuration(chosen)
	made, err := v.makeSuccessor(grace, nonce)
	var replaced *apikey.ReplacedError
	if !errors.As(err, &replaced) {
		return v.newKey(made, err)
	}
	row, err := v.requestedKey()
	if err != nil {
		return page{}, err
	}
	row.Successor = replaced.Successor
	if _, err := v.isReplaced(&row); err != nil {
		return page{}, err
	}
	return v.rotatePage(http.StatusConflict, rotatePage{Row: row, Rotated: true}), nil
}

func (v *visit) makeSuccessor(grace time.Duration, nonce string) (newKeyPage, error) {
	secret, successor, err := v.keys.Rotate(v.r.Context(), v.id, grace, nonce)
	if err != nil {
		return newKeyPage{}, err
	}
	made := newKeyPage{Title: v.t("Key rotated"), Secret: secret, Row: v.row(&successor), Old: v.t("The old key no longer works.")}
	// The store may have set an earlier expiry than the grace: the expiry of the old key itself.
	if old, err := v.keys.Get(v.r.Context(), v.id); err == nil && old.Check(v.h.now()) == nil {
		made.Old = v.t("The old key works until %s.", v.end(old.ExpiresAt).Exact)
	}
	return made, nil
}
