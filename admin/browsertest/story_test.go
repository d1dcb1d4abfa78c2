package browsertest

import (
	"net/http"
	"os"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey"
)

// TestStory is the first day of an administrator, in every look.
func TestStory(t *testing.T) {
	browser := startBrowser(t)
	for _, l := range []look{
		{width: 320, script: true}, {width: 320, script: true, dark: true}, {width: 1280, script: true}, {width: 1280, script: true, dark: true},
		{width: 320}, {width: 320, dark: true}, {width: 1280}, {width: 1280, dark: true},
		{width: 320, script: true, rtl: true}, {width: 1280, script: true, rtl: true},
	} {
		t.Run(l.String(), func(t *testing.T) { story(t, openTab(t, browser, l), startService(t, l.dir())) })
	}
}

// dir is the direction of the pages. The texts stay English, because the tests read them.
func (l look) dir() string {
	if l.rtl {
		return "rtl"
	}
	return "ltr"
}

// TestAccessibility reports a missing axe-core, which inspect runs on each page of the story.
func TestAccessibility(t *testing.T) {
	if os.Getenv(axeVariable) == "" {
		skip(t, axeVariable+" does not name the file axe.min.js")
	}
}

func story(t *testing.T, b *tab, s *service) {
	first := s.url + "/some/where/"

	// Login with a wrong password, then with the right one.
	b.open(first)
	b.inspect("login")
	b.fill("#password", "a wrong one")
	b.press("form.card .primary")
	assert.Contains(t, b.text("main"), "Wrong password.")
	b.inspect("login-wrong")
	b.requireQuiet(answered(http.StatusUnauthorized))
	b.fill("#password", password)
	b.press("form.card .primary")
	assert.Contains(t, b.text("main"), "No API keys yet")
	b.inspect("empty")

	// Adding a key, first without a name.
	b.press("a.primary")
	b.inspect("add")
	b.press("form.card .primary")
	assert.Contains(t, b.text("#problems"), "Enter a name")
	b.inspect("add-wrong")
	b.requireQuiet(answered(http.StatusUnprocessableEntity))
	b.fill("#name", "Backup job")
	b.press(`input[value="library:read"]`, stays)
	b.fill("#scopes", "sessions:control")
	b.press("form.card .primary")
	assert.Contains(t, b.text("#scopes-problem"), "Check the spelling")
	b.inspect("add-unknown-scope")
	b.requireQuiet(answered(http.StatusUnprocessableEntity))
	b.press(`input[name="confirmed"]`, stays)
	b.press("form.card .primary")
	secret := value(b, chromedp.Value(chromedp.CSS("#key")))
	require.Regexp(t, regexp.MustCompile(`^ak_[0-9A-Za-z]{36}$`), secret)
	assert.Equal(t, http.StatusOK, s.status(t, secret))
	require.NoError(t, s.store.Flush(t.Context()))
	if b.look.script {
		b.press(`[data-copy="key"]`, stays)
		value(b, chromedp.Poll[bool](`document.querySelector('[data-copy="key"]').textContent === "Copied"`))
		assert.Equal(t, secret, value(b, chromedp.Evaluate[string]("navigator.clipboard.readText()", chromedp.EvalAwaitPromise)))
	}
	b.inspect("new")

	// The list shows the key but not its secret.
	b.press("a.primary")
	assert.Contains(t, b.text("main"), "Backup job")
	b.someKeys(s)
	b.do(chromedp.Reload())
	b.inspect("list")
	b.back()
	assert.NotContains(t, value(b, chromedp.OuterHTML(chromedp.CSS("html"))), secret, "after going back")
	b.requireQuiet("ERR_CACHE_MISS")

	// Searches.
	b.open(first)
	b.fill("#search", "backup")
	b.press(".filters button")
	assert.Contains(t, b.text("table"), "Backup job")
	assert.NotContains(t, b.text("table"), "Partner")
	assert.Contains(t, value(b, chromedp.Location()), "search=backup")
	b.open(first + "?search=nothing+of+the+kind")
	assert.Contains(t, b.text("main"), "No active key matches")
	b.inspect("nothing")
	b.open(first + "?status=all")
	b.press(".keys .owner a")
	assert.Contains(t, b.text("table"), "Home automation")
	assert.NotContains(t, b.text("table"), "Backup job")
	assert.Equal(t, "1 key", b.text(".summary > span"))
	b.inspect("list-owner")
	b.open(first + "?status=revoked")
	assert.Contains(t, b.text("table"), "Old partner")
	assert.NotContains(t, b.text("table"), "Backup job")

	// A key that was found somewhere, pasted into the search and into "Which key is this?".
	b.open(first)
	b.fill("#search", "api_key="+secret)
	b.press(".filters button")
	assert.Contains(t, b.text("h1"), "Backup job")
	assert.NotContains(t, value(b, chromedp.Location()), secret)
	b.open(first + "identify")
	b.inspect("identify")
	b.fill("#key", "nothing of the kind")
	b.press("form.card .primary")
	assert.Contains(t, b.text("#key-problem"), "not a key of this service")
	b.inspect("identify-none")
	b.requireQuiet(answered(http.StatusNotFound))
	b.open(first + "?search=" + strings.Repeat("x7Qd", 9))
	assert.Contains(t, b.text("main"), "This looks like a key")
	b.inspect("search-secret")

	// The page of the key, and its rotation.
	b.open(first + "?search=backup")
	b.press(".name a")
	assert.Contains(t, b.text("main"), "administrator")
	b.inspect("key")
	b.press(`a[href$="/edit"]`)
	b.inspect("edit")
	b.fill("#owner", "Operations")
	b.press("details summary", stays)
	b.do(chromedp.SetValue(chromedp.CSS("#networks"), "192.0.2.7/24"))
	b.press("form.card .primary")
	assert.Contains(t, b.text("#networks-problem"), "192.0.2.0/24")
	b.inspect("edit-wrong")
	b.requireQuiet(answered(http.StatusUnprocessableEntity))
	b.do(chromedp.SetValue(chromedp.CSS("#networks"), "127.0.0.0/8"))
	b.press("form.card .primary")
	assert.Contains(t, b.text("[role=status]"), "was changed")
	assert.Contains(t, b.text(".facts"), "127.0.0.0/8")
	assert.Equal(t, http.StatusOK, s.status(t, secret))
	b.suspendAndResume(t, s, secret)
	b.press(`a[href$="/rotate"]`)
	b.inspect("rotate")
	b.press("form.card .primary")
	successor := value(b, chromedp.Value(chromedp.CSS("#key")))
	assert.NotEqual(t, secret, successor)
	assert.Contains(t, b.text("main"), "The old key works until")
	assert.Equal(t, http.StatusOK, s.status(t, secret), "in its grace")
	assert.Equal(t, http.StatusOK, s.status(t, successor))
	b.inspect("rotated")

	// Revoking the successor. With a script a dialog asks.
	b.press(`a.button:not(.primary)`)
	if b.look.script {
		b.press(`a[href$="/revoke"]`, stays)
		b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] .primary.danger")))
		assert.Equal(t, "Cancel", value(b, chromedp.Evaluate[string]("document.activeElement.textContent")))
		b.inspect("revoke-dialog")
		b.press("dialog [data-close]", stays)
		b.do(chromedp.WaitNotPresent(chromedp.CSS("dialog")))
		assert.Equal(t, http.StatusOK, s.status(t, successor), "after Cancel")
		b.press(`a[href$="/revoke"]`, stays)
		b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] .primary.danger")))
	} else {
		b.press(`a[href$="/revoke"]`)
		b.inspect("revoke")
	}
	b.press("form.ask .primary.danger")
	assert.Contains(t, b.text("main .lead"), "Revoked")
	assert.Contains(t, b.text("[role=status]"), "was revoked")
	assert.Equal(t, http.StatusUnauthorized, s.status(t, successor))
	b.inspect("revoked")

	// Revoking selected keys.
	b.open(first + "?sort=name")
	b.press("tr:nth-child(1) td.pick label", stays)
	b.press("tr:nth-child(2) td.pick label", stays)
	b.inspect("list-selected")
	b.press(".selected button")
	b.inspect("revoke-selected")
	b.press("form.ask .danger")
	assert.Contains(t, b.text("[role=status]"), "2 keys were revoked")
	b.inspect("revoke-selected-done")
	b.press("a.primary")
	assert.True(t, strings.HasSuffix(value(b, chromedp.Location()), "?sort=name"))

	// Revoking the keys of an owner, first with a wrong name, and the changes of all keys.
	b.open(first + "?owner=Smart+home+team")
	b.press(`a[href*="revoke-owner"]`)
	b.inspect("revoke-owner")
	b.fill("#confirm", "Smart home")
	b.press("form.ask .danger")
	assert.Contains(t, b.text("#confirm-problem"), "not the name")
	b.requireQuiet(answered(http.StatusUnprocessableEntity))
	b.fill("#confirm", "Smart home team")
	b.press("form.ask .danger")
	assert.Contains(t, b.text("[role=status]"), "1 key of")
	b.inspect("revoke-owner-done")
	b.open(first)
	b.press(`a[href$="/activity"]`)
	assert.Contains(t, b.text("tbody tr"), "Smart home team")
	b.inspect("activity")
	b.press("td code")
	assert.Contains(t, b.text("main"), "History")

	// A missing key, and the logout.
	b.open(first + "keys/unknown")
	assert.Contains(t, b.text("main"), "Key not found")
	b.inspect("error")
	b.requireQuiet(answered(http.StatusNotFound))
	b.press(".bar button")
	assert.True(t, strings.HasSuffix(value(b, chromedp.Location()), "/some/where/login"))
	b.open(first)
	assert.Contains(t, value(b, chromedp.Location()), "/some/where/login")
	b.requireQuiet()
}

// suspendAndResume does so on the page of a key. With a script a dialog asks.
func (b *tab) suspendAndResume(t *testing.T, s *service, secret string) {
	if b.look.script {
		b.press(`a[href$="/suspend"]`, stays)
		b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] .primary")))
		b.inspect("suspend-dialog")
	} else {
		b.press(`a[href$="/suspend"]`)
		b.inspect("suspend")
	}
	b.press("form.ask .primary")
	assert.Contains(t, b.text("[role=status]"), "was suspended")
	assert.Contains(t, b.text("main .lead"), "Suspended")
	assert.Equal(t, http.StatusUnauthorized, s.status(t, secret))
	b.inspect("suspended")
	b.press(`form[action$="/resume"] button`)
	assert.Contains(t, b.text("[role=status]"), "no longer suspended")
	assert.Equal(t, http.StatusOK, s.status(t, secret))
}

// someKeys adds keys of all kinds to the list.
func (b *tab) someKeys(s *service) {
	ctx := apikey.WithActor(b.t.Context(), "administrator")
	for _, key := range []apikey.NewKey{
		{Name: "Home automation", Owner: "Smart home team", Scopes: []string{"library:read", "sessions:control"}, ExpiresAt: time.Now().Add(3 * 24 * time.Hour)},
		{Name: "Old partner", Scopes: []string{"library:read"}},
		{Name: `"><script>alert(1)</script>`},
		{Name: "Partner with a name of almost a hundred letters, to see what the list makes of one that is as long", ExpiresAt: time.Now().Add(200 * 24 * time.Hour)},
		{Name: "مفتاح النسخ الاحتياطي", Scopes: []string{"library:read", "library:write"}, ExpiresAt: time.Now().Add(89 * 24 * time.Hour)},
	} {
		secret, made, err := s.issuer.Issue(ctx, key)
		require.NoError(b.t, err)
		digest, err := s.issuer.Format().Digest(secret)
		require.NoError(b.t, err)
		switch key.Name {
		case "Home automation":
			s.store.Touch(digest, apikey.Use{At: time.Now().Add(-5 * time.Minute)})
		case "Old partner":
			s.store.Touch(digest, apikey.Use{At: time.Now().Add(-100 * 24 * time.Hour)})
			_, err := s.store.Revoke(ctx, made.ID)
			require.NoError(b.t, err)
		}
	}
	require.NoError(b.t, s.store.Flush(ctx))
}
