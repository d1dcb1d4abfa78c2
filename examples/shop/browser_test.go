package main

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
	"github.com/chromedp/cdproto/log"
	"github.com/chromedp/cdproto/runtime"
	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/examples/internal/program"
)

// Environment variables of the tests, as in admin/browsertest.
const (
	axeVariable         = "APIKEY_TEST_AXE"         // the file axe.min.js of axe-core
	screenshotsVariable = "APIKEY_TEST_SCREENSHOTS" // a folder for pictures; "" keeps no pictures
)

// widths are the widths in pixels at which inspect checks a page.
var widths = []int64{320, 768, 1280, 1920}

// A tab is one page of a real browser.
type tab struct {
	t   *testing.T
	ctx context.Context

	mu         sync.Mutex
	complaints []string // of the developer tools
}

// openTab starts a browser. It skips the test if there is none, and under the race detector, which would
// slow it down.
func openTab(t *testing.T) *tab {
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
		program.Skip(t, "no Chromium on this machine")
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
	b := &tab{t: t, ctx: ctx}
	require.NoError(t, chromedp.Do(ctx, chromedp.Navigate("about:blank")))
	require.NoError(t, chromedp.Listen(ctx, b.hear))
	_, err := chromedp.Call(ctx, audits.Enable, struct{}{})
	require.NoError(t, err)
	b.do(chromedp.EmulateViewport(widths[len(widths)-1], 900))
	return b
}

// hear records the warnings and errors that the developer tools report.
func (b *tab) hear(event any) {
	complaint := ""
	switch e := event.(type) {
	case *log.EventEntryAdded:
		if e.Entry.Level == log.EntryLevelError || e.Entry.Level == log.EntryLevelWarning {
			complaint = fmt.Sprintf("%s: %s %s", e.Entry.Source, e.Entry.Text, e.Entry.URL)
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

// requireQuiet fails the test if the developer tools have a complaint that contains none of the
// expected texts.
func (b *tab) requireQuiet(expected ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	for _, complaint := range b.complaints {
		require.True(b.t, slices.ContainsFunc(expected, func(text string) bool { return strings.Contains(complaint, text) }), complaint)
	}
	b.complaints = nil
}

func (b *tab) do(steps ...chromedp.Action[chromedp.Void]) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	require.NoError(b.t, chromedp.Do(ctx, steps...))
}

func value[T any](b *tab, action chromedp.Action[T]) T {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	v, err := chromedp.Run(ctx, action)
	require.NoError(b.t, err)
	return v
}

func (b *tab) open(url string) {
	b.t.Helper()
	b.do(chromedp.Navigate(url), chromedp.WaitReady(chromedp.CSS("main")))
}

// press clicks an element and waits for the next page.
func (b *tab) press(selector string) {
	b.t.Helper()
	ctx, cancel := context.WithTimeout(b.ctx, time.Minute)
	defer cancel()
	_, err := chromedp.RunResponse(ctx, chromedp.Click(chromedp.CSS(selector)))
	require.NoError(b.t, err, selector)
	b.do(chromedp.WaitReady(chromedp.CSS("main")))
}

// tick clicks an element of the page, which stays.
func (b *tab) tick(selector string) {
	b.t.Helper()
	b.do(chromedp.ScrollIntoView(chromedp.CSS(selector)), chromedp.Click(chromedp.CSS(selector)))
}

func (b *tab) fill(selector, text string) {
	b.t.Helper()
	b.do(chromedp.Clear(chromedp.CSS(selector)), chromedp.SendKeys(chromedp.CSS(selector), text))
}

func (b *tab) text(selector string) string {
	b.t.Helper()
	return value(b, chromedp.Text(chromedp.CSS(selector)))
}

// inspect checks that the page does not scroll sideways at any width, and that it is accessible. It takes
// pictures.
func (b *tab) inspect(name string) {
	b.t.Helper()
	for _, width := range widths {
		b.do(chromedp.EmulateViewport(width, 900))
		if folder := os.Getenv(screenshotsVariable); folder != "" {
			require.NoError(b.t, os.MkdirAll(folder, 0o755))
			file := filepath.Join(folder, fmt.Sprintf("shop-%s-%d.png", name, width))
			require.NoError(b.t, os.WriteFile(file, value(b, chromedp.FullScreenshot(100)), 0o644))
		}
		assert.LessOrEqual(b.t, value(b, chromedp.Evaluate[int]("document.documentElement.scrollWidth")), int(width), "%s scrolls sideways", name)
	}
	assert.Empty(b.t, b.axe(), "accessibility of %s", name)
}

// axe returns the violations that axe-core finds on the page: WCAG 2.2 A and AA, and best practice.
func (b *tab) axe() []string {
	b.t.Helper()
	file := os.Getenv(axeVariable)
	if file == "" {
		return nil // admin/browsertest reports that
	}
	source, err := os.ReadFile(file)
	require.NoError(b.t, err)
	const run = `axe.run({runOnly: ['wcag2a', 'wcag2aa', 'wcag21a', 'wcag21aa', 'wcag22aa', 'best-practice']})
		.then(found => found.violations.flatMap(v => v.nodes.map(n => v.id + ' ' + n.target + ': ' + n.failureSummary)))`
	b.do(chromedp.Evaluate[chromedp.Void](string(source)))
	return value(b, chromedp.Evaluate[[]string](run, chromedp.EvalAwaitPromise))
}
