package admin

import (
	"cmp"
	"html/template"
	"log/slog"
	"net/http"
	"net/url"
	"path"
	"slices"
	"strings"
	"time"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
)

// A Handler serves the dashboard. Use [New] to make one: the zero Handler panics when it serves a
// request. It is safe for concurrent use. Printing a Handler shows no secret.
type Handler struct {
	// A function hides the dashboard from fmt and from printers that use reflection, because the
	// dashboard holds the password's hash and the tokens of sessions.
	serve http.HandlerFunc
}

// ServeHTTP serves the dashboard. The path of the request is relative to the dashboard: see
// http.StripPrefix.
func (h *Handler) ServeHTTP(w http.ResponseWriter, r *http.Request) { h.serve(w, r) }

// New returns the dashboard for the keys of a desk. If an option is missing or outside its limits, the
// error wraps [apikey.ErrInvalid] and names the field.
func New(desk *manage.Desk, o Options) (*Handler, error) {
	d, err := newDashboard(desk, o)
	if err != nil {
		return nil, err
	}
	return &Handler{serve: d.ServeHTTP}, nil
}

// A dashboard serves the pages. It is safe for concurrent use.
type dashboard struct {
	mux    *http.ServeMux
	routes map[string]route // by pattern

	desk    *manage.Desk
	audited bool // the store keeps an audit trail
	touched bool // the store records when keys are used

	texts   *texts
	lang    string
	dir     string
	views   map[string]*template.Template
	name    string
	home    string
	layout  func(http.ResponseWriter, *http.Request, Page) error
	example example
	scopes  []string
	limiter *limit.Limiter // nil if there is none

	origins http.CrossOriginProtection
	hosts   []string // in lower case; empty allows any host

	exports exportSlots

	logger *slog.Logger
	now    func() time.Time

	clientAddr func(*http.Request) string
	authorize  func(*http.Request) (manage.Access, error)

	// The login, nil with authorize.
	passwords *passwords
	attempts  *attempts
	deviceKey []byte
	sessions  *sessions
}

func newDashboard(desk *manage.Desk, o Options) (*dashboard, error) {
	if desk == nil || desk.Issuer() == nil {
		return nil, invalid("Desk", "nil; want one made by manage.New")
	}
	if err := o.validate(); err != nil {
		return nil, err
	}
	h := &dashboard{
		desk:  desk,
		texts: &texts{}, lang: cmp.Or(o.Lang, "en"), dir: cmp.Or(o.Dir, "ltr"),
		name: o.Name, home: o.Home, layout: o.Layout, example: parseExample(cmp.Or(o.Example, defaultExample)), scopes: slices.Clone(o.Scopes), limiter: o.Limiter,
		logger: o.Logger, now: time.Now,
		clientAddr: o.ClientAddr, authorize: o.Authorize,
	}
	_, h.audited = apikey.StoreAs[apikey.Auditor](desk.Issuer().Manager())
	_, h.touched = apikey.StoreAs[apikey.Toucher](desk.Issuer().Manager())
	for _, host := range o.AllowedHosts {
		h.hosts = append(h.hosts, strings.ToLower(host))
	}
	for _, origin := range o.TrustedOrigins {
		if err := h.origins.AddTrustedOrigin(origin); err != nil {
			return nil, invalid("TrustedOrigins", "%v", err)
		}
	}
	h.views = parseViews(h.texts.t)
	if err := h.texts.load(o.Translate, allTexts(h.views)); err != nil {
		return nil, err
	}
	if o.Authorize == nil {
		if err := h.setUpLogin(o); err != nil {
			return nil, err
		}
	}
	h.setUpRoutes()
	return h, nil
}

func (h *dashboard) setUpLogin(o Options) error {
	phc := o.PasswordHash.Reveal()
	hash, err := parsePasswordHash(phc)
	if err != nil {
		return err
	}
	if hash.matches("") {
		return invalid("PasswordHash", "hash of an empty password")
	}
	h.passwords = newPasswords(hash.matches, int(hash.threads))
	h.attempts = newAttempts(func() time.Time { return h.now() })
	h.deviceKey = seal([]byte(phc), []byte("device cookies of package admin"))
	h.sessions = newSessions(o.Sessions, phc)
	return nil
}

func (h *dashboard) setUpRoutes() {
	h.mux, h.routes = http.NewServeMux(), map[string]route{}
	methods := map[string][]string{} // by path
	handle := func(pattern string, serve http.HandlerFunc) {
		h.mux.HandleFunc(pattern, serve)
		method, path, _ := strings.Cut(pattern, " ")
		methods[path] = append(methods[path], method)
	}
	all := routes()
	if h.sessions != nil {
		all = append(all, loginRoutes()...)
	}
	for _, rt := range all {
		h.routes[rt.pattern] = rt
		handle(rt.pattern, func(w http.ResponseWriter, r *http.Request) { h.visit(w, r).follow(rt) })
	}
	for path, asset := range assets {
		handle("GET /"+path, asset.serve)
	}
	for path, allowed := range methods {
		h.mux.HandleFunc(path, func(w http.ResponseWriter, r *http.Request) { h.visit(w, r).refuseMethod(allowed) })
	}
	h.mux.HandleFunc("/", h.notFound)
}

func (h *dashboard) notFound(w http.ResponseWriter, r *http.Request) {
	h.visit(w, r).follow(route{serve: (*visit).notFound, public: true})
}

// ServeHTTP serves a request whose path is relative to the dashboard.
func (h *dashboard) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	setProtection(w.Header())
	r, atMount := relative(r)
	switch {
	case !h.allowsHost(r):
		h.visit(w, r).refuseHost()
	case atMount != "":
		h.visit(w, r).send(redirect("./" + atMount + "/")) // relative links need the slash
	case !isCanonical(r.URL):
		h.notFound(w, r) // ServeMux would redirect out of the dashboard
	default:
		h.mux.ServeHTTP(w, r)
	}
}

// relative returns a copy of a request whose path begins with a slash, which StripPrefix may have
// removed. If the browser's URL ends at the dashboard without a slash, atMount is its last segment.
func relative(r *http.Request) (copied *http.Request, atMount string) {
	copied, u := new(http.Request), *r.URL
	*copied, copied.URL = *r, &u
	if u.Path == "" {
		if seen, err := url.ParseRequestURI(r.RequestURI); err == nil {
			escaped := seen.EscapedPath()
			atMount = escaped[strings.LastIndexByte(escaped, '/')+1:]
		}
	}
	u.Path = "/" + strings.TrimPrefix(u.Path, "/")
	if u.RawPath != "" {
		u.RawPath = "/" + strings.TrimPrefix(u.RawPath, "/")
	}
	return copied, atMount
}

// isCanonical reports whether a page can have the path. An encoded slash separates segments here, but
// not in the browser, which resolves relative links.
func isCanonical(u *url.URL) bool { return u.RawPath == "" && path.Clean(u.Path) == u.Path }

// routeAt returns the route that shows the page at a path without its first slash, and the ID of the
// key in the path.
func (h *dashboard) routeAt(at string) (rt route, id string, ok bool) {
	u := &url.URL{Path: "/" + at}
	if !isCanonical(u) {
		return route{}, "", false
	}
	_, pattern := h.mux.Handler(&http.Request{Method: http.MethodGet, URL: u})
	rt, ok = h.routes[pattern]
	if strings.Contains(pattern, "{id}") {
		id = strings.Split(at, "/")[1]
		ok = ok && apikey.ValidID(id)
	}
	return rt, id, ok
}

// allowsHost protects against DNS rebinding. An attacker can point a name at the dashboard's address. A
// browser then sends that name as the Host and gives the dashboard's pages to the attacker's site.
func (h *dashboard) allowsHost(r *http.Request) bool {
	return len(h.hosts) == 0 || slices.Contains(h.hosts, strings.ToLower(r.Host))
}

// setProtection sets the header fields of every response, including errors. An asset replaces
// Cache-Control.
func setProtection(header http.Header) {
	for name, value := range map[string]string{
		"Content-Security-Policy": "default-src 'none'; style-src 'self'; script-src 'self'; img-src 'self'; font-src 'self'; connect-src 'self'; " +
			"form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
		"X-Frame-Options":              "DENY",
		"X-Content-Type-Options":       "nosniff",
		"Cross-Origin-Opener-Policy":   "same-origin",
		"Cross-Origin-Resource-Policy": "same-origin",
		"Referrer-Policy":              "same-origin", // with no-referrer, browsers send "Origin: null" with forms
		"Permissions-Policy":           "camera=(), geolocation=(), microphone=(), payment=()",
		"Cache-Control":                "no-store",
	} {
		header.Set(name, value)
	}
}

func (h *dashboard) log(level slog.Level, r *http.Request, message string, args ...any) {
	logger := h.logger
	if logger == nil {
		logger = slog.Default()
	}
	logger.Log(r.Context(), level, "admin: "+message, append([]any{"client", h.client(r)}, args...)...)
}
