package main

import (
	"fmt"
	"html"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/manage"
)

const year = 365 * 24 * time.Hour

// TestPrivilegesDoNotGrow lets alice try to get more than she may have, on each page and with a key that may
// only read orders and manage keys. Each attempt of the table must be refused, and her keys must stay within the
// limits.
func TestPrivilegesDoNotGrow(t *testing.T) {
	t.Parallel()
	s := startService(t)
	page := s.logIn(t, alice)
	expires := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	limits := []apikey.Limit{{Name: "api", Requests: 100, Per: time.Minute}}
	program, own := s.issue(t, apikey.NewKey{Name: "Program", Owner: alice.id, Scopes: []string{"orders:read", manage.ScopeManage}, ExpiresAt: expires, Limits: limits})
	_, writer := s.issue(t, apikey.NewKey{Name: "Writer", Owner: alice.id, Scopes: []string{"orders:write"}, ExpiresAt: expires})
	_, staffs := s.issue(t, apikey.NewKey{Name: "Of staff", Owner: alice.id, Scopes: []string{"orders:refund"}, ExpiresAt: expires})
	_, suspended := s.issue(t, apikey.NewKey{Name: "Suspended", Owner: alice.id, ExpiresAt: expires})
	session, err := s.desk.As(manage.Access{Actor: carol.email, AllOwners: true, AnyScope: true})
	require.NoError(t, err)
	_, err = session.Suspend(t.Context(), suspended.ID)
	require.NoError(t, err)

	late, never := time.Now().Add(2*year).UTC().Format(time.RFC3339), "2999-01-01T00:00:00Z"
	byProgram := func(method, path string, body map[string]any) func() int {
		return func() int { return s.call(t, program, method, "/api/keys"+path, body).status }
	}
	forms := 0
	byPage := func(path, form string) func() int {
		return func() int {
			forms++
			values, err := url.ParseQuery(form + "&nonce=" + fmt.Sprintf("%026d", forms))
			require.NoError(t, err)
			return page.post("/settings/keys"+path, values).status
		}
	}
	_, edited := s.issue(t, apikey.NewKey{Name: "Edited", Owner: alice.id, Scopes: []string{"orders:read"}, ExpiresAt: expires})
	byEdit := func(change url.Values) func() int {
		return func() int {
			form := formOf(page.get("/settings/keys/keys/" + edited.ID + "/edit").body)
			maps.Copy(form, change)
			return page.post("/settings/keys/keys/"+edited.ID+"/edit", form).status
		}
	}
	before := s.keysOf(t, alice.id)
	for name, attempt := range map[string]func() int{
		"create with a scope beyond the caller's":    byProgram("POST", "/keys", map[string]any{"name": "x", "scopes": []string{"orders:write"}}),
		"create with a scope of staff":               byProgram("POST", "/keys", map[string]any{"name": "x", "scopes": []string{"orders:refund"}}),
		"create with an unknown scope":               byProgram("POST", "/keys", map[string]any{"name": "x", "scopes": []string{"everything"}}),
		"create for another owner":                   byProgram("POST", "/keys", map[string]any{"name": "x", "owner": bob.id}),
		"create beyond the life of the caller's key": byProgram("POST", "/keys", map[string]any{"name": "x", "expires_at": late}),
		"create for ever":                            byProgram("POST", "/keys", map[string]any{"name": "x", "expires_at": never}),
		"update with a scope beyond the caller's":    byProgram("PATCH", "/keys/"+own.ID, map[string]any{"scopes": []string{"orders:read", "orders:write", manage.ScopeManage}}),
		"update the owner":                           byProgram("PATCH", "/keys/"+own.ID, map[string]any{"owner": bob.id}),
		"update to no owner":                         byProgram("PATCH", "/keys/"+own.ID, map[string]any{"owner": ""}),
		"update to live longer":                      byProgram("PATCH", "/keys/"+own.ID, map[string]any{"expires_at": late}),
		"update to never expire":                     byProgram("PATCH", "/keys/"+own.ID, map[string]any{"expires_at": nil}),
		"update to have no limits":                   byProgram("PATCH", "/keys/"+own.ID, map[string]any{"limits": []any{}}),
		"update to have other limits":                byProgram("PATCH", "/keys/"+own.ID, map[string]any{"limits": []any{map[string]any{"name": "api", "requests": 1000, "per": 60}}}),
		"rotate a key with more scopes":              byProgram("POST", "/keys/"+writer.ID+"/rotate", nil),
		"rotate a key with a scope of staff":         byProgram("POST", "/keys/"+staffs.ID+"/rotate", nil),
		"resume what staff suspended":                byProgram("POST", "/keys/"+suspended.ID+"/resume", nil),

		"page: add with a scope of staff":          byPage("/add", "name=x&scope=orders:refund&expiry=30"),
		"page: add with a typed scope of staff":    byPage("/add", "name=x&scopes=orders:refund&confirmed=orders:refund&expiry=30"),
		"page: add beyond the longest lifetime":    byPage("/add", "name=x&expiry=date&date="+late[:10]),
		"page: add for ever":                       byPage("/add", "name=x&expiry=never"),
		"page: rotate a key with a scope of staff": byPage("/keys/"+staffs.ID+"/rotate", "grace=0"),
		"page: resume what staff suspended":        byPage("/keys/"+suspended.ID+"/resume", ""),
		"page: edit with a scope of staff":         byEdit(url.Values{"scope": {"orders:read", "orders:refund"}}),
		"page: edit to live too long":              byEdit(url.Values{"expiry": {"date"}, "date": {late[:10]}}),
		"page: edit to never expire":               byEdit(url.Values{"expiry": {"never"}}),
	} {
		status := attempt()
		assert.True(t, status >= 400 && status < 500, "%s: %d", name, status)
	}
	byEdit(url.Values{"owner": {bob.id}})()
	assert.Equal(t, before, s.keysOf(t, alice.id))
	assert.Empty(t, s.keysOf(t, bob.id))

	// These succeed, within the limits.
	assert.Equal(t, http.StatusSeeOther, byEdit(url.Values{"name": {"Renamed"}, "scope": {"orders:write"}})())
	assert.Equal(t, "Renamed", s.key(t, edited.ID).Name)
	assert.Equal(t, http.StatusOK, byPage("/add", "name=On+the+page&owner="+bob.id+"&scope=orders:write&expiry=30")(), "an owner in the form is ignored")
	assert.Equal(t, http.StatusCreated, byProgram("POST", "/keys", map[string]any{"name": "Without an expiry"})())
	assert.Equal(t, http.StatusCreated, byProgram("POST", "/keys/"+own.ID+"/rotate", map[string]any{"grace": 60})())
	assert.Equal(t, http.StatusOK, s.embyPost(t, program, "By+Emby").Code)
	successors, err := s.store.Successors(t.Context(), []string{own.ID})
	require.NoError(t, err)
	successor := s.key(t, successors[own.ID])
	assert.Equal(t, [2]any{own.Scopes, limits}, [2]any{successor.Scopes, successor.Limits}, "after a rotation")
	assert.Empty(t, s.keysOf(t, bob.id))
	for _, key := range s.keysOf(t, alice.id) {
		limit := expires
		if key.Name == "On the page" {
			limit = time.Now().Add(year)
		}
		assert.False(t, key.ExpiresAt.IsZero() || key.ExpiresAt.After(limit), "%s expires at %v", key.Name, key.ExpiresAt)
	}
}

var field = regexp.MustCompile(`<input[^>]* name="([a-z]+)"[^>]* value="([^"]*)"([^>]*)>`)

// formOf returns the values of the fields of a form.
func formOf(body string) url.Values {
	form := url.Values{"networks": {""}, "metadata": {""}}
	for _, match := range field.FindAllStringSubmatch(body, -1) {
		isChoice := strings.Contains(match[0], "checkbox") || strings.Contains(match[0], "radio")
		if !isChoice || strings.Contains(match[3], "checked") {
			form.Add(match[1], html.UnescapeString(match[2]))
		}
	}
	return form
}

func (s *service) embyPost(t *testing.T, program, name string) *httptest.ResponseRecorder {
	t.Helper()
	keys, err := emby.Keys(s.desk, emby.AccessOf(func(k apikey.Key) manage.Access {
		access := manage.ByKey(k)
		access.MaxKeys = maxKeys
		return access
	}))
	require.NoError(t, err)
	r := httptest.NewRequest("POST", "/Auth/Keys?App="+name, nil)
	r.Header.Set("X-API-Key", program)
	w := httptest.NewRecorder()
	s.auth.Handler(keys).ServeHTTP(w, r)
	return w
}

// TestCustomerHasAtMostMaxKeys makes more keys than a customer may have, through all faces at the same time.
func TestCustomerHasAtMostMaxKeys(t *testing.T) {
	t.Parallel()
	s := startService(t)
	page := s.logIn(t, alice)
	program, _ := s.issue(t, apikey.NewKey{Name: "Program", Owner: alice.id, Scopes: customersScopes})
	session, err := s.desk.As(manage.Access{Actor: alice.email, Owner: alice.id, MaxKeys: maxKeys})
	require.NoError(t, err)
	var all sync.WaitGroup
	for i := range 5 {
		all.Go(func() { s.call(t, program, "POST", "/api/keys/keys", map[string]any{"name": "By program"}) })
		all.Go(func() {
			page.post("/settings/keys/add", url.Values{"name": {"By page"}, "expiry": {"30"}, "nonce": {fmt.Sprintf("%026d", i)}})
		})
		all.Go(func() { s.embyPost(t, program, "By+Emby") })
		all.Go(func() { session.Issue(t.Context(), apikey.NewKey{Name: "By session"}, "") })
	}
	all.Wait()
	assert.Len(t, s.keysOf(t, alice.id), maxKeys)

	one := s.keysOf(t, alice.id)[0]
	for name, status := range map[string]int{
		"manageapi": s.call(t, program, "POST", "/api/keys/keys", map[string]any{"name": "x"}).status,
		"emby":      s.embyPost(t, program, "x").Code,
		"admin":     page.post("/settings/keys/add", url.Values{"name": {"x"}, "expiry": {"30"}, "nonce": {strings.Repeat("B", 26)}}).status,
	} {
		assert.True(t, status >= 400 && status < 500, "%s: %d", name, status)
	}
	_, _, err = session.Issue(t.Context(), apikey.NewKey{Name: "x"}, "")
	assert.ErrorIs(t, err, manage.ErrRefused)
	assert.Len(t, s.keysOf(t, alice.id), maxKeys)

	_, err = session.Revoke(t.Context(), one.ID)
	require.NoError(t, err)
	_, _, err = session.Issue(t.Context(), apikey.NewKey{Name: "Instead"}, "")
	assert.NoError(t, err, "after a revocation")
}
