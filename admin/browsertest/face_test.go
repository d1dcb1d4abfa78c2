package browsertest

import (
	"fmt"
	"html/template"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// shopPage is a page of an application with a style of its own.
var shopPage = template.Must(template.New("shop").Parse(`<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8"><meta name="viewport" content="width=device-width, initial-scale=1">
<title>{{.Title}} · Shop</title>{{.Head}}<link rel="stylesheet" href="/shop.css">
</head>
<body>
<header><a class="logo" href="/">Shop</a> <a href="/orders">Orders</a></header>
<div class="columns">
<nav aria-label="Settings"><ul><li><a href="/profile">Profile</a></li><li><a href="/addresses">Addresses</a></li><li><a href="/settings/keys/" aria-current="page">API keys</a></li></ul></nav>
<main>{{.Body}}</main>
</div>
<footer><p>Shop Ltd</p></footer>
</body>
</html>`))

const shopStyle = `
body { margin: 0; font: 16px/1.5 Georgia, "DejaVu Serif", serif; background: #fffaf2; color: #2d1f10; }
header { display: flex; gap: 2rem; align-items: center; padding: 1rem 2rem; background: #5b2a86; }
header a { color: #fff; }
.logo { font-size: 1.5rem; font-weight: bold; text-decoration: none; }
.columns { display: flex; flex-wrap: wrap; gap: 2rem; padding: 2rem; max-width: 90rem; margin: auto; }
nav ul { list-style: none; margin: 0; padding: 0; }
nav a { color: #5b2a86; line-height: 2.2; }
main { flex: 1 1 20rem; min-width: 0; }
h1 { color: #5b2a86; }
button { background: lime; border-radius: 0; }
footer { padding: 2rem; border-top: 1px solid #d8c8b8; }
.apikey { --accent: #5b2a86; --fill: #5b2a86; --page: #fffaf2; }
@media (max-width: 40rem) { .columns { padding: 1rem; } }
`

// startShop serves the keys of alice at /settings/keys/, within the page of the shop, at /keys/ without it, and
// those of all customers at /audit/ for an auditor.
func startShop(t *testing.T) (url string, issuer *apikey.Issuer) {
	t.Helper()
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{Scopes: []apikey.Scope{
		{Name: "orders:read", Description: "See your orders and invoices"}, {Name: "orders:write", Description: "Place and cancel orders"}, {Name: "refunds"},
	}})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	mux := http.NewServeMux()
	mux.HandleFunc("/shop.css", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/css")
		fmt.Fprint(w, shopStyle)
	})
	mux.HandleFunc("/favicon.ico", func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })
	handle := func(at string, a manage.Access, o admin.Options) {
		o.Authorize = func(*http.Request) (manage.Access, error) { return a, nil }
		dashboard, err := admin.New(desk, o)
		require.NoError(t, err)
		mux.Handle(at+"/", http.StripPrefix(at, dashboard))
	}
	alice := manage.Access{Actor: "alice@example.com", Owner: "c-1042", Scopes: []string{"orders:read", "orders:write"}, MaxKeys: 6, MaxLifetime: 365 * 24 * time.Hour}
	handle("/settings/keys", alice, admin.Options{Layout: func(w http.ResponseWriter, _ *http.Request, p admin.Page) error { return shopPage.Execute(w, p) }})
	handle("/keys", alice, admin.Options{Name: "Shop", Home: "/"})
	handle("/audit", manage.Access{Actor: "auditor@example.com", AllOwners: true, ReadOnly: true}, admin.Options{Name: "Shop"})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	return server.URL, issuer
}

// aliceHas gives alice keys of several kinds, and returns one with a scope that she may not give.
func aliceHas(t *testing.T, issuer *apikey.Issuer) (usual, wide apikey.Key) {
	t.Helper()
	ctx := apikey.WithActor(t.Context(), "alice@example.com")
	const day = 24 * time.Hour
	for _, key := range []apikey.NewKey{
		{Name: "Somebody else’s", Owner: "c-7", Scopes: []string{"orders:read"}},
		{Name: "Warehouse sync", Owner: "c-1042", Scopes: []string{"orders:read"}, ExpiresAt: time.Now().Add(200 * day)},
		{Name: "Old importer", Owner: "c-1042", Scopes: []string{"orders:read", "orders:write"}, ExpiresAt: time.Now().Add(5 * day)},
		{Name: "Refund bot", Owner: "c-1042", Scopes: []string{"orders:read", "refunds"}, ExpiresAt: time.Now().Add(60 * day)},
		{Name: "Accounting export", Owner: "c-1042", Scopes: []string{"orders:read"}, ExpiresAt: time.Now().Add(90 * day)},
	} {
		_, made, err := issuer.Issue(ctx, key)
		require.NoError(t, err)
		switch key.Name {
		case "Old importer":
			suspended := true
			_, err = issuer.Manager().Update(ctx, made.ID, apikey.Patch{Suspended: &suspended})
			require.NoError(t, err)
		case "Refund bot":
			wide = made
		case "Accounting export":
			usual = made
		}
	}
	return usual, wide
}

var faceWidths = []int64{320, 768, 1100, 1280, 1920}

func TestOwnersPages(t *testing.T) {
	browser := startBrowser(t)
	for name, at := range map[string]string{"owner": "/keys/", "embedded": "/settings/keys/"} {
		t.Run(name, func(t *testing.T) {
			walkAsOwner(t, openTab(t, browser, look{width: 1280, script: true}), name, at, faceWidths)
		})
		t.Run(name+"-dark", func(t *testing.T) {
			walkAsOwner(t, openTab(t, browser, look{width: 1280, script: true, dark: true}), name, at, []int64{320, 1280})
		})
	}
}

// walkAsOwner visits the pages of alice at a path, and inspects each of them in windows of these widths.
func walkAsOwner(t *testing.T, b *tab, name, at string, widths []int64) {
	url, issuer := startShop(t)
	b.open(url + at)
	assert.Contains(t, b.text("main"), "No API keys yet")
	b.inspectAt(widths, name+"-empty")
	usual, wide := aliceHas(t, issuer)
	b.open(url + at)
	assert.NotContains(t, b.text("main"), "Somebody")
	assert.Contains(t, b.text("main"), "You have 4 of 6 keys")
	b.inspectAt(widths, name+"-list")
	b.open(url + at + "keys/" + usual.ID)
	b.inspectAt(widths, name+"-key")
	b.open(url + at + "keys/" + wide.ID)
	assert.Contains(t, b.text("#rotate"), "refunds")
	b.inspectAt(widths, name+"-beyond")
	b.open(url + at + "keys/" + wide.ID + "/edit")
	b.inspectAt(widths, name+"-edit")
	b.open(url + at + "revoke-owner")
	b.inspectAt(widths, name+"-revoke-all")
	b.open(url + at + "add")
	b.press("form.card .primary")
	assert.Contains(t, b.text("#problems"), "Enter a name")
	b.inspectAt(widths, name+"-add-wrong")
	b.requireQuiet(answered(http.StatusUnprocessableEntity))
	for range 2 {
		b.open(url + at + "add")
		b.fill("#name", "Tape archive")
		b.press(`input[value="orders:read"]`, stays)
		b.press("form.card .primary")
		assert.Contains(t, b.text("main"), "Key created")
	}
	b.inspectAt(widths, name+"-new")
	b.open(url + at)
	assert.Contains(t, b.text("#full"), "at most 6 keys")
	b.inspectAt(widths, name+"-full")
	b.press(`td.actions a[href*="/revoke"]`, stays)
	b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] .primary.danger")))
	b.inspectAt(widths, name+"-dialog")
	b.press("form.ask .primary.danger")
	assert.Contains(t, b.text("[role=status]"), "was revoked")
	b.open(url + at + "keys/unknown")
	b.inspectAt(widths, name+"-error")
	b.requireQuiet(answered(http.StatusNotFound))
}

// inspectAt inspects the page in windows of these widths. It then restores the width of the window.
func (b *tab) inspectAt(widths []int64, name string) {
	b.t.Helper()
	before := b.look.width
	for _, b.look.width = range widths {
		b.do(chromedp.EmulateViewport(b.look.width, 900))
		b.inspect(name)
	}
	b.look.width = before
	b.do(chromedp.EmulateViewport(before, 900))
}

func TestAuditorsPages(t *testing.T) {
	b := openTab(t, startBrowser(t), look{width: 1280, script: true})
	url, issuer := startShop(t)
	usual, _ := aliceHas(t, issuer)
	b.open(url + "/audit/")
	assert.Contains(t, b.text("table"), "Somebody")
	b.inspectAt(faceWidths, "auditor-list")
	b.open(url + "/audit/keys/" + usual.ID)
	b.inspectAt(faceWidths, "auditor-key")
	b.open(url + "/audit/activity")
	b.inspectAt(faceWidths, "auditor-activity")
	b.requireQuiet()
	b.open(url + "/audit/add")
	assert.Contains(t, b.text("main"), "You can view keys, but not change them.")
	b.inspectAt(faceWidths, "auditor-refused")
	b.requireQuiet(answered(http.StatusForbidden))
}

// The style sheets of the dashboard and of the application do not change each other's elements, except
// for the properties that the application sets.
func TestEmbeddedPageKeepsItsStyle(t *testing.T) {
	browser := startBrowser(t)
	b := openTab(t, browser, look{width: 1280, script: true})
	url, issuer := startShop(t)
	aliceHas(t, issuer)
	b.open(url + "/settings/keys/")
	style := func(selector, property string) string {
		return value(b, chromedp.Evaluate[string](fmt.Sprintf("getComputedStyle(document.querySelector(%q)).%s", selector, property)))
	}
	assert.Contains(t, style("body", "fontFamily"), "Georgia")
	assert.Equal(t, "rgb(255, 250, 242)", style("body", "backgroundColor"))
	assert.Equal(t, "rgb(255, 255, 255)", style("header a", "color"))
	assert.Equal(t, "0px", style("header a", "borderTopWidth"))
	assert.Contains(t, style(".apikey h1", "fontFamily"), "Georgia", "the font is that of the application")
	assert.NotEqual(t, "rgb(0, 255, 0)", style(".apikey button", "backgroundColor"))
	assert.Equal(t, "rgb(91, 42, 134)", style(".apikey .button.primary", "backgroundColor"), "a property that the application sets")
	b.requireQuiet()
}
