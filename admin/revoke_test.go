package admin

import (
	"fmt"
	"html"
	"net/http"
	"net/url"
	"regexp"
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

// The question asked in a list leads back to it as it was, and what was done is said there.
func TestARevocationSaysWhatWasDoneWhereItWasAskedFor(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	for _, test := range []struct{ name, list, want string }{
		{"on the page of the key", "", "/admin/keys/%s?revoked=%[1]s"},
		{"in the list", "/admin/", "/admin/?revoked=%s"},
		{"in a list that is narrowed", "/admin/?search=job&sort=name&status=active", "/admin/?search=job&sort=name&status=active&revoked=%s"},
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
			a := v.do("POST", to, url.Values{"token": {asked.token()}}.Encode())
			require.Equal(t, http.StatusSeeOther, a.StatusCode)
			done := landing(t, to, a.Header.Get("Location"))
			assert.Equal(t, fmt.Sprintf(test.want, key.ID), done)
			assert.Contains(t, v.get(done).body, isolate("Backup job")+"” was revoked.")
		})
	}
}

func TestNoLinkTellsOfARevocationThatIsNone(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, key := s.issue("Backup job")
	v := s.visitor()
	v.login()
	for _, path := range []string{"/admin/?revoked=" + key.ID, "/admin/?revoked=nobody", "/admin/?revoked=%3Cb%3E", "/admin/keys/" + key.ID + "?revoked=" + key.ID} {
		a := v.get(path)
		assert.Equal(t, http.StatusOK, a.StatusCode, path)
		assert.NotContains(t, a.body, "was revoked", path)
	}
	for _, list := range []string{"//evil.example", "https://evil.example/", "?next=//evil.example&api_key=SECRET"} {
		a := v.do("POST", "/admin/keys/"+key.ID+"/revoke?list="+url.QueryEscape(list), url.Values{"token": {v.get("/admin/add").token()}}.Encode())
		assert.Equal(t, "../../?revoked="+key.ID, a.Header.Get("Location"), list)
	}
}
