package admin

import (
	"net/http"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestARotationGivesTheOldKeyItsGrace(t *testing.T) {
	t.Parallel()
	for grace, want := range map[string]time.Duration{"0": 0, "1h": time.Hour, "24h": 24 * time.Hour, "168h": 7 * 24 * time.Hour} {
		s := newSite(t, Options{})
		_, key := s.issue("Backup job")
		v := s.visitor()
		v.login()
		a := v.post("/admin/keys/"+key.ID+"/rotate", "grace", grace)
		require.Equal(t, http.StatusOK, a.StatusCode)
		assert.Regexp(t, regexpKey, a.body)
		old, err := s.store.Get(t.Context(), key.ID)
		require.NoError(t, err)
		assert.WithinDuration(t, time.Now().Add(want), old.ExpiresAt, time.Minute)
		assert.Equal(t, []string{"Backup job", "Backup job"}, s.keys())
	}
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	a := v.post("/admin/keys/"+key.ID+"/rotate", "grace", "1000h")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Len(t, s.keys(), 1)
}

// Its second successor would live no longer than the grace of the first.
func TestAKeyIsRotatedOnce(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	before := v.get("/admin/keys/" + key.ID + "/rotate").token()
	require.Equal(t, http.StatusOK, v.post("/admin/keys/"+key.ID+"/rotate", "grace", "24h").StatusCode)
	a := v.do("POST", "/admin/keys/"+key.ID+"/rotate", url.Values{"token": {before}, "grace": {"24h"}}.Encode())
	assert.Equal(t, http.StatusConflict, a.StatusCode)
	assert.Contains(t, a.body, "rotated already")
	assert.NotContains(t, v.get("/admin/keys/"+key.ID).body, `href="../keys/`+key.ID+`/rotate"`)
	assert.Len(t, s.keys(), 2)
}
