package admin

import (
	"net/http"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestSuspendAndResume(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	_, key := s.issue("Backup job")
	v := s.visitor()
	path := "/admin/keys/" + key.ID
	assert.Contains(t, v.get(path).body, `href="../keys/`+key.ID+`/suspend"`)
	assert.Contains(t, v.get(path+"/suspend").body, "Suspend key “"+isolate("Backup job")+"”?")

	a := v.post(path+"/suspend", "x", "y")
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	body := v.get(landing(t, path+"/suspend", a.Header.Get("Location"))).body
	assert.Contains(t, body, isolate("Backup job")+"” was suspended.")
	assert.Contains(t, body, "<dt>Suspended</dt>")
	assert.Contains(t, body, `action="../keys/`+key.ID+`/resume"`)
	assert.NotContains(t, body, "/rotate", "a suspended key cannot be rotated")
	assert.Contains(t, body, "/revoke", "a suspended key can be revoked")
	assert.Contains(t, body, `data-label="Action">Suspended</td>`)

	list := v.get("/admin/?status=suspended").body
	assert.Contains(t, list, `class="status suspended"`)
	assert.Contains(t, list, `value="suspended" selected`)
	assert.NotContains(t, list, "/rotate")
	assert.Contains(t, list, "/revoke")
	assert.NotContains(t, v.get("/admin/").body, "Backup job")
	assert.Equal(t, http.StatusConflict, v.get(path+"/rotate").StatusCode)

	a = v.post(path+"/resume", "x", "y")
	require.Equal(t, http.StatusSeeOther, a.StatusCode)
	body = v.get(landing(t, path+"/resume", a.Header.Get("Location"))).body
	assert.Contains(t, body, isolate("Backup job")+"” is no longer suspended.")
	assert.Contains(t, body, `data-label="Action">Resumed</td>`)
	assert.NotContains(t, body, "<dt>Suspended</dt>")

	trail, err := s.store.Audit(t.Context(), apikey.AuditOptions{KeyID: key.ID})
	require.NoError(t, err)
	assert.Equal(t, "ann", trail.Entries[0].Actor)
	assert.Equal(t, "ann", trail.Entries[1].Actor)
}

func TestRevokedKeyIsNotSuspended(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	_, key := s.issue("Backup job")
	_, err := s.store.Revoke(t.Context(), key.ID)
	require.NoError(t, err)
	v := s.visitor()
	for _, action := range []string{"suspend", "resume"} {
		path := "/admin/keys/" + key.ID + "/" + action
		for _, a := range []answer{v.get(path), v.do("POST", path, "x=y")} {
			assert.Equal(t, http.StatusConflict, a.StatusCode, action)
			assert.Contains(t, a.body, "Key is revoked", action)
		}
	}
	after, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.Zero(t, after.SuspendedAt)
	assert.NotContains(t, v.get("/admin/keys/"+key.ID).body, "/suspend")
}

func TestForgedLinkShowsNoSuspension(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	_, key := s.issue("Backup job")
	path := "/admin/keys/" + key.ID
	assert.NotContains(t, s.visitor().get(path+"?done=suspended").body, "was suspended")
	suspend := true
	_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{Suspended: &suspend})
	require.NoError(t, err)
	assert.NotContains(t, s.visitor().get(path+"?done=resumed").body, "no longer suspended")
}

func TestSuspendedKeyIsNotCalledExpired(t *testing.T) {
	t.Parallel()
	now := time.Now()
	row := inEnglish(now).row(&apikey.Key{SuspendedAt: now, ExpiresAt: now.Add(-day)})
	assert.Equal(t, apikey.StatusSuspended, row.State)
	assert.Equal(t, "Suspended", row.Word)
	assert.True(t, strings.HasPrefix(row.Suspended.Exact, now.UTC().Format(dateLayout)))
}

func TestResumingAnExpiredKeySaysSo(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	_, key := s.issue("Backup job")
	suspend, past := true, time.Now().Add(-day)
	_, err := s.store.Update(t.Context(), key.ID, apikey.Patch{Suspended: &suspend})
	require.NoError(t, err)
	v := s.visitor()
	path := "/admin/keys/" + key.ID
	const still = "The key has expired. The service will still refuse it after you resume it."
	assert.Contains(t, v.get(path+"/resume").body, "The service will accept requests with this key again.")
	assert.NotContains(t, v.get(path).body, still)
	_, err = s.store.Update(t.Context(), key.ID, apikey.Patch{ExpiresAt: &past})
	require.NoError(t, err)
	for _, page := range []string{path, path + "/resume"} {
		body := v.get(page).body
		assert.Contains(t, body, still)
		assert.NotContains(t, body, "accept requests with this key again")
		assert.NotContains(t, body, "lets the service accept")
	}
	assert.Contains(t, v.get(path).body, "<dt>Expired</dt>")
}
