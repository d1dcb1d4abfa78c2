package browsertest

import (
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

// atHome returns a tab after the login, and the URL of the first page.
func atHome(t *testing.T) (b *tab, s *service, first string) {
	t.Helper()
	browser := startBrowser(t)
	s = startService(t, "ltr")
	first = s.url + "/some/where/"
	b = openTab(t, browser, look{width: 1280, script: true})
	b.open(first)
	b.fill("#password", password)
	b.press("form.card .primary")
	return b, s, first
}

func TestCopyWorksWithoutTheClipboardAPI(t *testing.T) {
	b, _, first := atHome(t)
	b.open(first + "add")
	b.fill("#name", "Backup job")
	b.press("form.card .primary")
	secret := value(b, chromedp.Value(chromedp.CSS("#key")))
	// A page over plain HTTP has no navigator.clipboard. The script reads the copied text in the copy event.
	b.do(chromedp.Evaluate[chromedp.Void](`Object.defineProperty(navigator, "clipboard", { value: undefined });
		document.addEventListener("copy", () => { const a = document.activeElement;
			window.copied = a.id === "key" ? a.value : String(getSelection()); })`))
	b.press(`[data-copy="key"]`, stays)
	value(b, chromedp.Poll[bool](`document.querySelector('[data-copy="key"]').textContent === "Copied"`))
	assert.Equal(t, secret, value(b, chromedp.Evaluate[string]("getSelection().toString() || window.copied")))
	b.press(`[data-copy="use"]`, stays)
	value(b, chromedp.Poll[bool](`document.querySelector('[data-copy="use"]').textContent === "Copied"`))
	assert.Contains(t, value(b, chromedp.Evaluate[string]("getSelection().toString()")), secret)
	b.requireQuiet()
}

func TestDialogOpensOnce(t *testing.T) {
	b, s, first := atHome(t)
	_, key, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	b.open(first + "?search=backup&sort=name")
	b.do(chromedp.Evaluate[chromedp.Void](`for (const _ of [1, 2, 3]) document.querySelector("[data-dialog]").click()`))
	b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] .primary.danger")))
	value(b, chromedp.Poll[bool](`performance.getEntriesByType("resource").filter(e => e.initiatorType === "fetch").length === 1`))
	assert.Equal(t, 1, value(b, chromedp.Evaluate[int](`document.querySelectorAll("dialog").length`)))
	b.press("dialog [data-close]", stays)
	b.do(chromedp.WaitNotPresent(chromedp.CSS("dialog")))

	// Another administrator revokes the key. The button of the dialog then leads to the page of the key.
	_, err = s.store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	b.press("[data-dialog]", stays)
	b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] a.button")))
	b.press("dialog a.button")
	assert.Equal(t, first+"keys/"+key.ID, value(b, chromedp.Location()))
	b.requireQuiet()
}

func TestRevokeReturnsToTheListInItsState(t *testing.T) {
	b, s, first := atHome(t)
	_, key, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	b.open(first + "?search=backup&sort=name")
	b.press("[data-dialog]", stays)
	b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] .primary.danger")))
	b.press("dialog .primary.danger")
	assert.Equal(t, first+"?search=backup&sort=name&revoked="+key.ID, value(b, chromedp.Location()))
	assert.Contains(t, b.text("[role=status]"), "was revoked")
	b.inspect("list-revoked")
	b.requireQuiet()
}

func TestUnansweredFormMayBeSentAgain(t *testing.T) {
	b, _, first := atHome(t)
	b.open(first + "add")
	b.do(chromedp.Evaluate[chromedp.Void](`window.timers = []; window.setTimeout = (f, _, ...args) => timers.push(() => f(...args));
		document.addEventListener("submit", e => { window.sent = (window.sent || 0) + !e.defaultPrevented; e.preventDefault(); })`))
	b.fill("#name", "Backup job")
	b.press("form.card .primary", stays)
	b.press("form.card .primary", stays)
	assert.Equal(t, 1, value(b, chromedp.Evaluate[int]("sent")), "once")
	b.do(chromedp.Evaluate[chromedp.Void]("timers.forEach(f => f())"))
	b.press("form.card .primary", stays)
	assert.Equal(t, 2, value(b, chromedp.Evaluate[int]("sent")), "and again after a while")
	b.requireQuiet()
}

func TestDayIsSentOnlyIfItIsChosen(t *testing.T) {
	for _, script := range []bool{true, false} {
		b, _, first := atHome(t)
		b.allowScript(script)
		b.open(first + "add")
		b.fill("#name", "Backup job")
		b.press(`[value="date"]`, stays)
		b.do(chromedp.WaitVisible(chromedp.CSS("#date")))
		b.do(chromedp.SetValue(chromedp.CSS("#date"), time.Now().AddDate(0, 0, 9).Format("2006-01-02")))
		b.press(`[value="30"]`, stays)
		b.do(chromedp.WaitNotVisible(chromedp.CSS("#date")))
		b.press("form.card .primary")
		if script {
			assert.Contains(t, b.text("main"), "Key created")
			b.requireQuiet()
			continue
		}
		assert.Contains(t, b.text("#problems"), "You entered a day")
		b.press("form.card .primary")
		assert.Contains(t, b.text("main"), "Key created")
		b.requireQuiet(answered(http.StatusUnprocessableEntity))
	}
}

// A key that has lived its MaxLifetime can only keep its expiry.
func TestEditWithoutAChoiceOfDays(t *testing.T) {
	b := openTab(t, startBrowser(t), look{width: 1280, script: true})
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{MaxLifetime: time.Hour})
	require.NoError(t, err)
	_, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	dashboard, err := admin.New(desk, admin.Options{Authorize: func(*http.Request) (manage.Access, error) {
		return manage.Access{Actor: "ann", AllOwners: true, AnyScope: true}, nil
	}})
	require.NoError(t, err)
	server := httptest.NewServer(dashboard)
	t.Cleanup(server.Close)
	b.open(server.URL + "/keys/" + key.ID + "/edit")
	assert.Contains(t, b.text("#expiry"), "rotate it")
	b.press(`[value="keep"]`, stays)
	b.do(chromedp.WaitNotVisible(chromedp.CSS("#date")))
	assert.True(t, value(b, chromedp.Evaluate[bool](`document.getElementById("date").disabled`)))
	b.press("form.card .primary")
	assert.Equal(t, server.URL+"/keys/"+key.ID, value(b, chromedp.Location()))
	b.requireQuiet()
}
