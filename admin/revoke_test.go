package admin

import (
	"net/http"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestARevocationIsAskedForAndRecorded(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	secret, key := s.issue("Backup job")
	digest, err := s.issuer.Format().Digest(apikey.NewSecret(secret))
	require.NoError(t, err)
	v := s.visitor()
	v.login()
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/revoke").body, "It was never used.")
	s.store.Touch(digest, time.Now().Add(-3*time.Hour))
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/revoke").body, "It was last used "+isolate("3 h ago")+".")
	a := v.post("/admin/keys/"+key.ID+"/revoke", "x", "y")
	assert.Equal(t, http.StatusSeeOther, a.StatusCode)
	first, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.NotZero(t, first.RevokedAt)
	entries, _, err := s.store.Audit(t.Context(), key.ID, "", 10)
	require.NoError(t, err)
	assert.Equal(t, "administrator", entries[0].Actor)
	assert.Equal(t, "revoke", entries[0].Action)
	assert.Equal(t, http.StatusConflict, v.get("/admin/keys/"+key.ID+"/rotate").StatusCode)
	assert.Equal(t, http.StatusNotFound, v.get("/admin/keys/nobody/revoke").StatusCode)
}
