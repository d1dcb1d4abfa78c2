package admin

import (
	"fmt"
	"html"
	"net/http"
	"regexp"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestAHistoryHasPages(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	for i := range historySize {
		s.store.note(t.Context(), "update", key.ID, fmt.Sprintf("change %02d", i))
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
