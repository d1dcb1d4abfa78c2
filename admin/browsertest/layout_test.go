package browsertest

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
)

// The pages hold the texts that are hardest to fit.
func TestNothingScrollsSideways(t *testing.T) {
	b, s, first := atHome(t)
	ctx := apikey.WithActor(t.Context(), strings.Repeat("administrator@", 7))
	wide := apikey.NewKey{Name: strings.Repeat("W", 100), Owner: strings.Repeat("M", 100), ExpiresAt: time.Now().Add(3 * 24 * time.Hour)}
	for i := range 40 {
		wide.Scopes = append(wide.Scopes, fmt.Sprintf("%02d:%s", i, strings.Repeat("w", 97)))
	}
	for i := range limit.MaxLimits {
		wide.Limits = append(wide.Limits, apikey.Limit{Name: fmt.Sprintf("%s%d", strings.Repeat("w", 29), i), Requests: 1e9, Per: 366*24*time.Hour - time.Millisecond, Burst: 1e9})
	}
	_, key, err := s.issuer.Issue(ctx, wide)
	require.NoError(t, err)
	require.NoError(t, s.limits.Take(ctx, &key, 1e8))
	fewer := wide.Scopes[:20]
	metadata := map[string]string{"note": strings.Repeat("x", 1000)}
	_, err = s.store.Update(ctx, key.ID, apikey.Patch{Scopes: &fewer, Metadata: &metadata})
	require.NoError(t, err)
	_, _, err = s.issuer.Rotate(ctx, key.ID, time.Hour)
	require.NoError(t, err)

	for _, page := range []string{"?status=all", "keys/" + key.ID, "keys/" + key.ID + "/edit", "keys/" + key.ID + "/revoke", "activity", "revoke?id=" + key.ID, "revoke-owner?owner=" + wide.Owner, "add", "identify", "?search=nothing"} {
		b.open(first + page)
		for width := 320; width <= 1920; width += 20 {
			b.do(chromedp.EmulateViewport(int64(width), 900))
			require.LessOrEqual(t, value(b, chromedp.Evaluate[int]("document.documentElement.scrollWidth")), width, "%s at %d pixels", page, width)
			if page == "?status=all" {
				const edge = `Math.max(...[...document.querySelectorAll("td.actions a")].map(a => a.getBoundingClientRect().right))`
				assert.LessOrEqual(t, value(b, chromedp.Evaluate[float64](edge)), float64(width), "the buttons at %d pixels", width)
				const tallest = `Math.max(...[...document.querySelectorAll("tbody tr")].map(tr => tr.getBoundingClientRect().height))`
				assert.Less(t, value(b, chromedp.Evaluate[float64](tallest)), 600.0, "a row at %d pixels", width)
			}
		}
	}
	b.requireQuiet()
}

func TestButtonSaysThatItWaits(t *testing.T) {
	b, _, first := atHome(t)
	b.open(first + "add")
	b.do(chromedp.Evaluate[chromedp.Void](`window.timers = []; window.setTimeout = (f, _, ...args) => timers.push(() => f(...args));
		document.addEventListener("submit", e => e.preventDefault())`))
	b.fill("#name", "Backup job")
	b.press("form.card .primary", stays)
	assert.Equal(t, "Please wait…", b.text("form.card .primary"))
	assert.Equal(t, "true", value(b, chromedp.Evaluate[string](`document.querySelector("form.card .primary").ariaDisabled`)))
	b.do(chromedp.Evaluate[chromedp.Void]("timers.forEach(f => f())"))
	assert.Equal(t, "Create key", b.text("form.card .primary"))
	b.requireQuiet()
}

// The breadcrumbs begin where the page begins, also above a question that is narrower than a list.
func TestPageBeginsBelowItsBreadcrumbs(t *testing.T) {
	b, s, first := atHome(t)
	_, key, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	for _, page := range []string{"keys/" + key.ID + "/revoke", "keys/" + key.ID + "/suspend", "revoke?id=" + key.ID, "add"} {
		b.open(first + page)
		for _, width := range []int64{320, 768, 1280, 1920} {
			b.do(chromedp.EmulateViewport(width, 900))
			const start = `document.querySelector("%s").getBoundingClientRect().left`
			crumbs := value(b, chromedp.Evaluate[float64](fmt.Sprintf(start, ".crumbs")))
			assert.Equal(t, crumbs, value(b, chromedp.Evaluate[float64](fmt.Sprintf(start, ".card"))), "%s at %d pixels", page, width)
		}
	}
	b.requireQuiet()
}

func TestButtonsOfTheFiltersAreOnOneLine(t *testing.T) {
	b, s, first := atHome(t)
	_, _, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	b.open(first + "?status=all")
	for width := 480; width <= 1920; width += 16 { // below, each button has a line of its own
		b.do(chromedp.EmulateViewport(int64(width), 900))
		const tops = `[...document.querySelectorAll("form.filters > button, form.filters > .button")].map(e => Math.round(e.getBoundingClientRect().top))`
		found := value(b, chromedp.Evaluate[[]int](tops))
		require.Len(t, found, 2)
		assert.Equal(t, found[0], found[1], "at %d pixels", width)
	}
	b.requireQuiet()
}

func TestNarrowPagesKeepATimeOnOneLine(t *testing.T) {
	b, s, first := atHome(t)
	_, key, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job", ExpiresAt: time.Now().Add(365 * 24 * time.Hour)})
	require.NoError(t, err)
	b.do(chromedp.EmulateViewport(320, 900))
	for _, page := range []string{"keys/" + key.ID, "activity"} {
		b.open(first + page)
		const lines = `[...document.querySelectorAll("bdi.exact")].map(e => e.getClientRects().length)`
		counts := value(b, chromedp.Evaluate[[]int](lines))
		require.NotEmpty(t, counts, page)
		for _, n := range counts {
			assert.Equal(t, 1, n, "lines of a time on %s", page)
		}
	}
	b.requireQuiet()
}
