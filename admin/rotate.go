package admin

import (
	"cmp"
	"errors"
	"net/http"
	"time"
)

// rotatePage asks for how long the old key goes on.
type rotatePage struct {
	Row     keyRow
	Graces  []choice
	Problem string
	Rotated bool // it has a successor, which is the one to rotate
}

var errRotated = errors.New("admin: the key was rotated already")

const defaultGrace = "24h"

func (h *Handler) graces() []choice {
	t := h.text
	return []choice{{Value: "0", Word: t.GraceNone}, {Value: "1h", Word: t.GraceHour}, {Value: defaultGrace, Word: t.GraceDay}, {Value: "168h", Word: t.GraceWeek}}
}

func (h *Handler) rotateForm(v *visit) { v.showRotate(http.StatusOK, defaultGrace, "") }

func (v *visit) showRotate(status int, chosen, problem string) {
	h := v.h
	key, err := h.keys.Get(v.r.Context(), v.id)
	if err == nil {
		err = key.Check(h.now())
	}
	if err != nil {
		v.storeFailed(err)
		return
	}
	p := rotatePage{Row: v.row(&key), Graces: h.graces(), Problem: problem}
	if p.Rotated, err = h.rotated(v.r.Context(), v.id); err != nil {
		v.storeFailed(err)
		return
	}
	for i := range p.Graces {
		p.Graces[i].Chosen = p.Graces[i].Value == chosen
	}
	v.show(status, "rotate", h.text.Format(h.text.RotateTitle, key.Name), p)
}

func (h *Handler) rotate(v *visit) {
	nonce, ok := v.readForm()
	if !ok {
		return
	}
	grace, known := time.Duration(0), false
	for _, choice := range h.graces() {
		if choice.Value == v.r.PostForm.Get("grace") {
			grace, _ = time.ParseDuration(choice.Value)
			known = true
		}
	}
	if !known {
		v.showRotate(http.StatusUnprocessableEntity, "", h.text.ProblemGrace)
		return
	}
	var made newPage
	id, first, err := h.once.do(v.r.Context(), nonce, func() (string, error) {
		if rotated, err := h.rotated(v.r.Context(), v.id); err != nil || rotated {
			return "", cmp.Or(err, errRotated)
		}
		secret, successor, err := h.issuer.Rotate(v.ctx(), v.id, grace)
		if err != nil {
			return "", err
		}
		made = newPage{Secret: secret, Row: v.row(&successor), Old: h.text.OldKeyEnded}
		// What the store has set, which is the key's own expiry if that comes first.
		if old, err := h.keys.Get(v.r.Context(), v.id); err == nil && old.Check(h.now()) == nil {
			made.Old = h.text.Format(h.text.OldKeyUntil, v.moment(old.ExpiresAt).Exact)
		}
		return successor.ID, nil
	})
	if errors.Is(err, errRotated) {
		v.showRotate(http.StatusConflict, "", "")
		return
	}
	v.showNew(made, id, first, err)
}
