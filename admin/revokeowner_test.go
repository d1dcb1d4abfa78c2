package admin

import (
	"context"
	"net/http"
	"net/url"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestRevokeOwnerNeedsItsName(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	const owner = "Ops & <co>"
	one := s.make(apikey.NewKey{Name: "One", Owner: owner})
	two := s.make(apikey.NewKey{Name: "Two", Owner: owner})
	suspend := true
	_, err := s.store.Update(t.Context(), two.ID, apikey.Patch{Suspended: &suspend})
	require.NoError(t, err)
	other := s.make(apikey.NewKey{Name: "Other", Owner: "Media"})
	v := s.visitor()
	query := "?owner=" + url.QueryEscape(owner)
	assert.Contains(t, v.get("/admin/"+query).body, `href="./revoke-owner?owner=Ops%20%26%20%3cco%3e"`)
	assert.NotContains(t, v.get("/admin/").body, "revoke-owner")

	asked := v.get("/admin/revoke-owner" + query)
	assert.Equal(t, http.StatusOK, asked.StatusCode)
	assert.Contains(t, asked.body, ">2 keys</a>")
	assert.NotContains(t, asked.body, "<co>")
	for _, typed := range []string{"", "Ops", "ops & <co>"} {
		a := v.do("POST", "/admin/revoke-owner", url.Values{"owner": {owner}, "confirm": {typed}}.Encode())
		assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode, typed)
		assert.Contains(t, a.body, `id="confirm-problem"`)
	}
	for _, key := range []apikey.Key{one, two, other} {
		got, err := s.store.Get(t.Context(), key.ID)
		require.NoError(t, err)
		assert.Zero(t, got.RevokedAt)
	}

	form := hiddenIn(asked)
	form.Set("owner", owner)
	form.Set("confirm", " "+owner+" ")
	a := v.do("POST", "/admin/revoke-owner", form.Encode())
	assert.Equal(t, http.StatusOK, a.StatusCode)
	assert.Contains(t, a.body, "2 keys of “")
	for _, key := range []apikey.Key{one, two, other} {
		got, err := s.store.Get(t.Context(), key.ID)
		require.NoError(t, err)
		assert.Equal(t, key.ID != other.ID, !got.RevokedAt.IsZero(), key.Name)
	}
	trail, err := s.store.Audit(t.Context(), apikey.AuditOptions{Limit: 1})
	require.NoError(t, err)
	assert.Equal(t, "revoke_all", trail.Entries[0].Action)
	assert.Equal(t, "ann", trail.Entries[0].Actor)
	assert.Contains(t, v.get("/admin/revoke-owner"+query).body, "The owner has no keys to revoke.")
	for _, bad := range []string{"", "?owner=", "?owner=%00"} {
		assert.Equal(t, http.StatusBadRequest, v.get("/admin/revoke-owner"+bad).StatusCode, bad)
	}
	assert.Equal(t, http.StatusBadRequest, v.do("POST", "/admin/revoke-owner", "owner=&confirm=").StatusCode)
}

func TestLoginAndRetryPreserveTheOwner(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{})
	s.make(apikey.NewKey{Name: "One", Owner: "Ops"})
	v := s.visitor()
	assert.Equal(t, "./login?next=revoke-owner%3Fowner%3DOps", v.get("/admin/revoke-owner?owner=Ops").Header.Get("Location"))
	form := url.Values{"owner": {"Ops"}, "confirm": {"Ops"}}
	login := hiddenIn(v.do("POST", "/admin/revoke-owner", form.Encode()))
	login.Set("password", testPassword)
	a := v.do("POST", "/admin/login", login.Encode())
	assert.Contains(t, a.body, `name="owner" value="Ops"`)
	s.store.fails("RevokeAll", apikey.ErrUnavailable)
	a = v.do("POST", "/admin/revoke-owner", form.Encode())
	require.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	s.store.fails("", nil)
	assert.Contains(t, v.do("POST", "/admin/revoke-owner", hiddenIn(a).Encode()).body, "1 key of “"+isolate("Ops")+"” was revoked.")
}

func TestRevokeOwnerWorksWithoutACounter(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.make(apikey.NewKey{Name: "One", Owner: "Ops"})
	s.over(plain{s.store}, apikey.IssuerOptions{})
	v := s.visitor()
	assert.Contains(t, v.get("/admin/revoke-owner?owner=Ops").body, `name="confirm"`)
	assert.Contains(t, v.do("POST", "/admin/revoke-owner", "owner=Ops&confirm=Ops").body, "1 key of “")
}

func TestFailureHalfwayTellsHowManyKeysOfTheOwnerWereRevoked(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	s.over(halfway{plain{s.store}}, apikey.IssuerOptions{})
	a := s.visitor().do("POST", "/admin/revoke-owner", "owner=Ops&confirm=Ops")
	assert.Equal(t, http.StatusServiceUnavailable, a.StatusCode)
	assert.Contains(t, a.body, "7 keys were revoked before the key store failed.")
}

// halfway is a store that fails after it has revoked some keys of an owner.
type halfway struct{ plain }

func (halfway) RevokeAll(context.Context, string) (int, error) { return 7, apikey.ErrUnavailable }

// The maxlength of a browser counts UTF-16 code units. A character has one or two.
func TestFieldsTakeTheLongestTexts(t *testing.T) {
	t.Parallel()
	s := newSite(t, Options{Authorize: ann})
	long := strings.Repeat("😀", 100)
	key := s.make(apikey.NewKey{Name: long, Owner: long})
	v := s.visitor()
	assert.Contains(t, v.get("/admin/revoke-owner?owner="+url.QueryEscape(long)).body, `name="confirm" required maxlength="200"`)
	for _, path := range []string{"/admin/add", "/admin/keys/" + key.ID + "/edit"} {
		assert.Equal(t, 2, strings.Count(v.get(path).body, `maxlength="200"`), path)
	}
	assert.Contains(t, v.do("POST", "/admin/revoke-owner", url.Values{"owner": {long}, "confirm": {long}}.Encode()).body, "1 key of “")
}
