package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"time"
)

// loginPage is what the page of the login shows.
type loginPage struct {
	Next    string
	Problem string
}

func (h *Handler) loginForm(v *visit) {
	next := v.r.URL.Query().Get("next")
	if v.actor != "" {
		v.location(v.root + nextPage(next))
		return
	}
	v.show(http.StatusOK, "login", h.text.LoginTitle, loginPage{Next: next})
}

func (h *Handler) login(v *visit) {
	// The body is read before the attempt is counted, and is limited before it is read. The form
	// may have been loaded before its visitor had a session, or before the browser told of it:
	// then it has the token of a visitor without one.
	if _, ok := v.readForm(h.ownKey("")); !ok {
		return
	}
	password, next := v.r.PostForm.Get("password"), v.r.PostForm.Get("next")
	refuse := func(status int, problem string) {
		v.show(status, "login", h.text.LoginTitle, loginPage{Next: next, Problem: problem})
	}
	busy := func(wait time.Duration) {
		v.w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		refuse(http.StatusTooManyRequests, h.text.LoginBusy)
	}
	if wait := h.attempts.take(h.client(v.r)); wait > 0 {
		h.log(slog.LevelWarn, v.r, "too many logins")
		busy(wait)
		return
	}
	right, err := false, error(nil)
	if len(password) <= maxPassword {
		right, err = h.passwords.check(v.r.Context(), password)
	}
	switch {
	case errors.Is(err, errBusy):
		h.log(slog.LevelWarn, v.r, "too many logins at once")
		busy(time.Second)
	case err != nil:
		return // the visitor has gone
	case !right:
		h.log(slog.LevelWarn, v.r, "a login was refused")
		refuse(http.StatusUnauthorized, h.text.LoginWrong)
	default:
		if err := v.session.begin(v.w, v.r); err != nil {
			v.unavailable("the session store failed", err)
			return
		}
		h.attempts.succeeded(h.client(v.r))
		h.log(slog.LevelInfo, v.r, "an administrator has logged in")
		v.location(v.root + nextPage(next))
	}
}

// logout asks for no form token: a page of an earlier session must be able to end this one too.
// That it is not another site's is known already.
func (h *Handler) logout(v *visit) {
	if v.actor != "" {
		if err := v.session.end(v.w, v.r); err != nil {
			v.unavailable("the session store failed", err)
			return
		}
	}
	v.location(v.root + "login")
}

// nextPage returns the page to go to after the login, relative to the first one, which it is in
// doubt: what comes from a URL leads only to pages of the dashboard.
func nextPage(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.User != nil || u.RawPath != "" {
		return ""
	}
	switch parts := strings.Split(u.Path, "/"); {
	case u.Path == "" || u.Path == "add":
	case parts[0] != "keys" || len(parts) < 2 || !validID(parts[1]):
		return ""
	case len(parts) == 2, len(parts) == 3 && (parts[2] == "rotate" || parts[2] == "revoke"):
	default:
		return ""
	}
	return u.Path + listQuery(u.Query())
}
