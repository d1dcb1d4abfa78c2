package admin

import (
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"time"

	"github.com/latchkey-dev/apikey"
)

// A Handler is the dashboard. It is safe for concurrent use. Make it with [New].
type Handler struct {
	issuer  *apikey.Issuer
	keys    apikey.KeyManager
	audit   apikey.Auditor // nil: the store keeps no audit trail
	touched bool           // the store remembers when keys were used

	text    *Text
	pages   map[string]*template.Template
	name    string
	example example
	scopes  []string

	authorize  func(*http.Request) (string, error)
	passwords  *passwords // this and the next two: nil with authorize
	attempts   *attempts
	sessions   *sessions
	clientAddr func(*http.Request) string
	origins    http.CrossOriginProtection

	formKey  []byte
	once     *once
	rotating sync.Mutex
	logger   *slog.Logger
	now      func() time.Time
}

// A page is one path of the dashboard and what serves it.
type page struct {
	get, post func(*visit)
	open      bool // also to who is not logged in
}

// ServeHTTP serves the dashboard. The path of the request is that within the dashboard: see
// http.StripPrefix.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	// StripPrefix may have taken the first slash with it.
	v := &visit{h: h, w: w, r: r, path: "/" + strings.TrimPrefix(r.URL.Path, "/")}
	v.root = rootOf("/" + strings.TrimPrefix(r.URL.EscapedPath(), "/"))
	protect(w.Header())
	if base := slashless(r); base != "" {
		v.location("./" + base + "/") // else relative links would lead elsewhere
		return
	}
	if asset, ok := assets[v.path]; ok {
		v.serve(asset)
		return
	}
	p, ok := h.pageAt(v)
	switch {
	case !ok:
		if v.known() { // so that the page has its frame
			v.fail(http.StatusNotFound, h.text.NotFoundTitle, h.text.NotFound)
		}
	case r.Method == http.MethodGet || r.Method == http.MethodHead:
		if p.get == nil {
			v.notAllowed("POST")
		} else if v.admit(p) {
			p.get(v)
		}
	case r.Method != http.MethodPost || p.post == nil:
		v.notAllowed("GET, HEAD")
	default:
		// First of all: a request of another site learns and does nothing.
		if err := h.origins.Check(r); err != nil {
			h.log(slog.LevelWarn, r, "a request from another site was refused", "error", err)
			v.fail(http.StatusForbidden, h.text.CrossSiteTitle, h.text.CrossSite)
		} else if v.admit(p) {
			p.post(v)
		}
	}
}

// slashless returns the last segment of a path under which a browser sees the dashboard without
// the slash at its end, and "" if the slash is there.
func slashless(r *http.Request) string {
	if r.URL.Path != "" {
		return ""
	}
	seen, err := url.ParseRequestURI(r.RequestURI)
	if err != nil {
		return ""
	}
	path := seen.EscapedPath()
	return path[strings.LastIndexByte(path, '/')+1:]
}

// pageAt finds the page at a path, and sets the ID in it. No page has a path that must be
// encoded: an encoded slash would be one here, and none to the browser that resolves links.
func (h *Handler) pageAt(v *visit) (page, bool) {
	switch parts := strings.Split(v.path[1:], "/"); {
	case v.r.URL.RawPath != "":
	case len(parts) == 1:
		switch parts[0] {
		case "":
			return page{get: h.list}, true
		case "add":
			return page{get: h.addForm, post: h.add}, true
		case "login":
			return page{get: h.loginForm, post: h.login, open: true}, h.sessions != nil
		case "logout":
			return page{post: h.logout, open: true}, h.sessions != nil
		}
	case parts[0] != "keys" || !validID(parts[1]):
	case len(parts) == 2:
		v.id = parts[1]
		return page{get: h.key}, true
	case len(parts) == 3:
		v.id = parts[1]
		switch parts[2] {
		case "rotate":
			return page{get: h.rotateForm, post: h.rotate}, true
		case "revoke":
			return page{get: h.revokeForm, post: h.revoke}, true
		}
	}
	return page{}, false
}

// validID reports whether a key may have this ID. Only such ones are ever part of a link.
func validID(id string) bool {
	key := apikey.Key{ID: id, Name: "x"}
	return key.Validate() == nil
}

// rootOf returns the way from a page to the first one, for links that hold under any prefix: the
// path is as a browser sees it.
func rootOf(path string) string {
	if n := strings.Count(path, "/") - 1; n > 0 {
		return strings.Repeat("../", n)
	}
	return "./"
}

// protect sets what holds for every response, errors too. Assets allow themselves to be cached.
func protect(header http.Header) {
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; connect-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Frame-Options":              "DENY",
		"X-Content-Type-Options":       "nosniff",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		// Not no-referrer, with which browsers send "Origin: null" with forms.
		"Referrer-Policy":    "same-origin",
		"Permissions-Policy": "camera=(), geolocation=(), microphone=(), payment=()",
		"Cache-Control":      "no-store",
	} {
		header.Set(name, value)
	}
}

func (h *Handler) log(level slog.Level, r *http.Request, message string, args ...any) {
	logger := h.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Log(r.Context(), level, "admin: "+message, append([]any{"client", h.client(r)}, args...)...)
}

// storeFailed answers a request for which the store of keys could not do its part.
func (v *visit) storeFailed(err error) {
	h := v.h
	switch {
	case errors.Is(err, apikey.ErrNotFound):
		v.fail(http.StatusNotFound, h.text.NoKeyTitle, h.text.NoKey)
	case errors.Is(err, apikey.ErrRevoked), errors.Is(err, apikey.ErrExpired):
		v.fail(http.StatusConflict, h.text.EndedTitle, h.text.Ended)
	case errors.Is(err, apikey.ErrInvalid):
		v.fail(http.StatusBadRequest, h.text.BadRequestTitle, h.text.BadRequest)
	default:
		v.unavailable("the key store failed", err)
	}
}

// unavailable answers a request for which something that the dashboard needs did not answer.
func (v *visit) unavailable(what string, err error) {
	if v.r.Context().Err() == nil { // else the administrator went away
		v.h.log(slog.LevelError, v.r, what, "error", err)
	}
	v.w.Header().Set("Retry-After", "1")
	v.fail(http.StatusServiceUnavailable, v.h.text.UnavailableTitle, v.h.text.Unavailable)
}

func (v *visit) notAllowed(allow string) {
	v.w.Header().Set("Allow", allow)
	v.fail(http.StatusMethodNotAllowed, v.h.text.MethodTitle, v.h.text.Format(v.h.text.Method, v.r.Method))
}
