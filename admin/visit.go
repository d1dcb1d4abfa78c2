package admin

import (
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// A visit is the state of one request.
type visit struct {
	h     *dashboard
	w     http.ResponseWriter // for header fields; send writes the response
	r     *http.Request
	route route
	root  string // relative URL of the first page
	id    string // ID of the key in the path

	keys      *manage.Session // nil if the client may see no keys
	session   *session        // of the login; nil with Authorize
	preserved url.Values      // form that a login has preserved
}

// administrator is the access of each client that knows the password.
var administrator = manage.Access{Actor: "administrator", AllOwners: true, AnyScope: true}

// visit returns the visit of a request. Links from its page lead through root, so that they hold
// under any prefix.
func (h *dashboard) visit(w http.ResponseWriter, r *http.Request) *visit {
	root := "./"
	if depth := strings.Count(r.URL.EscapedPath(), "/") - 1; depth > 0 {
		root = strings.Repeat("../", depth)
	}
	return &visit{h: h, w: w, r: r, root: root}
}

// follow answers the visit by a route.
func (v *visit) follow(rt route) {
	v.route = rt
	if strings.Contains(rt.pattern, "{id}") { // otherwise the application may have set the value
		v.id = v.r.PathValue("id")
	}
	p, err := v.answer()
	if err != nil {
		p = v.failure(err)
	}
	v.send(p)
}

// answer returns the page of the visit's route if the client may see it.
func (v *visit) answer() (page, error) {
	if err := v.h.origins.Check(v.r); err != nil {
		v.h.log(slog.LevelWarn, v.r, "a request from another site was refused", "error", err)
		return v.errorPage(http.StatusForbidden, v.t("Request blocked"), v.t("The request came from another site. Nothing was changed.")), nil
	}
	if err := v.authenticate(); err != nil {
		return page{}, err
	}
	if v.id != "" && !apikey.ValidID(v.id) {
		return v.notFound()
	}
	if v.keys == nil && !v.route.public {
		return v.unauthenticated(), nil
	}
	switch access := v.access(); {
	case v.route.everyone && v.own():
		return v.notFound()
	case v.route.changes && access.ReadOnly:
		return v.errorPage(http.StatusForbidden, v.t("Access denied"), v.t("You can view keys, but not change them.")), nil
	}
	if v.route.changes && v.r.Method == http.MethodPost {
		switch same, err := v.checkAccount(); {
		case err != nil:
			return page{}, err
		case !same:
			return v.errorPage(http.StatusConflict, v.t("Another account"), v.t("This form was opened for another account. Nothing was changed.")), nil
		}
	}
	return v.route.serve(v)
}

// authenticate opens the keys that the client may see. It returns an error if it cannot find out who the
// client is.
func (v *visit) authenticate() error {
	if v.h.authorize != nil {
		access, err := v.h.authorize(v.r)
		if errors.Is(err, apikey.ErrUnavailable) {
			return &outage{"Authorize failed", v.unknownClientText(), err}
		}
		if err == nil {
			v.keys, err = v.h.desk.As(access)
		}
		if err != nil {
			v.h.log(slog.LevelWarn, v.r, "not authorized", "error", err)
		}
		return nil
	}
	session, err := v.h.sessions.open(v.w, v.r)
	if err != nil {
		return &outage{"the session store failed", v.unknownClientText(), err}
	}
	v.session = session
	if session.otherHash {
		v.h.log(slog.LevelWarn, v.r, "a session is not valid with this PasswordHash: the password was changed, or processes that share Sessions "+
			"have different hashes, so that each of them asks for the password once in a session")
	}
	if session.record == "" {
		return nil
	}
	v.keys, err = v.h.desk.As(administrator)
	return err
}

// unauthenticated returns the page for a client that is not an administrator.
func (v *visit) unauthenticated() page {
	switch {
	case v.h.authorize != nil:
		p := v.errorPage(http.StatusForbidden, v.t("Access denied"), v.t("You do not have access to these pages. You may need to log in first."))
		p.noList = true
		return p
	case v.r.Method == http.MethodPost:
		return v.sessionExpired()
	}
	to := v.root + "login"
	if next := nextURL(v.path(), v.r.URL.Query()); next != "" {
		to += "?next=" + url.QueryEscape(next)
	}
	return redirect(to)
}

// path returns the path of the request, relative to the first page.
func (v *visit) path() string { return strings.TrimPrefix(v.r.URL.Path, "/") }

func (v *visit) notFound() (page, error) {
	return v.errorPage(http.StatusNotFound, v.t("Page not found"), v.t("There is no page at this address.")), nil
}

func (v *visit) refuseMethod(allowed []string) {
	list := strings.ReplaceAll(strings.Join(allowed, ", "), http.MethodGet, "GET, HEAD")
	v.w.Header().Set("Allow", list)
	v.send(v.errorPage(http.StatusMethodNotAllowed, v.t("Method not allowed"), v.t("This page does not accept %s requests.", v.r.Method)))
}

func (v *visit) refuseHost() {
	v.h.log(slog.LevelWarn, v.r, "a request for another host was refused", "host", v.r.Host[:min(len(v.r.Host), 100)])
	p := v.errorPage(http.StatusMisdirectedRequest, v.t("Misdirected request"), v.t("The dashboard does not answer at this address."))
	p.noList = true
	v.send(p)
}

// An outage is the failure of something other than the key store.
type outage struct {
	what    string // for the log
	message string // for the page
	err     error
}

// unknownClientText is the message of an outage before the page acts.
func (v *visit) unknownClientText() string {
	return v.t("The service could not check who you are. Nothing was changed. Try again in a moment.")
}

func (o *outage) Error() string { return o.what + ": " + o.err.Error() }

func (o *outage) Unwrap() error { return o.err }

// failure returns the page for an error of a route.
func (v *visit) failure(err error) page {
	var tooLarge *http.MaxBytesError
	var o *outage
	var refused *manage.RefusedError
	switch {
	case errors.As(err, &refused):
		return v.errorPage(http.StatusForbidden, v.t("Access denied"), v.refusal(refused))
	case errors.As(err, &o):
		return v.unavailable(o.what, o.message, o.err)
	case errors.As(err, &tooLarge):
		return v.errorPage(http.StatusRequestEntityTooLarge, v.t("Form too large"), v.t("The form is larger than 64 KiB."))
	case errors.Is(err, apikey.ErrNotFound):
		return v.errorPage(http.StatusNotFound, v.t("Key not found"), v.t("This service has no key with this ID."))
	case errors.Is(err, apikey.ErrRevoked), errors.Is(err, apikey.ErrExpired):
		return v.errorPage(http.StatusConflict, v.t("Key no longer valid"), v.t("The key is revoked or expired, so it cannot be rotated. Add a new one instead."))
	case errors.Is(err, apikey.ErrSuspended):
		return v.errorPage(http.StatusConflict, v.t("Key is suspended"), v.t("A suspended key cannot be rotated. Resume it first."))
	case errors.Is(err, manage.ErrChanged):
		message := v.t("Another change of the key came first. Nothing was written.")
		return page{status: http.StatusConflict, view: "retry", title: v.t("Key has changed"), content: v.retry(message)}
	case errors.Is(err, apikey.ErrInvalid):
		return v.errorPage(http.StatusBadRequest, v.t("Bad request"), v.t("The dashboard cannot read this request."))
	}
	message := v.unavailableText()
	var partial *partialRevocation
	if errors.As(err, &partial) && partial.revoked > 0 {
		if message = v.t("%d keys were revoked before the key store failed.", partial.revoked); partial.revoked == 1 {
			message = v.t("1 key was revoked before the key store failed.")
		}
	}
	return v.unavailable("the key store failed", message, err)
}

// unavailable returns the page for an outage. It offers to send a form of the route again.
func (v *visit) unavailable(what, message string, err error) page {
	if v.r.Context().Err() == nil { // otherwise the client has gone
		v.h.log(slog.LevelError, v.r, what, "error", err)
	}
	v.w.Header().Set("Retry-After", "1")
	title := v.t("Service unavailable")
	if v.route.form == nil {
		return v.errorPage(http.StatusServiceUnavailable, title, message)
	}
	return page{status: http.StatusServiceUnavailable, view: "retry", title: title, content: v.retry(message)}
}

func (v *visit) unavailableText() string {
	return v.t("The key store did not answer. Check the list before you repeat a change: it may have been made.")
}

// retryPage offers to send a form again.
type retryPage struct {
	Message string
	Path    string // relative to the first page
	Nonce   string // of the form, because its first use may have made a key
	Fields  []field
}

func (v *visit) retry(message string) retryPage {
	typed := v.typed()
	return retryPage{message, v.path(), v.r.PostFormValue(nonceField), hiddenFields("", typed)}
}

const (
	maxBody    = 64 << 10 // bytes of a form; fields at their limits usually take less than half
	nonceField = "nonce"
	nonceLen   = 26 // of rand.Text
)

// readForm reads the posted form. A second call does nothing.
func (v *visit) readForm() error {
	if v.r.PostForm != nil {
		return nil
	}
	v.r.Body = http.MaxBytesReader(v.w, v.r.Body, maxBody)
	if err := v.r.ParseForm(); err != nil {
		return fmt.Errorf("%w: %w", apikey.ErrInvalid, err)
	}
	return nil
}

// readOnce reads a form that works once, and returns its nonce.
func (v *visit) readOnce() (nonce string, err error) {
	if err := v.readForm(); err != nil {
		return "", err
	}
	if nonce = v.r.PostForm.Get(nonceField); len(nonce) != nonceLen {
		return "", fmt.Errorf("%w: %s", apikey.ErrInvalid, nonceField)
	}
	return nonce, nil
}
