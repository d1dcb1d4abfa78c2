package main

import (
	"bytes"
	_ "embed"
	"errors"
	"html/template"
	"io"
	"log/slog"
	"net/http"

	"github.com/latchkey-dev/apikey/admin"
)

//go:embed page.html
var pageHTML string

//go:embed style.css
var style []byte

var pages = template.Must(template.New("page").Parse(pageHTML))

// A page is a page of the shop. Every page has the same header.
type page struct {
	Title   string
	Section string // of the navigation
	Name    string // of the customer; "" before the login
	Staff   bool
	Head    template.HTML
	Body    template.HTML
}

// addPages adds the pages of the shop.
func (s *shop) addPages(site *http.ServeMux) {
	site.Handle("GET /{$}", s.loggedIn(http.HandlerFunc(s.home)))
	site.HandleFunc("GET /login", s.loginForm)
	site.HandleFunc("POST /login", s.login)
	site.HandleFunc("POST /logout", s.logout)
}

func (s *shop) home(w http.ResponseWriter, r *http.Request) {
	c, _ := s.customer(r)
	s.show(w, r, http.StatusOK, page{Title: "Your orders", Section: "orders"}, "orders", s.orders.of(c.id))
}

func (s *shop) loginForm(w http.ResponseWriter, r *http.Request) {
	s.show(w, r, http.StatusOK, page{Title: "Log in"}, "login", "")
}

func (s *shop) login(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 4<<10)
	c, err := checkPassword(r.PostFormValue("email"), r.PostFormValue("password"))
	if err != nil {
		s.show(w, r, http.StatusUnauthorized, page{Title: "Log in"}, "login", "Unknown email address or wrong password.")
		return
	}
	// An attacker may know the session ID from before the login (session fixation).
	if err := s.sessions.RenewToken(r.Context()); err != nil {
		http.Error(w, "Try again later.", http.StatusServiceUnavailable)
		return
	}
	s.sessions.Put(r.Context(), "customer", c.id)
	http.Redirect(w, r, "/", http.StatusSeeOther)
}

func (s *shop) logout(w http.ResponseWriter, r *http.Request) {
	if err := s.sessions.Destroy(r.Context()); err != nil {
		http.Error(w, "Try again later.", http.StatusServiceUnavailable)
		return
	}
	http.Redirect(w, r, "/login", http.StatusSeeOther)
}

// loggedIn redirects clients without a session to the login page.
func (s *shop) loggedIn(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if _, err := s.customer(r); err != nil {
			http.Redirect(w, r, "/login", http.StatusSeeOther)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// show writes a page with the content of a template.
func (s *shop) show(w http.ResponseWriter, r *http.Request, status int, p page, content string, data any) {
	var body, html bytes.Buffer
	err := pages.ExecuteTemplate(&body, content, data)
	p.Body = template.HTML(body.String())
	if err := errors.Join(err, s.write(&html, r, p)); err != nil {
		slog.Error("shop: page failed", "error", err)
		http.Error(w, "Try again later.", http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "text/html; charset=utf-8")
	w.Header().Set("Content-Security-Policy", "default-src 'none'; style-src 'self'; form-action 'self'; base-uri 'none'; frame-ancestors 'none'")
	w.Header().Set("Cache-Control", "no-store")
	w.WriteHeader(status)
	w.Write(html.Bytes())
}

// layout returns the function that writes the pages of package admin as pages of the shop.
func (s *shop) layout(section string) func(http.ResponseWriter, *http.Request, admin.Page) error {
	return func(w http.ResponseWriter, r *http.Request, p admin.Page) error {
		return s.write(w, r, page{Title: p.Title, Section: section, Head: p.Head, Body: p.Body})
	}
}

func (s *shop) write(w io.Writer, r *http.Request, p page) error {
	if c, err := s.customer(r); err == nil {
		p.Name, p.Staff = c.name, c.staff
	}
	return pages.Execute(w, p)
}

func serveStyle(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/css; charset=utf-8")
	w.Write(style)
}
