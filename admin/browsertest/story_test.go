package browsertest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/sqlstore"
)

const password = "correct horse battery staple"

// A service is the dashboard, and an API, over one store.
type service struct {
	url    string
	issuer *apikey.Issuer
	store  *sqlstore.Store
}

func startService(t *testing.T, text *admin.Text) *service {
	t.Helper()
	db, err := sqlstore.OpenSQLite("sqlite", filepath.Join(t.TempDir(), "keys.db"))
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { store.Close(t.Context()) })
	require.NoError(t, store.Migrate(t.Context()))
	issuer, err := apikey.NewIssuer(store, nil)
	require.NoError(t, err)
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	hash, err := admin.HashPassword(apikey.NewSecret(password))
	require.NoError(t, err)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	dashboard, err := admin.New(issuer, admin.Options{
		PasswordHash: hash, Text: text, Name: "Media server", Logger: slog.New(slog.DiscardHandler), Scopes: []string{"library:read", "library:write", "apikeys:manage"},
		Example: "curl -H 'X-API-Key: KEY' " + server.URL + "/api",
	})
	require.NoError(t, err)
	mux.Handle("/some/where/", http.StripPrefix("/some/where", dashboard))
	mux.Handle("/api", auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	return &service{server.URL, issuer, store}
}

// status is what a request with a key gets.
func (s *service) status(t *testing.T, key string) int {
	r, err := http.NewRequest("GET", s.url+"/api", nil)
	require.NoError(t, err)
	r.Header.Set("X-API-Key", key)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	response.Body.Close()
	return response.StatusCode
}

// TestTheWholeStory is an administrator's first day, in every look.
func TestTheWholeStory(t *testing.T) {
	browser := startBrowser(t)
	for _, l := range []look{
		{width: 320, script: true}, {width: 320, script: true, dark: true}, {width: 1280, script: true}, {width: 1280, script: true, dark: true},
		{width: 320}, {width: 320, dark: true}, {width: 1280}, {width: 1280, dark: true},
		{width: 320, script: true, rtl: true}, {width: 1280, script: true, rtl: true},
	} {
		t.Run(l.String(), func(t *testing.T) { story(t, openTab(t, browser, l), startService(t, l.text())) })
	}
}

// text is English, since the tests read it, for the one direction or the other.
func (l look) text() *admin.Text {
	if l.rtl {
		return &admin.Text{Dir: "rtl"}
	}
	return nil
}

// TestAccessibility says when axe-core is not there, with which each page of the story is looked at.
func TestAccessibility(t *testing.T) {
	if os.Getenv(axeVariable) == "" {
		skip(t, axeVariable+" does not name the file axe.min.js")
	}
}

func story(t *testing.T, b *tab, s *service) {
	first := s.url + "/some/where/"

	// The login: first a wrong password, then the right one.
	b.open(first)
	b.inspect("login")
	b.fill("#password", "a wrong one")
	b.press("form.card .primary")
	assert.Contains(t, b.text("main"), "That is not the password.")
	b.inspect("login-wrong")
	b.requireQuiet(answered(http.StatusUnauthorized))
	b.fill("#password", password)
	b.press("form.card .primary")
	assert.Contains(t, b.text("main"), "No API keys yet")
	b.inspect("empty")

	// A key is added; without a name it is not.
	b.press("a.primary")
	b.inspect("add")
	b.press("form.card .primary")
	assert.Contains(t, b.text("#problems"), "Give it a name")
	b.inspect("add-wrong")
	b.requireQuiet(answered(http.StatusUnprocessableEntity))
	b.fill("#name", "Backup job")
	b.press(`input[value="library:read"]`, stays)
	b.fill("#scopes", "sessions:control")
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

	// It is in the list, and is not shown again.
	b.press("a.primary")
	assert.Contains(t, b.text("main"), "Backup job")
	b.someKeys(s)
	b.do(chromedp.Reload())
	b.inspect("list")
	b.back()
	assert.NotContains(t, value(b, chromedp.OuterHTML(chromedp.CSS("html"))), secret, "after going back")
	b.requireQuiet("ERR_CACHE_MISS")

	// Searching, and finding nothing.
	b.open(first)
	b.fill("#search", "backup")
	b.press(".filters button")
	assert.Contains(t, b.text("table"), "Backup job")
	assert.NotContains(t, b.text("table"), "Partner")
	assert.Contains(t, value(b, chromedp.Location()), "search=backup")
	b.open(first + "?search=nothing+of+the+kind")
	assert.Contains(t, b.text("main"), "No key matches")
	b.inspect("nothing")
	b.open(first + "?status=revoked")
	assert.Contains(t, b.text("table"), "Old partner")
	assert.NotContains(t, b.text("table"), "Backup job")

	// The key's page, and its rotation.
	b.open(first + "?search=backup")
	b.press(".name a")
	assert.Contains(t, b.text("main"), "administrator")
	b.inspect("key")
	b.press(`a[href$="/rotate"]`)
	b.inspect("rotate")
	b.press("form.card .primary")
	successor := value(b, chromedp.Value(chromedp.CSS("#key")))
	assert.NotEqual(t, secret, successor)
	assert.Contains(t, b.text("main"), "The old key works until")
	assert.Equal(t, http.StatusOK, s.status(t, secret), "in its grace")
	assert.Equal(t, http.StatusOK, s.status(t, successor))
	b.inspect("rotated")

	// The successor is revoked; with a script the question is in a dialog.
	b.press(`a.button:not(.primary)`)
	if b.look.script {
		b.press("[data-dialog]", stays)
		b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] .primary.danger")))
		assert.Equal(t, "Cancel", value(b, chromedp.Evaluate[string]("document.activeElement.textContent")))
		b.inspect("revoke-dialog")
		b.press("dialog [data-close]", stays)
		b.do(chromedp.WaitNotPresent(chromedp.CSS("dialog")))
		assert.Equal(t, http.StatusOK, s.status(t, successor), "after Cancel")
		b.press("[data-dialog]", stays)
		b.do(chromedp.WaitVisible(chromedp.CSS("dialog[open] .primary.danger")))
	} else {
		b.press("[data-dialog]")
		b.inspect("revoke")
	}
	b.press("form.ask .primary.danger")
	assert.Contains(t, b.text("main .lead"), "Revoked")
	assert.Contains(t, b.text("[role=status]"), "was revoked")
	assert.Equal(t, http.StatusUnauthorized, s.status(t, successor))
	b.inspect("revoked")

	// What is not there, and the logout.
	b.open(first + "keys/nobody")
	assert.Contains(t, b.text("main"), "There is no such key")
	b.inspect("error")
	b.requireQuiet(answered(http.StatusNotFound))
	b.press(".bar button")
	assert.True(t, strings.HasSuffix(value(b, chromedp.Location()), "/some/where/login"))
	b.open(first)
	assert.Contains(t, value(b, chromedp.Location()), "/some/where/login")
	b.requireQuiet()
}

// someKeys makes the list look like one.
func (b *tab) someKeys(s *service) {
	ctx := apikey.WithActor(b.t.Context(), "administrator")
	for _, key := range []apikey.Key{
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
			s.store.Touch(digest, time.Now().Add(-5*time.Minute))
		case "Old partner":
			s.store.Touch(digest, time.Now().Add(-100*24*time.Hour))
			_, err := s.store.Revoke(ctx, made.ID)
			require.NoError(b.t, err)
		}
	}
	require.NoError(b.t, s.store.Flush(ctx))
}
