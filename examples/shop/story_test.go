package main

import (
	"fmt"
	"net/http"
	"testing"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// TestStory is the life of a customer's key in a real browser.
func TestStory(t *testing.T) {
	b := openTab(t)
	s := startService(t)
	read := func(key string) int { return s.call(t, key, "GET", "/api/orders", nil).status }

	b.open(s.url + "/")
	b.inspect("login")
	b.fill("[name=email]", alice.email)
	b.fill("[name=password]", bob.demoPassword)
	b.press(".login button")
	assert.Contains(t, b.text(".problem"), "wrong password")
	b.inspect("login-wrong")
	b.requireQuiet("status of 401 ")
	b.logIn(s, alice)
	assert.Contains(t, b.text("main"), "Teapot")
	b.inspect("orders")

	// Alice makes a key and uses it.
	b.press(`nav a[href="/settings/keys/"]`)
	assert.Contains(t, b.text("main"), "No API keys yet")
	b.inspect("keys-empty")
	b.press("a.primary")
	assert.NotContains(t, b.text("main"), "orders:refund", "a scope of staff")
	b.inspect("add")
	b.press("form.card .primary")
	assert.Contains(t, b.text("#problems"), "Enter a name")
	b.inspect("add-wrong")
	b.requireQuiet("status of 422 ")
	b.fill("#name", "Stock script")
	b.tick(`input[value="orders:read"]`)
	b.press("form.card .primary")
	first := value(b, chromedp.Value(chromedp.CSS("#key")))
	b.inspect("new")
	require.Equal(t, http.StatusOK, read(first))
	assert.Equal(t, http.StatusForbidden, s.call(t, first, "POST", "/api/orders", order{"Cup", 1}).status)

	require.NoError(t, s.store.Flush(t.Context())) // otherwise the last use shows a few seconds later

	// She rotates it, and sees the old and the new key.
	b.press("a.button.primary")
	assert.Contains(t, b.text("table"), "Stock script")
	assert.NotContains(t, b.text("table"), "Never used")
	b.inspect("keys")
	b.press(`a[href$="/rotate"]`)
	b.inspect("rotate")
	b.press("form.card .primary")
	second := value(b, chromedp.Value(chromedp.CSS("#key")))
	b.inspect("rotated")
	require.NotEqual(t, first, second)
	assert.Equal(t, http.StatusOK, read(first), "the old key works for a while")
	assert.Equal(t, http.StatusOK, read(second))
	b.press("a.button.primary")
	assert.Equal(t, 2, value(b, chromedp.Evaluate[int]("document.querySelectorAll('tbody tr').length")))
	assert.Contains(t, b.text("table"), "Rotated")
	b.inspect("keys-rotated")
	b.press("tbody tr:first-child .name a")
	keyPage := value(b, chromedp.Location())
	b.inspect("key")
	b.press(`a[href$="/edit"]`)
	b.inspect("edit")

	// Bob sees nothing of it.
	b.logOut()
	b.logIn(s, bob)
	b.open(s.url + "/settings/keys/")
	assert.Contains(t, b.text("main"), "No API keys yet")
	b.open(s.url + "/settings/keys/?status=all")
	assert.Contains(t, b.text("main"), "0 of 10 keys")
	b.open(keyPage)
	assert.Contains(t, b.text("main"), "Key not found")
	b.inspect("not-found")
	b.requireQuiet("status of 404 ")
	b.open(s.url + "/admin/")
	assert.Contains(t, b.text("main"), "Access denied")
	b.inspect("denied")
	b.requireQuiet("status of 403 ")
	b.open(s.url + "/settings/keys/add")
	b.fill("#name", "Bobs till")
	b.press("form.card .primary")

	// Staff see the keys of both.
	b.logOut()
	b.logIn(s, carol)
	b.press(`nav a[href="/admin/"]`)
	for _, text := range []string{"Stock script", alice.id, "Bobs till", bob.id} {
		assert.Contains(t, b.text("table"), text)
	}
	b.inspect("admin")
	b.open(s.url + "/admin/activity")
	assert.Contains(t, b.text("table"), alice.email)
	b.inspect("admin-activity")

	// Alice revokes the new key. The old one works until its end, unless she revokes it too.
	b.logOut()
	b.logIn(s, alice)
	for i, key := range []string{second, first} {
		b.open(s.url + "/settings/keys/")
		require.Equal(t, http.StatusOK, read(key))
		b.tick(`tbody tr:first-child a[href*="/revoke"]`)
		b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] .primary.danger")))
		b.inspect(fmt.Sprint("revoke-", i))
		b.press("form.ask .primary.danger")
		assert.Contains(t, b.text("[role=status]"), "was revoked")
		assert.Equal(t, http.StatusUnauthorized, read(key))
	}
	b.open(s.url + "/settings/keys/?status=all")
	b.inspect("keys-revoked")
	for i := range maxKeys {
		s.issue(t, apikey.NewKey{Name: fmt.Sprint("Job ", i), Owner: alice.id, Scopes: customersScopes})
	}
	b.open(s.url + "/settings/keys/")
	assert.Contains(t, b.text("main"), "10 of 10 keys")
	assert.True(t, value(b, chromedp.Evaluate[bool]("document.querySelector('.head button').disabled")), "Add API key")
	b.inspect("keys-full")
	b.logOut()
	b.open(s.url + "/settings/keys/")
	assert.Contains(t, value(b, chromedp.Location()), "/login")
	b.requireQuiet()
}

func (b *tab) logIn(s *service, c customer) {
	b.t.Helper()
	b.open(s.url + "/login")
	b.fill("[name=email]", c.email)
	b.fill("[name=password]", c.demoPassword)
	b.press(".login button")
	require.Contains(b.t, b.text(".shop"), c.name)
}

func (b *tab) logOut() {
	b.t.Helper()
	b.press(".shop form button")
}
