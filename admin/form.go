package admin

import (
	"crypto/hmac"
	"crypto/rand"
	"crypto/sha256"
	"encoding/base64"
	"encoding/binary"
	"errors"
	"net/http"
	"slices"
	"time"
)

const (
	maxBody      = 64 << 10 // bytes of a form: names and scopes at their limits take a quarter
	formLifetime = 12 * time.Hour
	nonceLen     = 16
	stampLen     = 8
	tokenField   = "token"
)

// formToken returns a token for one form of this visitor: a nonce and the time, under an HMAC
// keyed for the session. Nobody else can make one, and none outlives its session.
func (v *visit) formToken() string {
	b := make([]byte, nonceLen+stampLen, nonceLen+stampLen+sha256.Size)
	rand.Read(b[:nonceLen]) // which does not fail
	binary.BigEndian.PutUint64(b[nonceLen:], uint64(v.h.now().Unix()))
	return base64.RawURLEncoding.EncodeToString(append(b, seal(v.formKey, b)...))
}

func seal(key, b []byte) []byte {
	mac := hmac.New(sha256.New, key)
	mac.Write(b)
	return mac.Sum(nil)
}

// readForm reads what was posted and checks its token, whose nonce it returns: it must be sealed
// with the visitor's key, or with one of those that are good enough for this form too. It answers
// the request itself if there is something wrong.
func (v *visit) readForm(too ...[]byte) (nonce string, ok bool) {
	if !v.parseForm() {
		return "", false
	}
	b, err := base64.RawURLEncoding.Strict().DecodeString(v.r.PostForm.Get(tokenField))
	if err != nil || len(b) != nonceLen+stampLen+sha256.Size {
		return "", v.staleForm()
	}
	body, sum := b[:nonceLen+stampLen], b[nonceLen+stampLen:]
	sealed := func(key []byte) bool { return hmac.Equal(sum, seal(key, body)) }
	age := v.h.now().Sub(time.Unix(int64(binary.BigEndian.Uint64(body[nonceLen:])), 0))
	if age > formLifetime || !sealed(v.formKey) && !slices.ContainsFunc(too, sealed) {
		return "", v.staleForm()
	}
	return string(body[:nonceLen]), true
}

func (v *visit) staleForm() bool {
	v.fail(http.StatusForbidden, v.h.text.StaleFormTitle, v.h.text.StaleForm)
	return false
}

// parseForm reads a form of limited size.
func (v *visit) parseForm() bool {
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxBody)
	err := v.r.ParseForm()
	var tooLarge *http.MaxBytesError
	switch {
	case errors.As(err, &tooLarge):
		v.fail(http.StatusRequestEntityTooLarge, v.h.text.TooLargeTitle, v.h.text.TooLarge)
	case err != nil:
		v.fail(http.StatusBadRequest, v.h.text.BadRequestTitle, v.h.text.BadRequest)
	}
	return err == nil
}

// ownKey returns the key of form tokens for a visitor without a session.
func (h *Handler) ownKey(actor string) []byte { return seal(h.formKey, []byte(actor)) }
