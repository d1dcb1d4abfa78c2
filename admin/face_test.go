package admin

import (
	"net/http"
	"net/url"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
)

// faces are the kinds of access. Those of an owner are for alice.
var faces = map[string]manage.Access{
	"administrator":        administrator,
	"auditor":              {Actor: "auditor", AllOwners: true, ReadOnly: true},
	"owner":                {Actor: "alice@example.com", Owner: "alice", Scopes: []string{"orders:read", "orders:write"}, MaxKeys: 10, MaxLifetime: 90 * day},
	"owner at the limit":   {Actor: "alice@example.com", Owner: "alice", Scopes: []string{"orders:read"}, MaxKeys: 2},
	"owner without scopes": {Actor: "alice@example.com", Owner: "alice"},
}

// A shop is a site whose visitors have the face that they name.
type shop struct {
	*site
	alices, wide, bobs apikey.Key // wide is alice's and has a scope that she may not give
}

func newShop(t *testing.T) *shop {
	t.Helper()
	s := &shop{site: newSite(t, Options{Authorize: func(r *http.Request) (manage.Access, error) { return faces[r.Header.Get("X-Face")], nil }})}
	s.limit(apikey.IssuerOptions{Scopes: []apikey.Scope{{Name: "orders:read", Description: "Read your orders"}, {Name: "orders:write"}, {Name: "refunds"}}})
	s.alices = s.make(apikey.NewKey{Name: "Backup job", Owner: "alice", Scopes: []string{"orders:read"}, ExpiresAt: time.Now().Add(30 * day)})
	s.wide = s.make(apikey.NewKey{Name: "Refunds", Owner: "alice", Scopes: []string{"refunds"}, ExpiresAt: time.Now().Add(30 * day)})
	s.bobs = s.make(apikey.NewKey{Name: "Bob's job", Owner: "bob", Scopes: []string{"orders:read"}})
	return s
}

func (s *shop) as(face string) *visitor {
	v := s.visitor()
	v.header.Set("X-Face", face)
	if owner := faces[face].Owner; owner != "" {
		v.account = accountOf(owner)
	}
	return v
}

func TestFacesOfThePages(t *testing.T) {
	t.Parallel()
	const ok, seeOther, forbidden, notFound = http.StatusOK, http.StatusSeeOther, http.StatusForbidden, http.StatusNotFound
	const unprocessable = http.StatusUnprocessableEntity
	for _, test := range []struct {
		request, form                             string
		administrator, auditor, owner, full, bare int // full is at the limit, bare has no scopes
	}{
		{"GET ", "", ok, ok, ok, ok, ok},
		{"GET keys.csv", "", ok, ok, ok, ok, ok},
		{"GET identify", "", ok, ok, ok, ok, ok},
		{"GET activity", "", ok, ok, notFound, notFound, notFound},
		{"GET add", "", ok, forbidden, ok, forbidden, ok},
		{"GET keys/ALICES", "", ok, ok, ok, ok, ok},
		{"GET keys/ALICES/edit", "", ok, forbidden, ok, ok, ok},
		{"GET keys/ALICES/rotate", "", ok, forbidden, ok, ok, forbidden},
		{"GET keys/ALICES/suspend", "", ok, forbidden, ok, ok, ok},
		{"GET keys/ALICES/revoke", "", ok, forbidden, ok, ok, ok},
		{"GET revoke?id=ALICES", "", ok, forbidden, ok, ok, ok},
		{"GET revoke-owner?owner=alice", "", ok, forbidden, ok, ok, ok},
		{"GET keys/WIDE/rotate", "", ok, forbidden, forbidden, forbidden, forbidden},
		{"GET keys/BOBS", "", ok, ok, notFound, notFound, notFound},
		{"GET keys/BOBS/edit", "", ok, forbidden, notFound, notFound, notFound},
		{"GET keys/BOBS/rotate", "", ok, forbidden, notFound, notFound, notFound},
		{"GET keys/BOBS/suspend", "", ok, forbidden, notFound, notFound, notFound},
		{"GET keys/BOBS/revoke", "", ok, forbidden, notFound, notFound, notFound},
		{"GET revoke?id=BOBS", "", ok, forbidden, unprocessable, unprocessable, unprocessable},
		{"POST add", "name=New&expiry=30", ok, forbidden, ok, unprocessable, ok},
		{"POST add", "name=New&expiry=30&scope=orders:read", ok, forbidden, ok, unprocessable, unprocessable},
		{"POST add", "name=New&expiry=30&scope=refunds", ok, forbidden, unprocessable, unprocessable, unprocessable},
		{"POST add", "name=New&expiry=365", ok, forbidden, unprocessable, unprocessable, ok},
		{"POST add", "name=New&expiry=30&owner=bob", ok, forbidden, ok, unprocessable, ok},
		{"POST keys/ALICES/rotate", "grace=1h", ok, forbidden, ok, ok, forbidden},
		{"POST keys/WIDE/rotate", "grace=1h", ok, forbidden, forbidden, forbidden, forbidden},
		{"POST keys/BOBS/rotate", "grace=1h", ok, forbidden, notFound, notFound, notFound},
		{"POST keys/ALICES/suspend", "", seeOther, forbidden, seeOther, seeOther, seeOther},
		{"POST keys/BOBS/suspend", "", seeOther, forbidden, notFound, notFound, notFound},
		{"POST keys/BOBS/resume", "", seeOther, forbidden, notFound, notFound, notFound},
		{"POST keys/ALICES/revoke", "", seeOther, forbidden, seeOther, seeOther, seeOther},
		{"POST keys/BOBS/revoke", "", seeOther, forbidden, notFound, notFound, notFound},
		{"POST revoke", "id=ALICES&id=BOBS", ok, forbidden, ok, ok, ok},
		{"GET revoke-owner?owner=bob", "", ok, forbidden, forbidden, forbidden, forbidden},
		{"POST revoke-owner", "owner=bob&confirm=bob", ok, forbidden, forbidden, forbidden, forbidden},
		{"POST revoke-owner", "owner=&confirm=yes", http.StatusBadRequest, forbidden, forbidden, forbidden, forbidden},
		{"POST revoke-owner", "owner=alice&confirm=alice", ok, forbidden, ok, ok, ok},
	} {
		for face, want := range map[string]int{
			"administrator": test.administrator, "auditor": test.auditor, "owner": test.owner, "owner at the limit": test.full, "owner without scopes": test.bare,
		} {
			t.Run(face+": "+test.request+" "+test.form, func(t *testing.T) {
				t.Parallel()
				s := newShop(t)
				ids := strings.NewReplacer("ALICES", s.alices.ID, "WIDE", s.wide.ID, "BOBS", s.bobs.ID)
				method, path, _ := strings.Cut(ids.Replace(test.request), " ")
				body := ""
				if method == "POST" {
					body = ids.Replace(test.form) + "&nonce=" + strings.Repeat("n", nonceLen)
				}
				before := s.keys()
				a := s.as(face).do(method, "/admin/"+path, body)
				require.Equal(t, want, a.StatusCode, a.body)
				if a.StatusCode >= 400 {
					assert.Equal(t, before, s.keys())
				}
				if faces[face].Owner == "" {
					return
				}
				assert.NotContains(t, a.body, "Bob")
				bobs, err := s.store.Get(t.Context(), s.bobs.ID)
				require.NoError(t, err)
				assert.Equal(t, s.bobs, bobs, "another owner's key is not changed")
				if a.StatusCode == ok && test.request == "POST add" {
					assert.Equal(t, "alice", s.newest().Owner)
				}
			})
		}
	}
}

func TestForeignKeyIsLikeAnUnknownOne(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.as("owner")
	unknown := strings.Repeat("0", len(s.bobs.ID))
	for _, path := range []string{"", "/edit", "/rotate", "/suspend", "/resume", "/revoke"} {
		for _, method := range []string{"GET", "POST"} {
			if method == "POST" && path == "" {
				continue
			}
			body := ""
			if method == "POST" {
				form := url.Values{"nonce": {strings.Repeat("n", nonceLen)}, "grace": {"1h"}}
				for name, values := range v.editValues(s.alices.ID) {
					form[name] = values
				}
				body = form.Encode()
			}
			want, got := v.do(method, "/admin/keys/"+unknown+path, body), v.do(method, "/admin/keys/"+s.bobs.ID+path, body)
			assert.Equal(t, http.StatusNotFound, got.StatusCode, path)
			assert.Equal(t, want.body, got.body, path)
		}
	}
	for _, secret := range []string{"ak_" + strings.Repeat("0", 36), s.bobs.Hint} {
		a := v.do("POST", "/admin/identify", url.Values{"key": {secret}}.Encode())
		assert.Contains(t, a.body, "This is not one of your keys.")
	}
}

func TestAuditorSeesNothingToPress(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.as("auditor")
	for _, path := range []string{"", "?owner=alice", "keys/" + s.alices.ID, "activity"} {
		body := v.get("/admin/" + path).body
		for _, change := range []string{"add", "edit", "rotate", "suspend", "resume", "revoke"} {
			assert.NotContains(t, body, "/"+change, path)
		}
		assert.NotContains(t, body, `type="checkbox"`, path)
	}
	assert.Contains(t, v.get("/admin/").body, "Bob&#39;s job")
	assert.Contains(t, v.get("/admin/activity").body, s.bobs.ID)
	assert.Contains(t, v.get("/admin/keys/"+s.alices.ID+"/edit").body, "You can view keys, but not change them.")
}

func TestOwnerWhoMayOnlyReadSeesNothingToPress(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	reader := manage.Access{Actor: "alice", Owner: "alice", ReadOnly: true}
	s.handler.authorize = func(*http.Request) (manage.Access, error) { return reader, nil }
	v := s.visitor()
	for _, path := range []string{"", "keys/" + s.alices.ID} {
		body := v.get("/admin/" + path).body
		for _, change := range []string{"/add", "/edit", "/rotate", "/suspend", "/revoke"} {
			assert.NotContains(t, body, change, path)
		}
	}
	assert.Equal(t, http.StatusForbidden, v.do("POST", "/admin/revoke-owner", "confirm=yes").StatusCode)
}

func TestOwnerSeesOnlyTheOwnKeys(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.as("owner")
	for _, path := range []string{"", "?owner=bob", "?status=all", "?search=bob"} {
		body := v.get("/admin/" + path).body
		assert.Contains(t, body, "<h1>Your API keys</h1>", path)
		assert.NotContains(t, body, "Bob", path)
		assert.NotContains(t, body, `name="owner"`, path)
		assert.NotContains(t, body, `class="owner"`, path)
		assert.NotContains(t, body, "activity", path)
	}
	assert.Contains(t, v.get("/admin/?owner=bob").body, "Backup job")
	assert.NotContains(t, v.get("/admin/keys.csv?owner=bob&status=all").body, "Bob")
	page := v.get("/admin/keys/" + s.alices.ID).body
	assert.NotContains(t, page, "<dt>Owner</dt>")
	assert.NotContains(t, page, `<span class="none">Owner</span>`, "in the history")
	assert.NotContains(t, v.get("/admin/add").body, `name="owner"`)
	assert.NotContains(t, v.get("/admin/keys/"+s.alices.ID+"/edit").body, `name="owner"`)
	a := v.do("POST", "/admin/", "search=job&owner=bob")
	assert.Equal(t, "./?search=job", a.Header.Get("Location"))
}

func TestOwnerEditsAKey(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	a := s.as("owner").edit(s.alices.ID, "name", "Nightly backup", "owner", "bob")
	require.Equal(t, http.StatusSeeOther, a.StatusCode, a.body)
	key, err := s.store.Get(t.Context(), s.alices.ID)
	require.NoError(t, err)
	assert.Equal(t, "Nightly backup", key.Name)
	assert.Equal(t, "alice", key.Owner)
}

func TestFormOffersTheScopesOfTheAccess(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	body := s.as("owner").get("/admin/add").body
	assert.Contains(t, body, `value="orders:read"`)
	assert.Contains(t, body, "Read your orders")
	assert.Contains(t, body, `value="orders:write"`)
	assert.NotContains(t, body, `value="refunds"`)
	assert.NotContains(t, body, `name="scopes"`)
	body = s.as("owner without scopes").get("/admin/add").body
	assert.NotContains(t, body, `name="scope`)
	s.limit(apikey.IssuerOptions{})
	body = s.as("owner").get("/admin/add").body
	assert.Contains(t, body, `value="orders:read"`, "without a catalogue")
	assert.NotContains(t, body, `name="scopes"`)
	body = s.as("owner").get("/admin/keys/" + s.wide.ID + "/edit").body
	assert.Contains(t, body, `value="refunds" checked`, "the key keeps the scope")
	assert.Contains(t, body, "You can remove this scope, but not add it again.")
}

func TestFormOffersTheLifetimeOfTheAccess(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.as("owner")
	for _, path := range []string{"add", "keys/" + s.alices.ID + "/edit"} {
		body := v.get("/admin/" + path).body
		assert.Contains(t, body, `name="expiry" value="90"`, path)
		assert.NotContains(t, body, `name="expiry" value="365"`, path)
		assert.NotContains(t, body, `name="expiry" value="never"`, path)
	}
	assert.Contains(t, v.get("/admin/add").body, `value="90" checked`)
	s.limit(apikey.IssuerOptions{MaxLifetime: 40 * day})
	assert.NotContains(t, v.get("/admin/add").body, `name="expiry" value="90"`, "the Issuer permits less")
	s.limit(apikey.IssuerOptions{})
	now := time.Now()
	for _, test := range []struct {
		name   string
		access manage.Access
		usual  string
		values string
	}{
		{"no limit", manage.Access{}, "90", "7 30 90 365 never date"},
		{"a year", manage.Access{MaxLifetime: 365 * day}, "90", "7 30 90 365 date"},
		{"40 days", manage.Access{MaxLifetime: 40 * day}, "default", "default 7 30 date"},
		{"until a time", manage.Access{NotAfter: now.Add(40 * day)}, "default", "default 7 30 date"},
		{"the sooner of both", manage.Access{MaxLifetime: 40 * day, NotAfter: now.Add(8 * day)}, "default", "default 7 date"},
	} {
		test.access.Actor, test.access.Owner = "alice", "alice"
		v := s.handler.visit(nil, &http.Request{URL: &url.URL{Path: "/"}})
		var err error
		v.keys, err = s.handler.desk.As(test.access)
		require.NoError(t, err)
		var values []string
		for _, c := range v.expiries(now, nil) {
			values = append(values, c.Value)
		}
		assert.Equal(t, test.usual, v.defaultExpiry(now), test.name)
		assert.Equal(t, test.values, strings.Join(values, " "), test.name)
	}
}

func TestListSaysHowManyKeysTheOwnerMayHave(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	suspended, expired := true, time.Now().Add(-day)
	_, err := s.store.Update(t.Context(), s.wide.ID, apikey.Patch{Suspended: &suspended})
	require.NoError(t, err)
	old := s.make(apikey.NewKey{Name: "Old", Owner: "alice"})
	_, err = s.store.Update(t.Context(), old.ID, apikey.Patch{Suspended: &suspended, ExpiresAt: &expired})
	require.NoError(t, err)
	body := s.as("owner").get("/admin/").body
	assert.Contains(t, body, "You have 2 of 10 keys", "suspended keys count, expired ones do not")
	assert.Contains(t, body, `href="./add"`)
	v := s.as("owner at the limit")
	body = v.get("/admin/").body
	assert.Contains(t, body, "You have 2 of 2 keys")
	assert.NotContains(t, body, `href="./add"`)
	for _, page := range []string{body, v.get("/admin/add").body} {
		assert.Contains(t, page, "You can have at most 2 keys. Revoke a key to add another one.")
	}
	require.Equal(t, http.StatusSeeOther, v.do("POST", "/admin/keys/"+s.alices.ID+"/revoke", "").StatusCode)
	assert.Contains(t, v.get("/admin/").body, `href="./add"`)
	assert.NotContains(t, s.as("owner without scopes").get("/admin/").body, "You have", "without a limit")
}

func TestOwnerRevokesAllKeys(t *testing.T) {
	t.Parallel()
	s := newShop(t)
	v := s.as("owner")
	assert.Contains(t, v.get("/admin/").body, `href="./revoke-owner"`)
	assert.NotContains(t, v.get("/admin/revoke-owner").body, `name="owner"`)
	a := v.do("POST", "/admin/revoke-owner", "")
	assert.Equal(t, http.StatusUnprocessableEntity, a.StatusCode)
	assert.Contains(t, a.body, "Confirm that you want to revoke all of your keys.")
	a = v.do("POST", "/admin/revoke-owner", "owner=bob&confirm=yes")
	assert.Equal(t, http.StatusForbidden, a.StatusCode, "a form for another owner must not revoke the own keys")
	assert.Contains(t, a.body, "You can manage only your own keys.")
	a = v.do("POST", "/admin/revoke-owner", "confirm=yes")
	assert.Contains(t, a.body, "2 keys were revoked.")
	assert.NotContains(t, v.get("/admin/?status=all").body, "revoke-owner", "no key is left to revoke")
	bobs, err := s.store.Get(t.Context(), s.bobs.ID)
	require.NoError(t, err)
	assert.Zero(t, bobs.RevokedAt)
}
