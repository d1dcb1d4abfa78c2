package admin

import (
	"html"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestSelectedKeysAreRevokedTogether(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	_, one := s.issue("One")
	_, two := s.issue("Two")
	_, kept := s.issue("Kept")
	_, dead := s.issue("Dead")
	_, err := s.store.Revoke(t.Context(), dead.ID)
	require.NoError(t, err)
	v := s.visitor()
	list := v.get("/admin/?status=all&sort=name").body
	assert.Contains(t, list, `name="id" value="`+one.ID+`" form="selected"`)
	assert.NotContains(t, list, `name="id" value="`+dead.ID, "a revoked key cannot be selected")
	assert.Contains(t, list, `name="list" value="?sort=name&amp;status=all"`)

	query := url.Values{"id": {one.ID, two.ID, one.ID, dead.ID, "unknown", "not an ID"}, "list": {"?sort=name&api_key=SECRET"}}
	asked := v.get("/admin/revoke?" + query.Encode())
	require.Equal(t, http.StatusOK, asked.StatusCode)
	assert.Contains(t, asked.body, "<bdi>One</bdi>")
	assert.Contains(t, asked.body, "<bdi>Two</bdi>")
	assert.NotContains(t, asked.body, "<bdi>Dead</bdi>")
	assert.Contains(t, asked.body, `href="./?sort=name"`)
	form := hiddenIn(asked)
	assert.Equal(t, []string{one.ID, two.ID}, form["id"])
	form.Set("list", html.UnescapeString(form.Get("list")))

	a := v.do("POST", "/admin/revoke", form.Encode())
	require.Equal(t, http.StatusOK, a.StatusCode)
	assert.Contains(t, a.body, "2 keys were revoked.")
	assert.Contains(t, a.body, `href="./?sort=name"`)
	for _, key := range []apikey.Key{one, two, kept} {
		got, err := s.store.Get(t.Context(), key.ID)
		require.NoError(t, err)
		assert.Equal(t, key.ID == kept.ID, got.RevokedAt.IsZero(), key.Name)
	}
	trail, err := s.store.Audit(t.Context(), apikey.AuditOptions{Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, "ann", trail.Entries[0].Actor)
	assert.Contains(t, v.do("POST", "/admin/revoke", "id="+kept.ID).body, "1 key was revoked.")
}

func TestNothingSelected(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	for _, query := range []string{"", "?id=unknown", "?id=%00", "?list=//evil.example"} {
		a := s.visitor().get("/admin/revoke" + query)
		assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, query)
		assert.Contains(t, a.body, "No keys selected", query)
		assert.NotContains(t, a.body, "evil.example")
	}
}

func TestSelectionIsBounded(t *testing.T) {
	t.Parallel()
	form := url.Values{}
	for i := range 2 * pageSize {
		form.Add("id", "key"+string(rune('a'+i%26))+string(rune('a'+i/26)))
	}
	_, err := selectedIDs(form)
	require.ErrorIs(t, err, apikey.ErrInvalid)
	s := newSite(t, Options{Authorize: ann})
	v := s.visitor()
	assert.Equal(t, http.StatusBadRequest, v.get("/admin/revoke?"+form.Encode()).StatusCode)
	assert.Equal(t, http.StatusBadRequest, v.do("POST", "/admin/revoke", form.Encode()).StatusCode)
	form["id"] = append(form["id"][:pageSize:pageSize], form["id"][:pageSize]...)
	ids, err := selectedIDs(form)
	require.NoError(t, err)
	assert.Equal(t, form["id"][:pageSize], ids)
}

func TestOnlyKeysThatWereRevokedNowCount(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	_, one := s.issue("One")
	_, dead := s.issue("Dead")
	_, err := s.store.Revoke(t.Context(), dead.ID)
	require.NoError(t, err)
	v := s.visitor()
	a := v.do("POST", "/admin/revoke", url.Values{"id": {dead.ID, "unknown", one.ID}}.Encode())
	assert.Contains(t, a.body, "1 key was revoked.")
	assert.NotContains(t, a.body, "<bdi>Dead</bdi>")
	assert.Contains(t, v.do("POST", "/admin/revoke", url.Values{"id": {dead.ID, "unknown"}}.Encode()).body, "0 keys were revoked.")
}

func TestFailureHalfwayTellsHowManyKeysWereRevoked(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	v := s.visitor()
	for done, want := range []string{"The key store did not answer.", "1 key was revoked before the key store failed.", "2 keys were revoked before the key store failed."} {
		form := url.Values{}
		for range 3 {
			_, key := s.issue("Job")
			form.Add("id", key.ID)
		}
		s.store.failsAfter("Revoke", done, apikey.ErrUnavailable)
		a := v.do("POST", "/admin/revoke", form.Encode())
		require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
		assert.Contains(t, a.body, want)
		s.store.fails("", nil)
		left := v.do("POST", "/admin/revoke", hiddenIn(a).Encode())
		assert.Equal(t, 3-done, strings.Count(left.body, "<bdi>Job</bdi>"), "sent again, the form revokes the others")
	}
}

func TestLoginAndRetryPreserveASelection(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	_, one := s.issue("One")
	_, two := s.issue("Two")
	v := s.visitor()
	form := url.Values{"id": {one.ID, two.ID}}
	login := hiddenIn(v.do("POST", "/admin/revoke", form.Encode()))
	login.Set("password", testPassword)
	a := v.do("POST", "/admin/login", login.Encode())
	assert.Equal(t, form["id"], hiddenIn(a)["id"])
	s.store.fails("Revoke", apikey.ErrUnavailable)
	a = v.do("POST", "/admin/revoke", form.Encode())
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	s.store.fails("", nil)
	assert.Contains(t, v.do("POST", "/admin/revoke", hiddenIn(a).Encode()).body, "2 keys were revoked.")
}
