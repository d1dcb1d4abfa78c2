package admin

import (
	"context"
	"fmt"
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestTheListHasItsStateInTheURL(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for i := range pageSize + 1 {
		s.issue(fmt.Sprintf("Job %02d", i))
	}
	v := s.visitor()
	v.login()
	a := v.get("/admin/?search=job&sort=name&status=active")
	for _, text := range []string{`value="job"`, `value="name" selected`, `value="active" selected`, "Job 00", "Job 49"} {
		assert.Contains(t, a.body, text)
	}
	assert.NotContains(t, a.body, "Job 50")
	next := regexpNext.FindStringSubmatch(a.body)
	require.Len(t, next, 2)
	second := v.get("/admin/" + strings.TrimPrefix(strings.ReplaceAll(next[1], "&amp;", "&"), "./"))
	assert.Contains(t, second.body, "Job 50")
	assert.NotContains(t, second.body, "Job 49")
	assert.Contains(t, second.body, `href="./?search=job&amp;sort=name&amp;status=active">First page`)
	for _, bad := range []string{"?status=x", "?sort=x", "?cursor=x", "?cursor=" + url.QueryEscape(next[1])} {
		assert.Equal(t, http.StatusBadRequest, v.get("/admin/"+bad).StatusCode, bad)
	}
}

func TestMarksOfTheList(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	v := &visit{h: &Handler{text: &english, touched: true, now: func() time.Time { return now }}}
	day := 24 * time.Hour
	for _, test := range []struct {
		name   string
		key    apikey.Key
		word   string
		unused bool
	}{
		{"no end", apikey.Key{}, "Active", false},
		{"ends in 8 days", apikey.Key{ExpiresAt: now.Add(8 * day)}, "Active", false},
		{"ends in a week", apikey.Key{ExpiresAt: now.Add(7 * day)}, "Expires soon", false},
		{"ends now", apikey.Key{ExpiresAt: now}, "Expired", false},
		{"revoked and expired", apikey.Key{ExpiresAt: now, RevokedAt: now}, "Revoked", false},
		{"used 89 days ago", apikey.Key{LastUsedAt: now.Add(-89 * day)}, "Active", false},
		{"used 90 days ago", apikey.Key{LastUsedAt: now.Add(-90 * day)}, "Active", true},
		{"revoked, and unused for long", apikey.Key{LastUsedAt: now.Add(-90 * day), RevokedAt: now}, "Revoked", false},
	} {
		row := v.row(&test.key)
		assert.Equal(t, test.word, row.Word, test.name)
		assert.Equal(t, test.unused, row.Unused, test.name)
	}
}

// A store that searches within a budget may find few, or none, and yet have more to look at.
func TestASearchGoesOn(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for i := range 3 {
		s.issue(fmt.Sprintf("Job %d", i))
	}
	v := s.visitor()
	v.login()
	budget := &budgetedStore{KeyManager: s.handler.keys, most: 2}
	s.handler.keys = budget
	first := v.get("/admin/?search=job")
	assert.Contains(t, first.body, "Go on searching")
	assert.Contains(t, first.body, "Not all keys were looked at yet.")
	assert.NotContains(t, first.body, "Next page")
	next := regexpNext.FindStringSubmatch(first.body)
	require.Len(t, next, 2)
	second := v.get(landing(t, "/admin/", html.UnescapeString(next[1])))
	assert.Contains(t, second.body, "Job 0")
	assert.NotContains(t, second.body, "Go on searching")
	budget.most = 0
	nothing := v.get("/admin/?search=job")
	assert.Contains(t, nothing.body, "No key matches")
	assert.Contains(t, nothing.body, "Not all keys were looked at yet.")
	assert.Contains(t, nothing.body, "Go on searching")
}

// A budgetedStore finds at most so many keys at once.
type budgetedStore struct {
	apikey.KeyManager
	most int
}

func (s *budgetedStore) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	o.Limit = max(s.most, 1)
	page, err := s.KeyManager.List(ctx, o)
	page.Keys = page.Keys[:min(s.most, len(page.Keys))]
	return page, err
}

// Fifty rows, of which no page has more.
func BenchmarkList(b *testing.B) {
	keys := make([]apikey.Key, pageSize)
	for i := range keys {
		keys[i] = apikey.Key{ID: fmt.Sprint("key", i), Name: "Backup job", Scopes: []string{"library:read"}, Hint: "ak_…x7Qd", CreatedAt: time.Now()}
	}
	h := &Handler{text: &english, pages: parsePages(), now: time.Now, touched: true}
	r, err := http.NewRequest("GET", "/", nil)
	require.NoError(b, err)
	b.ReportAllocs()
	for b.Loop() {
		v := &visit{h: h, w: discard{}, r: r, root: "./", actor: "administrator"}
		p := listPage{Used: true}
		for i := range keys {
			p.Keys = append(p.Keys, v.row(&keys[i]))
		}
		v.show(http.StatusOK, "list", h.text.ListTitle, p)
	}
}

type discard struct{}

func (discard) Header() http.Header { return http.Header{} }

func (discard) Write(b []byte) (int, error) { return len(b), nil }

func (discard) WriteHeader(int) {}
