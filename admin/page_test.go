package admin

import (
	"errors"
	"html/template"
	"io"
	"net/http"
	"net/url"
	"os"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestNamesAreInert(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	v := s.visitor()
	v.login()
	for _, name := range []string{`"><script>alert(1)</script>`, `javascript:alert(1)`, `=cmd|' /C calc'!A0`, `{{.Secret}}`, `' onmouseover='x`} {
		a := v.post("/admin/add", "name", name, "expiry", "never", "owner", name)
		require.Equal(t, http.StatusOK, a.StatusCode)
		list := v.get("/admin/")
		page, err := s.store.List(t.Context(), apikey.ListOptions{Limit: 1})
		require.NoError(t, err)
		require.Equal(t, name, page.Keys[0].Name)
		for _, shown := range []answer{a, list, v.get("/admin/keys/" + page.Keys[0].ID), v.get("/admin/keys/" + page.Keys[0].ID + "/revoke"), v.get("/admin/?search=" + url.QueryEscape(name))} {
			assert.NotContains(t, shown.body, "<script>alert")
			assert.NotContains(t, shown.body, "' onmouseover='")
			assert.NotContains(t, shown.body, `href="javascript:`)
		}
	}
	for _, name := range []string{"a\u202eb", "a\x00b", "a\nb", strings.Repeat("x", 101), " ", "\xff"} {
		a := v.post("/admin/add", "name", name, "expiry", "never")
		assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, "%q", name)
	}
	assert.Len(t, s.keys(), 5)
}

func TestBreadcrumbsNameThePage(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann, Home: "/"})
	_, key := s.issue("Backup job")
	for path, want := range map[string]string{
		"": "Security", "add": "Add API key", "keys/" + key.ID: "Backup job", "keys/" + key.ID + "/revoke": "Revoke key?", "identify": "Which key is this?", "activity": "Activity", "nothing": "Page not found",
	} {
		body := s.visitor().get("/admin/" + path).body
		assert.Regexp(t, `<li aria-current="page">(<bdi>)?`+regexp.QuoteMeta(want)+`(</bdi>)?</li>`, body, path)
		assert.Contains(t, body, `<li><a href="/">Home</a></li>`, path)
	}
	login := newSite(t, Options{Home: "https://media.example.com/web/"}).visitor().get("/admin/login").body
	assert.Contains(t, login, `<a href="https://media.example.com/web/">Home</a>`)
	assert.NotContains(t, newSite(t, Options{Authorize: ann}).visitor().get("/admin/").body, ">Home<")
}

func TestLayoutGetsEveryPage(t *testing.T) {
	t.Parallel()
	layout := template.Must(template.New("").Parse(`<html><head><title>{{.Title}}!</title>{{.Head}}</head><body><main>{{.Body}}</main></body></html>`))
	s := newSite(t, Options{Name: "Shop", Layout: func(w http.ResponseWriter, r *http.Request, p Page) error {
		w.WriteHeader(http.StatusTeapot)
		return layout.Execute(w, p)
	}})
	v := s.visitor()
	for path, status := range map[string]int{"login": http.StatusOK, "nothing": http.StatusNotFound} {
		a := v.get("/admin/" + path)
		assert.Equal(t, status, a.StatusCode, path)
		assert.Contains(t, a.body, `<main><div class="apikey" lang="en" dir="ltr"`, path)
		assert.Contains(t, a.body, `href="./`+stylePath, path)
		assert.Equal(t, 1, strings.Count(a.body, "<h1"), path)
		assert.Equal(t, 1, strings.Count(a.body, "<main"), path)
		assert.NotContains(t, a.body, `class="bar"`, path)
	}
	v.login()
	a := v.post("/admin/add", "name", "Backup job", "expiry", "never")
	assert.Equal(t, http.StatusOK, a.StatusCode)
	assert.Contains(t, a.body, "<title>Key created!</title>")
	assert.Regexp(t, regexpKey, a.body)
	assert.Equal(t, "no-store", a.Header.Get("Cache-Control"))
	assert.Contains(t, a.body, `action="./logout"`)
	assert.Equal(t, http.StatusOK, v.get("/admin/"+stylePath).StatusCode)
}

func TestLayoutThatFailsShowsNothing(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann, Layout: func(w http.ResponseWriter, _ *http.Request, p Page) error {
		io.WriteString(w, string(p.Body))
		return errors.New("no template")
	}})
	a := s.visitor().post("/admin/add", "name", "Backup job", "expiry", "never")
	assert.Equal(t, http.StatusInternalServerError, a.StatusCode)
	assert.NotRegexp(t, regexpKey, a.body)
	assert.Contains(t, s.log.String(), "no template")
}

func TestDocumentationListsEveryCustomProperty(t *testing.T) {
	t.Parallel()
	names := func(text, pattern string) (found []string) {
		for _, match := range regexp.MustCompile(pattern).FindAllStringSubmatch(text, -1) {
			found = append(found, match[1])
		}
		return found
	}
	style, err := files.ReadFile("view/style.css")
	require.NoError(t, err)
	doc, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	assert.ElementsMatch(t, names(string(style), `(?m)^\t(--\w+):`), names(string(doc), `\s(--\w+)`))
}
