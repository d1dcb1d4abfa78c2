package admin

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestRotatedKeyShowsItsSuccessor(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	old := s.make(apikey.NewKey{Name: "Backup job", ExpiresAt: time.Now().Add(30 * 24 * time.Hour)})
	for range pageSize + 1 { // puts the successor on another page of the list
		s.issue("Other job")
	}
	v := s.visitor()
	path := "/admin/keys/" + old.ID
	made := v.post(path+"/rotate", "grace", "24h")
	require.Equal(t, http.StatusOK, made.StatusCode)
	assert.Contains(t, made.body, "Key rotated")
	assert.NotContains(t, made.body, "Key created")
	page, err := s.store.List(t.Context(), apikey.ListOptions{Search: "Backup", Limit: 1})
	require.NoError(t, err)
	successor := page.Keys[0].ID
	assert.Contains(t, v.get("/admin/?sort=expires").body, `href="./keys/`+successor+`"`)
	assert.Contains(t, v.get(path).body, "Replaced by")
	assert.Contains(t, v.get(path).body, `href="../keys/`+successor+`"`)
	_, err = s.store.Revoke(t.Context(), successor)
	require.NoError(t, err)
	assert.Contains(t, v.get(path).body, `href="../keys/`+old.ID+`/rotate"`, "a key whose successor is revoked can be rotated")
	assert.Contains(t, v.get(path+"/rotate").body, "the lifetime that this key had at first")
}

func TestSuccessorIsFoundBehindALongHistory(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	require.Equal(t, http.StatusOK, v.post("/admin/keys/"+key.ID+"/rotate", "grace", "24h").StatusCode)
	for range historySize {
		_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{})
		require.NoError(t, err)
	}
	assert.Contains(t, v.get("/admin/keys/"+key.ID).body, `href="../keys/`+s.newest().ID+`"`)
}

// The chosen day is the last day of the key, which ends at the next midnight.
func TestChosenDayIsShown(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	v := s.visitor()
	day := time.Now().UTC().AddDate(0, 0, 40)
	chosen, after := day.Format(dateLayout), day.AddDate(0, 0, 1).Format(dateLayout)
	made := v.post("/admin/add", "name", "Backup job", "expiry", "date", "date", chosen)
	require.Equal(t, http.StatusOK, made.StatusCode)
	key := s.newest()
	for _, a := range []answer{made, v.get("/admin/"), v.get("/admin/keys/" + key.ID)} {
		assert.Contains(t, a.body, isolate(chosen)+", end of day (UTC)")
		assert.NotContains(t, a.body, after+" 00:00")
	}
}

func TestRevokedKeyShowsNoExpiry(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := s.make(apikey.NewKey{Name: "Backup job", ExpiresAt: time.Now().Add(24 * time.Hour)})
	_, err := s.store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	body := s.visitor().get("/admin/keys/" + key.ID).body
	assert.Contains(t, body, "<dt>Revoked</dt>")
	assert.NotContains(t, body, "<dt>Expires</dt>")
}

func TestRowShowsItsState(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 11, 23, 20, 0, 0, 0, time.UTC)
	v := inEnglish(now)
	v.h.touched = true
	for _, test := range []struct {
		name   string
		key    apikey.Key
		word   string
		unused bool
	}{
		{"without an expiry", apikey.Key{}, "Active", false},
		{"expires in 8 days", apikey.Key{ExpiresAt: now.Add(8 * day)}, "Active", false},
		{"expires in a week", apikey.Key{ExpiresAt: now.Add(7 * day)}, "Expires soon", false},
		{"expires now", apikey.Key{ExpiresAt: now}, "Expired", false},
		{"revoked and expired", apikey.Key{ExpiresAt: now, RevokedAt: now}, "Revoked", false},
		{"used 89 days ago", apikey.Key{LastUsedAt: now.Add(-89 * day)}, "Active", false},
		{"used 90 days ago", apikey.Key{LastUsedAt: now.Add(-90 * day)}, "Active", true},
		{"revoked and not used recently", apikey.Key{LastUsedAt: now.Add(-90 * day), RevokedAt: now}, "Revoked", false},
	} {
		row := v.row(&test.key)
		assert.Equal(t, test.word, row.Word, test.name)
		assert.Equal(t, test.unused, row.Unused, test.name)
	}
}

func TestHistoryShowsOldAndNewValues(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := s.make(apikey.NewKey{Name: "Backup job", Owner: "Ops", Scopes: []string{"a:read", "b:read"}})
	name, scopes, metadata := `"><b>New`, []string{"b:read", "c:write"}, map[string]string{"room": "4"}
	ends := time.Date(2099, 1, 5, 0, 0, 0, 0, time.UTC)
	_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{Name: &name, Scopes: &scopes, Metadata: &metadata, ExpiresAt: &ends})
	require.NoError(t, err)
	v := s.visitor()
	made := s.make(apikey.NewKey{Name: "Other job", ExpiresAt: ends})
	assert.NotContains(t, v.get("/admin/keys/"+made.ID).body, "before:", "an unchanged key has no old values")
	v.post("/admin/keys/"+key.ID+"/rotate", "grace", "24h")
	body := html.UnescapeString(v.get("/admin/keys/" + key.ID).body)
	for _, want := range []string{
		`<bdi>"><b>New</bdi> <span class="none">before:</span> <del><bdi>Backup job</bdi></del>`,
		`removed</span> <del><code class="scope" dir="ltr">a:read</code></del> <span class="none">added</span> <code class="scope" dir="ltr">c:write</code>`,
		`<bdi>{"room":"4"}</bdi>`, `<bdi>` + isolate("2099-01-04") + `, end of day (UTC)</bdi> <span class="none">before:</span> <del><bdi>Never</bdi></del>`,
		`<span class="none">Replaced by</span> <a href="../keys/`,
	} {
		assert.Contains(t, body, want)
	}
	assert.NotContains(t, v.get("/admin/keys/"+key.ID).body, "<b>New")
}

func TestHistoryHasPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	for i := range historySize {
		name := fmt.Sprintf("change %02d", i)
		_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{Name: &name})
		require.NoError(t, err)
	}
	v := s.visitor()
	v.login()
	path := "/admin/keys/" + key.ID
	newest := v.get(path).body
	assert.Contains(t, newest, "change 00")
	assert.NotContains(t, newest, ">Created</td>")
	assert.NotContains(t, newest, ">Newest</a>")
	older := regexp.MustCompile(`href="([^"]+)">Older`).FindStringSubmatch(newest)
	require.Len(t, older, 2)
	oldest := v.get(landing(t, path, html.UnescapeString(older[1]))).body
	assert.Contains(t, oldest, ">Created</td>")
	assert.NotContains(t, oldest, "change 00")
	assert.NotContains(t, oldest, ">Older</a>")
	assert.Contains(t, oldest, `href="./`+key.ID+`">Newest`)
	assert.Equal(t, http.StatusBadRequest, v.get(path+"?cursor=nonsense").StatusCode)
}
