package admin

import (
	"fmt"
	"html"
	"net/http"
	"net/netip"
	"net/url"
	"regexp"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestRevokeAsksAndRecordsTheActor(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	secret, key := s.issue("Backup job")
	digest, err := s.issuer.Format().Digest(apikey.NewSecret(secret))
	require.NoError(t, err)
	v := s.visitor()
	v.login()
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/revoke").body, "The key was never used.")
	s.store.Touch(digest, apikey.Use{At: time.Now().Add(-3 * time.Hour)})
	assert.Contains(t, v.get("/admin/keys/"+key.ID+"/revoke").body, "The key was last used "+isolate("3 h ago")+".")
	page := v.get("/admin/keys/" + key.ID).body
	assert.NotContains(t, page, "from ")
	s.store.Touch(digest, apikey.Use{At: time.Now(), Addr: netip.MustParseAddr("2001:db8::7")})
	assert.Contains(t, v.get("/admin/keys/"+key.ID).body, "from "+isolate("2001:db8::7"))
	a := v.post("/admin/keys/"+key.ID+"/revoke", "x", "y")
	assert.Equal(t, http.StatusSeeOther, a.StatusCode)
	first, err := s.store.Get(t.Context(), key.ID)
	require.NoError(t, err)
	assert.NotZero(t, first.RevokedAt)
	history, err := s.store.Audit(t.Context(), apikey.AuditOptions{KeyID: key.ID, Limit: 10})
	require.NoError(t, err)
	assert.Equal(t, "administrator", history.Entries[0].Actor)
	assert.Equal(t, "revoke", history.Entries[0].Action)
	assert.Equal(t, http.StatusConflict, v.get("/admin/keys/"+key.ID+"/rotate").StatusCode)
	assert.Equal(t, http.StatusNotFound, v.get("/admin/keys/unknown/revoke").StatusCode)
}

// A question in a list leads back to the list in its state. The page then confirms the revocation.
func TestRevokeReturnsToThePageThatAsked(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for _, test := range []struct{ name, list, want string }{
		{"on the page of the key", "", "/admin/keys/%s?revoked=%[1]s"},
		{"in the list", "/admin/", "/admin/?revoked=%s"},
		{"in a filtered list", "/admin/?search=job&sort=name&status=active", "/admin/?search=job&sort=name&status=active&revoked=%s"},
	} {
		t.Run(test.name, func(t *testing.T) {
			_, key := s.issue("Backup job")
			v := s.visitor()
			v.login()
			question := "/admin/keys/" + key.ID + "/revoke"
			if test.list != "" {
				link := regexp.MustCompile(`href="\./(keys/` + key.ID + `/revoke[^"]*)"`).FindStringSubmatch(v.get(test.list).body)
				require.Len(t, link, 2)
				question = "/admin/" + html.UnescapeString(link[1])
			}
			asked := v.get(question)
			form := regexp.MustCompile(`action="([^"]*/revoke[^"]*)"`).FindStringSubmatch(asked.body)
			require.Len(t, form, 2)
			to := landing(t, question, html.UnescapeString(form[1]))
			a := v.do("POST", to, url.Values{"nonce": {asked.nonce()}}.Encode())
			require.Equal(t, http.StatusSeeOther, a.StatusCode)
			done := landing(t, to, a.Header.Get("Location"))
			assert.Equal(t, fmt.Sprintf(test.want, key.ID), done)
			assert.Contains(t, v.get(done).body, isolate("Backup job")+"” was revoked.")
		})
	}
}

func TestForgedLinkShowsNoRevocation(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	for _, path := range []string{"/admin/?revoked=" + key.ID, "/admin/?revoked=unknown", "/admin/?revoked=%3Cb%3E", "/admin/keys/" + key.ID + "?revoked=" + key.ID} {
		a := v.get(path)
		assert.Equal(t, http.StatusOK, a.StatusCode, path)
		assert.NotContains(t, a.body, "was revoked", path)
	}
	for _, list := range []string{"//evil.example", "https://evil.example/", "?next=//evil.example&api_key=SECRET"} {
		a := v.do("POST", "/admin/keys/"+key.ID+"/revoke?list="+url.QueryEscape(list), url.Values{"nonce": {v.get("/admin/add").nonce()}}.Encode())
		assert.Equal(t, "../../?revoked="+key.ID, a.Header.Get("Location"), list)
	}
}
