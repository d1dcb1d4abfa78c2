package browsertest

import (
	"crypto/sha256"
	"fmt"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/chromedp/chromedp"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// TestPictures takes the pictures of the README, which show a service that has been in use for a while.
func TestPictures(t *testing.T) {
	browser := startBrowser(t)
	s := startService(t, "ltr")
	ctx := apikey.WithActor(t.Context(), "administrator")
	const day = 24 * time.Hour
	now := time.Now()
	ago := func(d time.Duration) time.Time { return now.Add(-d) }
	var backup string // ID of the key whose page is shown
	for _, key := range []apikey.Key{
		{Name: "Old phone app", Hint: "ak_…Qm3d", Scopes: []string{"library:read"}, CreatedAt: ago(800 * day), LastUsedAt: ago(400 * day), RevokedAt: ago(390 * day)},
		{Name: "Partner: Acme Ltd", Hint: "ak_…v8Kt", Owner: "Partners", Scopes: []string{"library:read"}, CreatedAt: ago(400 * day), ExpiresAt: ago(35 * day), LastUsedAt: ago(36 * day)},
		{Name: "Photo frame", Hint: "ak_…1xZb", Scopes: []string{"library:read"}, CreatedAt: ago(390 * day), LastUsedAt: ago(121 * day)},
		{Name: "Home automation", Hint: "ak_…fU5n", Owner: "Smart home", Scopes: []string{"library:read", "sessions:control"}, CreatedAt: ago(84 * day), ExpiresAt: now.Add(6 * day), LastUsedAt: ago(4 * time.Minute)},
		{Name: "Library scanner", Hint: "ak_…p0Wc", Owner: "Media team", Scopes: []string{"library:write"}, CreatedAt: ago(30 * day), ExpiresAt: now.Add(335 * day), LastUsedAt: ago(3 * time.Hour)},
		{Name: "Backup job", Hint: "ak_…x7Qd", Owner: "Operations", Scopes: []string{"library:read", "library:write"}, CreatedAt: ago(9 * day), ExpiresAt: now.Add(81 * day), LastUsedAt: ago(40 * time.Second)},
		{Name: "Metrics exporter", Hint: "ak_…Ht2s", Owner: "Operations", CreatedAt: ago(20 * time.Minute), ExpiresAt: now.Add(90 * day)},
	} {
		digest := apikey.Digest(sha256.Sum256([]byte(key.Name)))
		revoked, used := key.RevokedAt, key.LastUsedAt
		key.ID, key.RevokedAt, key.LastUsedAt = fmt.Sprintf("%x", digest[:8]), time.Time{}, time.Time{}
		require.NoError(t, s.store.Create(ctx, digest, key))
		if !used.IsZero() {
			s.store.Touch(digest, apikey.Use{At: used})
		}
		if !revoked.IsZero() {
			_, err := s.store.Revoke(ctx, key.ID)
			require.NoError(t, err)
		}
		if key.Name == "Backup job" {
			backup = key.ID
			fewer := key.Scopes[:1]
			_, err := s.store.Update(ctx, key.ID, apikey.Patch{Scopes: &fewer})
			require.NoError(t, err)
		}
	}
	require.NoError(t, s.store.Flush(ctx))

	first := s.url + "/some/where/"
	b := openTab(t, browser, look{width: 1280, script: true})
	b.open(first)
	b.fill("#password", password)
	b.press("form.card .primary")
	b.take("dashboard-list", 780)
	b.open(first + "add")
	b.fill("#name", "Tape archive")
	b.press("form.card .primary")
	b.take("dashboard-new", 640)
	b.requireQuiet()

	b = openTab(t, browser, look{width: 1280, dark: true, script: true})
	b.open(first + "keys/" + backup)
	b.take("dashboard-key", 940)
	b.requireQuiet()
}

// take saves a picture of a window of this height.
func (b *tab) take(name string, height int64) {
	b.t.Helper()
	folder := os.Getenv(screenshotsVariable)
	if folder == "" {
		folder = b.t.TempDir()
	}
	require.NoError(b.t, os.MkdirAll(folder, 0o755))
	b.do(chromedp.EmulateViewport(b.look.width, height))
	picture := value(b, chromedp.CaptureScreenshot())
	require.NoError(b.t, os.WriteFile(filepath.Join(folder, name+".png"), picture, 0o644))
}

// TestPictureOfAnOwner takes the picture of a customer's keys within the page of a shop.
func TestPictureOfAnOwner(t *testing.T) {
	b := openTab(t, startBrowser(t), look{width: 1280, script: true})
	url, issuer := startShop(t)
	const day = 24 * time.Hour
	now := time.Now()
	for _, key := range []apikey.Key{
		{Name: "Warehouse sync", Hint: "ak_…v8Kt", Scopes: []string{"orders:read", "orders:write"}, CreatedAt: now.Add(-150 * day), ExpiresAt: now.Add(215 * day), LastUsedAt: now.Add(-4 * time.Minute)},
		{Name: "Old importer", Hint: "ak_…1xZb", Scopes: []string{"orders:read"}, CreatedAt: now.Add(-360 * day), ExpiresAt: now.Add(5 * day), LastUsedAt: now.Add(-121 * day)},
		{Name: "Accounting export", Hint: "ak_…p0Wc", Scopes: []string{"orders:read"}, CreatedAt: now.Add(-30 * day), ExpiresAt: now.Add(60 * day), LastUsedAt: now.Add(-3 * time.Hour)},
	} {
		digest := apikey.Digest(sha256.Sum256([]byte(key.Name)))
		key.ID, key.Owner = fmt.Sprintf("%x", digest[:8]), "c-1042"
		require.NoError(t, issuer.Manager().Create(t.Context(), digest, key))
	}
	b.open(url + "/settings/keys/")
	b.take("dashboard-owner", 820)
	b.requireQuiet()
}
