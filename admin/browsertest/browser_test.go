package browsertest

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/chromedp/cdproto/audits"
	"github.com/chromedp/cdproto/browser"
	"github.com/chromedp/cdproto/emulation"
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"
)

// Environment variables of the tests.
const (
	axeVariable         = "APIKEY_TEST_AXE"         // the file axe.min.js of axe-core
	screenshotsVariable = "APIKEY_TEST_SCREENSHOTS" // a folder for pictures; without it none are kept
	allVariable         = "APIKEY_TEST_ALL"         // if set, a test that cannot run fails
)

func skip(t *testing.T, why string) {
	t.Helper()
	if os.Getenv(allVariable) != "" {
		t.Fatalf("must not be skipped: %s", why)
	}
	t.Skipf("skipped: %s", why)
}

// startBrowser returns a context that can open tabs. It skips the test under the race detector, which
// would slow the browser down. The tests of package admin look for races.
func startBrowser(t *testing.T) context.Context {
	t.Helper()
	if raceDetector {
		t.Skip("skipped: run it without the race detector")
	}
	var binary string
	for _, name := range []string{"chromium", "chromium-browser", "google-chrome", "chrome"} {
		if found, err := exec.LookPath(name); err == nil {
			binary = found
			break
		}
	}
	if binary == "" {
		skip(t, "no Chromium on this machine")
	}
	options := []chromedp.ExecAllocatorOption{
		chromedp.ExecPath(binary), chromedp.UserDataDir(t.TempDir()),
		chromedp.Headless, chromedp.NoSandbox, chromedp.DisableGPU, chromedp.NoFirstRun, chromedp.NoDefaultBrowserCheck,
	}
	// The browser must not do anything on its own.
	for _, flag := range []string{"disable-background-networking", "disable-component-update", "disable-sync", "disable-quic", "disable-dev-shm-usage"} {
		options = append(options, chromedp.Flag(flag, true))
	}
	ctx, cancel := chromedp.NewExecAllocator(context.Background(), options...)
	t.Cleanup(cancel)
	ctx, cancel = chromedp.NewContext(ctx)
	t.Cleanup(cancel)
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	return ctx
}

// A look is the setup of an administrator's browser.
type look struct {
	width  int64
	dark   bool
	script bool
	rtl    bool // the pages run from right to left
}

func (l look) String() string {
	name := fmt.Sprintf("%d-light", l.width)
	if l.dark {
		name = fmt.Sprintf("%d-dark", l.width)
	}
	if !l.script {
		name += "-noscript"
	}
	if l.rtl {
		name += "-rtl"
	}
	return name
}

// A tab is one page of the browser. requireQuiet reports its complaints.
type tab struct {
	t    *testing.T
	ctx  context.Context
	look look

	mu         sync.Mutex
	complaints []string
}

func openTab(t *testing.T, chromium context.Context, l look) *tab {
	t.Helper()
	ctx, cancel := chromedp.NewContext(chromium)
	t.Cleanup(cancel)
	b := &tab{t: t, ctx: ctx, look: l}
	require.NoError(t, chromedp.Listen(ctx, b.hear))
	scheme := "light"
	if l.dark {
		scheme = "dark"
	}
	media := emulation.SetEmulatedMediaParams{Features: []*emulation.MediaFeature{
		{Name: "prefers-color-scheme", Value: scheme}, {Name: "prefers-reduced-motion", Value: "reduce"},
	}}
	_, err := chromedp.Call(ctx, emulation.SetEmulatedMedia, media)
	require.NoError(t, err)
	_, err = chromedp.Call(ctx, audits.Enable, struct{}{})
	require.NoError(t, err)
	for _, name := range []string{"clipboard-read", "clipboard-write"} {
		_, err = chromedp.CallBrowser(ctx, browser.SetPermission, browser.SetPermissionParams{
			Permission: &browser.PermissionDescriptor{Name: name}, Setting: browser.PermissionSettingGranted,
		})
		require.NoError(t, err)
	}
	b.do(chromedp.EmulateViewport(l.width, 900))
	b.allowScript(l.script)
	return b
}

func (b *tab) allowScript(allow bool) {
	_, err := chromedp.Call(b.ctx, emulation.SetScriptExecutionDisabled, emulation.SetScriptExecutionDisabledParams{Value: !allow})
	require.NoError(b.t, err)
}

// hear records the warnings and errors of the developer tools.
func (b *tab) hear(event any) {
	complaint := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			complaint = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
		}
	case *runtime.EventConsoleAPICalled:
		if e.Type == runtime.ConsoleAPICalledTypeError || e.Type == runtime.ConsoleAPICalledTypeWarning {
			complaint = fmt.Sprintf("console: %v", e.Args)
		}
	case *runtime.EventExceptionThrown:
		complaint = "exception: " + e.ExceptionDetails.Text
	case *audits.EventIssueAdded:
		if e.Issue.Details.ContentSecurityPolicyIssueDetails != nil {
			complaint = fmt.Sprintf("Content-Security-Policy: %+v", *e.Issue.Details.ContentSecurityPolicyIssueDetails)
		}
	}
	if complaint != "" {
		b.mu.Lock()
		b.complaints = append(b.complaints, complaint)
		b.mu.Unlock()
	}
}

// requireQuiet fails the test if the tab has a complaint that contains none of the expected texts.
func (b *tab) requireQuiet(expected ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		isExpected := func(text string) bool { return strings.Contains(complaint, text) }
		require.True(b.t, slices.ContainsFunc(expected, isExpected), complaint)
	}
	b.complaints = nil
}

// answered returns the log entry of the browser for a response with an error status.
func answered(status int) string { return fmt.Sprintf("responded with a status of %d ", status) }

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

func value[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 60*time.Second)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)
	return v
}

// inspect checks the rules for every page and takes a picture.
func (b *tab) inspect(name string) {
	b.t.Helper()
	if folder := os.Getenv(screenshotsVariable); folder != "" {
		require.NoError(b.t, os.MkdirAll(folder, 0o755))
		picture := value(b, chromedp.FullScreenshot(100))
		require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+"-"+b.look.String()+".png"), picture, 0o644))
	}
	require.LessOrEqual(b.t, value(b, chromedp.Evaluate[int]("document.documentElement.scrollWidth")), int(b.look.width), "%s scrolls sideways", name)
	if b.look.script { // axe is a script; the markup is the same without it
		require.Empty(b.t, b.axe(), "accessibility of %s", name)
	}
}

// axe returns the violations that axe-core finds on the page: WCAG 2.2 A and AA, and best practice.
func (b *tab) axe() []string {
	b.t.Helper()
	file := os.Getenv(axeVariable)
	if file == "" {
		return nil // TestAccessibility reports that
	}
	source, err := os.ReadFile(file)
	require.NoError(b.t, err)
	const run = `axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
		.then(found => found.violations.flatMap(v => v.nodes.map(n => v.id + ' ' + n.target + ': ' + n.failureSummary)))`
	b.do(chromedp.Evaluate[chromedp.Void](string(source)))
	return value(b, chromedp.Evaluate[[]string](run, chromedp.EvalAwaitPromise))
}

// stays tells press that the page stays.
const stays = false

func (b *tab) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS("main")))
}

// press clicks an element and waits for the next page.
func (b *tab) press(selector string, leaves ...bool) {
	b.t.Helper()
	if len(leaves) > 0 {
		b.do(chromedp.ScrollIntoView(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
		return
	}
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	require.NoError(b.t, err, selector)
	b.do(chromedp.WaitReady(chromedp.CSS("main")))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return value(b, chromedp.Text(chromedp.CSS(selector)))
}

// back goes back to a page that the browser must not cache. The browser then asks whether to send the
// form again, and gets no answer.
func (b *tab) back() {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, 30*time.Second)
	defer cancel()
	if err := chromedp.Do(ctx, chromedp.NavigateBack()); err != nil {
		require.ErrorContains(b.t, err, "ERR_CACHE_MISS")
	}
}
