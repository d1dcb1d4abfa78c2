package admin

import (
	"bytes"
	"context"
	"crypto/sha256"
	"errors"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/url"

	"github.com/latchkey-dev/apikey"
)

// A visit is one request.
type visit struct {
	h    *Handler
	w    http.ResponseWriter
	r    *http.Request
	path string // within the dashboard, from its first slash on
	root string // the way to the first page
	id   string // of the key in the path

	actor   string // "" if nobody is known as an administrator
	session *session
	formKey []byte
}

// passwordActor is who makes changes where one password is all that is known of anybody.
const passwordActor = "administrator"

// known finds out who visits. It reports whether that could be found out, and has answered the
// request otherwise.
func (v *visit) known() bool {
	h := v.h
	if h.authorize != nil {
		actor, err := h.authorize(v.r)
		if errors.Is(err, apikey.ErrUnavailable) {
			v.unavailable("Authorize failed", err)
			return false
		}
		if err != nil {
			h.log(slog.LevelWarn, v.r, "not an administrator", "error", err)
			return true
		}
		v.actor, v.formKey = actor, h.ownKey(actor)
		return true
	}
	session, err := h.sessions.open(v.w, v.r)
	if err != nil {
		v.unavailable("the session store failed", err)
		return false
	}
	v.session, v.formKey = session, h.ownKey("")
	if session.record != "" {
		v.actor, v.formKey = passwordActor, session.formKey
	}
	return true
}

// admit reports whether the visitor may see a page, and has answered the request otherwise.
func (v *visit) admit(p page) bool {
	switch {
	case !v.known():
		return false
	case v.actor != "" || p.open:
		return true
	case v.h.authorize != nil:
		v.fail(http.StatusForbidden, v.h.text.ForbiddenTitle, v.h.text.Forbidden)
	case v.r.Method == http.MethodPost:
		v.fail(http.StatusForbidden, v.h.text.LoggedOutTitle, v.h.text.LoggedOut)
	default:
		to := v.root + "login"
		if next := v.path[1:] + listQuery(v.r.URL.Query()); next != "" {
			to += "?next=" + url.QueryEscape(next)
		}
		v.location(to)
	}
	return false
}

// ctx is the context of changes: it names who makes them.
func (v *visit) ctx() context.Context { return apikey.WithActor(v.r.Context(), v.actor) }

// location sends the browser on to another page by a relative reference (RFC 9110 section 10.2.2),
// which neither a prefix nor a Host can bend. http.Redirect would make it absolute.
func (v *visit) location(to string) {
	v.w.Header().Set("Location", to)
	v.w.WriteHeader(http.StatusSeeOther)
}

// A frame is what every page has, around its own part.
type frame struct {
	*Text
	Title    string
	Service  string
	Root     string
	Style    string
	Script   string
	Icon     string
	Actor    string
	CanLeave bool // there is a logout
	Token    string
	Status   int
	Page     any
}

// show renders a page. A page that fails leaves nothing half written.
func (v *visit) show(status int, name, title string, content any) {
	f := frame{
		Text: v.h.text, Title: title, Service: v.h.name, Root: v.root, Style: stylePath, Script: scriptPath, Icon: iconPath,
		Actor: v.actor, CanLeave: v.actor != "" && v.h.sessions != nil, Status: status, Page: content,
	}
	if len(v.formKey) > 0 {
		f.Token = v.formToken()
	}
	var body bytes.Buffer
	if err := v.h.pages[name].Execute(&body, f); err != nil {
		v.h.log(slog.LevelError, v.r, "a page could not be rendered", "page", name, "error", err)
		http.Error(v.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		v.w.Write(body.Bytes())
	}
}

// fail shows a page that says what is wrong.
func (v *visit) fail(status int, title, message string) {
	v.show(status, "error", title, message)
}

// maxClient is the longest client that is kept as it is: the longest IPv6 address has 45 bytes.
const maxClient = 64

// client returns where a request comes from, for counting and for the log. What ClientAddr returns
// may be as long as a header; of that there is a digest, which is as good to tell clients apart.
func (h *Handler) client(r *http.Request) string {
	client := r.RemoteAddr
	if h.clientAddr != nil {
		client = h.clientAddr(r)
	} else if host, _, err := net.SplitHostPort(client); err == nil {
		client = host
	}
	if len(client) > maxClient {
		return fmt.Sprintf("sha256:%x", sha256.Sum256([]byte(client)))[:maxClient]
	}
	return client
}
