package admin

import (
	"bytes"
	"crypto/rand"
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"errors"
	"html/template"
	"log/slog"
	"net/http"
	"strings"
)

// A page is the response to a visit: a view, a file or a redirect.
type page struct {
	status   int    // 0 means 200
	view     string // a file in the folder view, without .html
	title    string
	content  any
	location string // of a redirect
	noList   bool   // the client cannot open the list, so the page does not link to it
	file     *file
}

// redirect returns a redirect to a relative reference (RFC 9110 section 10.2.2), which does not depend on
// the prefix and the Host. http.Redirect would make it absolute.
func redirect(to string) page { return page{location: to} }

// errorPage returns a page that explains why the request failed.
func (v *visit) errorPage(status int, title, message string) page {
	return page{status: status, view: "error", title: title, content: message}
}

// A Page is a page of the dashboard for [Options.Layout].
type Page struct {
	// Title is the title of the page, as text in the language of the dashboard.
	Title string
	// Head is the style sheet and the script of the dashboard, for the head of the document. The rules of
	// the style sheet apply only to Body.
	Head template.HTML
	// Body is the page, an element with the class "apikey". It has an h1, and no main element.
	Body template.HTML
}

// A frame is the data of a view. Content belongs to the page; the other fields are the same on
// every page.
type frame struct {
	Lang, Dir           string
	Title               string
	Service             string // name of the service
	Home                string // "" if the service has no page to go back to
	Root                string // relative URL of the first page
	Style, Script, Icon string // relative to Root
	Actor               string
	Login               bool // the actor can log out
	Own                 bool // the session is that of an owner; see visit.own
	ReadOnly            bool
	Crumbs              bool   // the page names the pages above it
	List                bool   // the page may link to the list
	Nonce               string // lets a form of the page work once
	Account             string // see visit.account
	Content             any
}

// send writes a page. A view that fails leaves nothing half written.
func (v *visit) send(p page) {
	if p.location != "" {
		v.w.Header().Set("Location", p.location)
		v.w.WriteHeader(http.StatusSeeOther)
		return
	}
	if p.file != nil {
		v.w.Header().Set("Content-Type", p.file.mime)
		v.w.Header().Set("Content-Disposition", `attachment; filename="`+p.file.name+`"`)
		v.write(http.StatusOK, p.file.body)
		return
	}
	h := v.h
	var body bytes.Buffer
	if err := v.render(&body, p); err != nil {
		h.log(slog.LevelError, v.r, "a page could not be rendered", "view", p.view, "error", err)
		http.Error(v.w, http.StatusText(http.StatusInternalServerError), http.StatusInternalServerError)
		return
	}
	v.w.Header().Set("Content-Type", "text/html; charset=utf-8")
	v.write(max(p.status, http.StatusOK), body.Bytes())
}

// render writes a view in its frame, or in the layout of the application.
func (v *visit) render(to *bytes.Buffer, p page) error {
	h, access := v.h, v.access()
	f := frame{
		Lang: h.lang, Dir: h.dir, Title: p.title, Service: h.name, Home: h.home,
		Root: v.root, Style: stylePath, Script: scriptPath, Icon: iconPath,
		Actor: access.Actor, Login: h.sessions != nil, Own: v.own(), ReadOnly: access.ReadOnly,
		Crumbs: h.home != "" || access.Actor != "" && !(v.own() && p.view == "list"),
		List:   !p.noList,
		Nonce:  rand.Text(), Account: v.account(), Content: p.content,
	}
	view := h.views[p.view]
	if h.layout == nil {
		return view.Execute(to, f)
	}
	var head, body bytes.Buffer
	if err := errors.Join(view.ExecuteTemplate(&head, "head", f), view.ExecuteTemplate(&body, "embedded", f)); err != nil {
		return err
	}
	// The templates have escaped the texts.
	return h.layout(&layoutWriter{v.w, to}, v.r, Page{Title: p.title, Head: template.HTML(head.String()), Body: template.HTML(body.String())})
}

// A layoutWriter collects the body of a response, so that a layout that fails leaves nothing half
// written. The dashboard chooses the status.
type layoutWriter struct {
	http.ResponseWriter
	body *bytes.Buffer
}

// Write keeps the bytes; the dashboard sends them if the layout succeeds.
func (w *layoutWriter) Write(b []byte) (int, error) { return w.body.Write(b) }

// WriteHeader ignores the status of a layout.
func (w *layoutWriter) WriteHeader(int) {}

func (v *visit) write(status int, body []byte) {
	v.w.WriteHeader(status)
	if v.r.Method != http.MethodHead {
		v.w.Write(body)
	}
}

//go:embed view
var files embed.FS

// parseViews returns the template of each view in its frame. t translates texts.
func parseViews(t func(english string, values ...any) string) map[string]*template.Template {
	const folder = "view"
	frame := template.Must(template.New("frame.html").Funcs(template.FuncMap{"t": t}).ParseFS(files, folder+"/frame.html"))
	entries, err := files.ReadDir(folder)
	if err != nil {
		panic(err) // it is embedded
	}
	views := map[string]*template.Template{}
	for _, entry := range entries {
		if name, ok := strings.CutSuffix(entry.Name(), ".html"); ok && name != "frame" {
			views[name] = template.Must(template.Must(frame.Clone()).ParseFS(files, folder+"/"+entry.Name()))
		}
	}
	return views
}

// An asset is a file that pages load. A digest of the content is a part of its path, so browsers may
// cache it forever.
type asset struct {
	mime    string
	content []byte
}

var (
	assets     = map[string]asset{} // by path, relative to the first page
	stylePath  = addAsset("style.css", "text/css; charset=utf-8")
	scriptPath = addAsset("script.js", "text/javascript; charset=utf-8")
	iconPath   = addAsset("icon.svg", "image/svg+xml")
)

func addAsset(name, mime string) (path string) {
	content, err := files.ReadFile("view/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	sum := sha256.Sum256(content)
	path = "assets/" + hex.EncodeToString(sum[:6]) + "-" + name
	assets[path] = asset{mime, content}
	return path
}

func (a asset) serve(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", a.mime)
	w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	w.Write(a.content)
}
