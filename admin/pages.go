package admin

import (
	"crypto/sha256"
	"embed"
	"encoding/hex"
	"html/template"
	"net/http"
)

//go:embed view
var views embed.FS

// An asset is a file that pages load. Its path changes with what is in it, so that it can be
// kept for ever.
type asset struct {
	mime    string
	content []byte
}

var (
	assets     = map[string]asset{}
	stylePath  = addAsset("style.css", "text/css; charset=utf-8")
	scriptPath = addAsset("script.js", "text/javascript; charset=utf-8")
	iconPath   = addAsset("icon.svg", "image/svg+xml")
)

// addAsset returns the path, relative to the first page.
func addAsset(name, mime string) string {
	content, err := views.ReadFile("view/" + name)
	if err != nil {
		panic(err) // it is embedded
	}
	sum := sha256.Sum256(content)
	path := "assets/" + hex.EncodeToString(sum[:6]) + "-" + name
	assets["/"+path] = asset{mime, content}
	return path
}

func (v *visit) serve(a asset) {
	if v.r.Method != http.MethodGet && v.r.Method != http.MethodHead {
		v.notAllowed("GET, HEAD")
		return
	}
	v.w.Header().Set("Content-Type", a.mime)
	v.w.Header().Set("Cache-Control", "public, max-age=31536000, immutable")
	v.w.Write(a.content)
}

// parsePages returns the template of each page, within the frame of all. They are embedded, so
// none is wrong.
func parsePages() map[string]*template.Template {
	frame := template.Must(template.ParseFS(views, "view/frame.html"))
	pages := map[string]*template.Template{}
	for _, name := range []string{"login", "list", "add", "new", "again", "key", "revoke", "rotate", "error"} {
		pages[name] = template.Must(template.Must(frame.Clone()).ParseFS(views, "view/"+name+".html"))
	}
	return pages
}
