package admin

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestActivityShowsTheChangesOfAllKeys(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	key := s.make(apikey.NewKey{Name: "Backup job", Owner: "<b>Ops"})
	other := s.make(apikey.NewKey{Name: "Other job"})
	name := "Tape archive"
	_, err := s.store.Update(apikey.WithActor(t.Context(), "eve"), other.ID, apikey.Patch{Name: &name})
	require.NoError(t, err)
	n, err := s.store.RevokeAll(t.Context(), key.Owner)
	require.NoError(t, err)
	require.Equal(t, 1, n)
	v := s.visitor()
	assert.Contains(t, v.get("/admin/?status=all").body, `href="./activity"`)
	body := v.get("/admin/activity").body
	assert.NotContains(t, body, "<b>Ops")
	_, rows, _ := strings.Cut(html.UnescapeString(body), "<tbody")
	all := strings.Split(rows, "<tr ")[1:]
	require.Len(t, all, 5)
	for i, want := range [][]string{
		{"Revoked all keys of an owner", `<span class="none">Owner</span> <bdi><b>Ops</bdi>`, `<span class="none">Number of keys</span> <bdi>1</bdi>`},
		{">Revoked</td>", `href="./keys/` + key.ID + `"`},
		{">Changed</td>", `href="./keys/` + other.ID + `"`, "<bdi>eve</bdi>", "<bdi>Tape archive</bdi>", "<del><bdi>Other job</bdi></del>"},
		{">Created</td>", "<bdi>Other job</bdi>"},
		{">Created</td>", "<bdi>Backup job</bdi>"},
	} {
		for _, text := range want {
			assert.Contains(t, all[i], text)
		}
	}
	assert.NotContains(t, all[0], "keys/")
}

func TestActivityHasPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	for i := range historySize + 1 {
		s.issue(fmt.Sprintf("Job %02d", i))
	}
	v := s.visitor()
	path, older := v.follow("/admin/activity", v.get("/admin/activity"), regexp.MustCompile(`href="([^"]+)">Older`))
	assert.Contains(t, path, "/admin/activity?cursor=")
	assert.Contains(t, older.body, "Job 00")
	assert.NotContains(t, older.body, "Job 01")
	path, _ = v.follow(path, older, regexp.MustCompile(`href="([^"]+)">Newest`))
	assert.Equal(t, "/admin/activity", path)
	assert.Equal(t, http.StatusBadRequest, v.get("/admin/activity?cursor=nonsense").StatusCode)
}

func TestActivityNeedsAnAuditTrail(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.issue("Backup job")
	s.handler.audited = false
	v := s.visitor()
	assert.NotContains(t, v.get("/admin/").body, "activity")
	assert.Contains(t, v.get("/admin/activity").body, "The store of this service keeps no history.")
}
