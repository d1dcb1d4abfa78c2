package admin

import (
	"errors"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"
)

// A loginPage asks for the password.
type loginPage struct {
	Next    string // page to go to, relative to the first page
	Problem string
	Fields  []field // form that the login preserves
}

// loginForm serves administrators too, because another process that does not know their session may
// have led them here.
func (v *visit) loginForm() (page, error) {
	return v.loginPage(http.StatusOK, v.t("Log in"), loginPage{Next: v.r.URL.Query().Get("next")}), nil
}

func (v *visit) loginPage(status int, title string, content loginPage) page {
	return page{status: status, view: "login", title: title, content: content}
}

// sessionExpired answers a form that came after the end of its session. The login preserves the form.
func (v *visit) sessionExpired() page {
	typed := v.typed()
	problem := v.t("Nothing was changed. Log in and try again.")
	if len(typed) > 0 {
		problem = v.t("Nothing was changed. Log in to continue with what you entered.")
	}
	return v.loginPage(http.StatusForbidden, v.t("Session expired"), loginPage{v.path(), problem, hiddenFields(preservedPrefix, typed)})
}

// login reads the body before it counts the attempt, so that a slow body holds no budget.
func (v *visit) login() (page, error) {
	if err := v.readForm(); err != nil {
		return page{}, err
	}
	right, wait, err := v.checkPassword(v.r.PostForm.Get("password"))
	switch {
	case wait > 0:
		v.w.Header().Set("Retry-After", strconv.Itoa(int(wait/time.Second)+1))
		return v.refuseLogin(http.StatusTooManyRequests, v.t("Too many login attempts. Wait a moment, then try again.")), nil
	case err != nil:
		return page{}, err
	case !right:
		v.h.log(slog.LevelWarn, v.r, "a login was refused")
		return v.refuseLogin(http.StatusUnauthorized, v.t("Wrong password.")), nil
	}
	if err := v.session.begin(v.w, v.r); err != nil {
		v.h.log(slog.LevelError, v.r, "the session store failed", "error", err)
		v.w.Header().Set("Retry-After", "1")
		return v.refuseLogin(http.StatusServiceUnavailable, v.t("The service could not log you in. Try again in a moment.")), nil
	}
	if v.keys, err = v.h.desk.As(administrator); err != nil {
		return page{}, err
	}
	v.h.markDevice(v.w, v.r)
	v.h.log(slog.LevelInfo, v.r, "an administrator has logged in")
	return v.afterLogin()
}

// checkPassword reports whether a password is right, or how long the client must wait.
func (v *visit) checkPassword(password string) (right bool, wait time.Duration, err error) {
	budgets := v.h.budgets(v.r)
	if wait := v.h.attempts.take(budgets); wait > 0 {
		v.h.log(slog.LevelWarn, v.r, "too many logins")
		return false, wait, nil
	}
	if len(password) <= maxPassword {
		right, err = v.h.passwords.check(v.r.Context(), password)
	}
	if right || err != nil {
		v.h.attempts.giveBack(budgets)
	}
	if errors.Is(err, errBusy) {
		v.h.log(slog.LevelWarn, v.r, "too many logins at once")
		return false, time.Second, nil
	}
	return right, 0, err
}

// refuseLogin returns the login form again.
func (v *visit) refuseLogin(status int, problem string) page {
	form := v.r.PostForm
	return v.loginPage(status, v.t("Log in"), loginPage{form.Get("next"), problem, hiddenFields(preservedPrefix, preservedIn(form))})
}

// afterLogin leads to the page that the client asked for. A preserved form comes back filled in.
func (v *visit) afterLogin() (page, error) {
	next := v.h.nextPage(v.r.PostForm.Get("next"))
	v.preserved = preservedIn(v.r.PostForm)
	at, _, _ := strings.Cut(next, "?")
	rt, id, ok := v.h.routeAt(at)
	if !ok || len(v.preserved) == 0 {
		return redirect(v.root + next), nil
	}
	v.route, v.id = rt, id
	return rt.serve(v)
}

// logout does not ask whether the form belongs to the session, so that a page of an earlier session
// can end this one too.
func (v *visit) logout() (page, error) {
	// A login with another password hash counts too: a load balancer may send the form to another process than
	// the one that has checked the password.
	if v.keys != nil || v.session.otherHash {
		if err := v.session.end(v.w, v.r); err != nil {
			return page{}, &outage{"the session store failed", v.t("You may still be logged in. Try again in a moment."), err}
		}
	}
	// The browser's Back button must show no page of the session. Other pages of this origin share
	// its cookies and storage.
	v.w.Header().Set("Clear-Site-Data", `"cache"`)
	return redirect(v.root + "login"), nil
}

// nextPage returns the page to go to after a login, relative to the first page. Anything that is not
// a page of the dashboard leads to the first page, because next comes from a URL.
func (h *dashboard) nextPage(next string) string {
	u, err := url.Parse(next)
	if err != nil || u.Scheme != "" || u.Host != "" || u.Opaque != "" || u.User != nil || u.RawPath != "" {
		return ""
	}
	if rt, _, ok := h.routeAt(u.Path); !ok || rt.public {
		return ""
	}
	return nextURL(u.Path, u.Query())
}

// nextURL returns the URL of a page to go to after a login, with the parameters that the page reads. The
// page of a file is its list, because a browser would save the file and stay at the login.
func nextURL(path string, q url.Values) string {
	switch {
	case path == "keys.csv", path == "keys.json":
		path = ""
	case path == "revoke", strings.HasSuffix(path, "/revoke"):
		kept := url.Values{}
		if ids, err := selectedIDs(q); err == nil && len(ids) > 0 && path == "revoke" {
			kept["id"] = ids
		}
		if q.Has("list") {
			kept.Set("list", cleanList(q.Get("list")))
		}
		if len(kept) == 0 {
			return path
		}
		return path + "?" + kept.Encode()
	}
	return path + listQuery(q)
}

// A field is a hidden field of a form.
type field struct{ Name, Value string }

// hiddenFields returns the fields that hold a form, with a prefix before their names.
func hiddenFields(prefix string, form url.Values) (fields []field) {
	for name, values := range form {
		for _, value := range values {
			fields = append(fields, field{prefix + name, value})
		}
	}
	slices.SortStableFunc(fields, func(a, b field) int { return strings.Compare(a.Name, b.Name) })
	return fields
}

// typed returns the posted values of the fields that the route preserves. An unreadable form has no
// values.
func (v *visit) typed() url.Values {
	typed := url.Values{}
	if v.route.form == nil || v.readForm() != nil {
		return typed
	}
	for _, name := range v.route.form {
		if values := v.r.PostForm[name]; len(values) > 0 {
			typed[name] = values
		}
	}
	return typed
}

// preservedPrefix precedes the names of the fields that the login form preserves.
const preservedPrefix = "form."

// preservedIn returns the form that a login form preserves.
func preservedIn(login url.Values) url.Values {
	form := url.Values{}
	for name, values := range login {
		if name, ok := strings.CutPrefix(name, preservedPrefix); ok {
			form[name] = values
		}
	}
	return form
}
