package admin

import "net/http"

// revokePage asks whether a key is to be revoked.
type revokePage struct {
	Row  keyRow
	Used bool // last uses are known
}

func (h *Handler) revokeForm(v *visit) {
	key, err := h.keys.Get(v.r.Context(), v.id)
	if err != nil {
		v.storeFailed(err)
		return
	}
	v.show(http.StatusOK, "revoke", h.text.Revoke, revokePage{v.row(&key), h.touched})
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
	v.location("../" + v.id)
}
