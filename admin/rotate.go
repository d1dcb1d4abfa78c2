package admin

import (
	"cmp"
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
)

// rotatePage asks for how long the old key goes on.
type rotatePage struct {
	Row     keyRow
	Graces  []choice
	Problem string
	Heir    heir
	Kept    bool // the store keeps a history, by which a rotation is known
}

// An heir is what is known of a key's successor, which is the one to rotate.
type heir struct {
	Exists bool
	ID     string // "" if the history does not name it
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
	p := rotatePage{Row: v.row(&key), Graces: h.graces(), Problem: problem, Kept: h.audit != nil}
	if p.Heir, err = h.heirOf(v.r.Context(), v.id); err != nil {
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
		// One rotation at a time, or two tabs would both find that there was none. Of several
		// processes each sees to itself.
		h.rotating.Lock()
		defer h.rotating.Unlock()
		if heir, err := h.heirOf(v.r.Context(), v.id); err != nil || heir.Exists {
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

// heirOf returns the successor of a key, as far as the store keeps a history: a second one would
// live no longer than the first one's time of grace. What comes after a rotation are a few
// changes at most.
func (h *Handler) heirOf(ctx context.Context, id string) (heir, error) {
	if h.audit == nil {
		return heir{}, nil
	}
	entries, _, err := h.audit.Audit(ctx, id, "", 100)
	return heirIn(entries), err
}

// heirIn finds the successor in a key's history. Stores may name it: sqlstore does, "by ID".
func heirIn(entries []apikey.AuditEntry) heir {
	for _, e := range entries {
		if e.Action != "replace" {
			continue
		}
		if id, ok := strings.CutPrefix(e.Detail, "by "); ok && validID(id) {
			return heir{true, id}
		}
		return heir{Exists: true}
	}
	return heir{}
}
