package main

import (
	"fmt"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// The page that revokes all keys of a customer must refuse a form that names another customer.
func TestRevokingAllKeysRevokesOnlyTheOwn(t *testing.T) {
	t.Parallel()
	s := startService(t)
	s.bobsKeys(t)
	_, own := s.issue(t, apikey.NewKey{Name: "Alices job", Owner: alice.id})
	before := s.state(t, bob.id)
	page := s.logIn(t, alice)
	page.post("/settings/keys/revoke-owner", url.Values{"owner": {bob.id}, "confirm": {bob.id}})
	assert.Zero(t, s.key(t, own.ID).RevokedAt)
	page.post("/settings/keys/revoke-owner", url.Values{"confirm": {"yes"}})
	assert.NotZero(t, s.key(t, own.ID).RevokedAt)
	assert.Equal(t, before, s.state(t, bob.id))
}

func TestCursorsOfOtherListsShowNoKeysOfOthers(t *testing.T) {
	t.Parallel()
	s := startService(t)
	for i := range 6 {
		s.issue(t, apikey.NewKey{Name: fmt.Sprint("Bobs job ", i), Owner: bob.id})
		s.issue(t, apikey.NewKey{Name: fmt.Sprint("Alices job ", i), Owner: alice.id})
	}
	cursorOf := func(owner string) string {
		page, err := s.store.List(t.Context(), apikey.ListOptions{Owner: owner, Limit: 2})
		require.NoError(t, err)
		require.NotEmpty(t, page.Next)
		return page.Next
	}
	program, _ := s.issue(t, apikey.NewKey{Name: "Alices program", Owner: alice.id, Scopes: customersScopes})
	person := s.logIn(t, alice)
	for name, cursor := range map[string]string{"of bob": cursorOf(bob.id), "of all owners": cursorOf("")} {
		query := "?cursor=" + url.QueryEscape(cursor)
		for face, body := range map[string]string{
			"manageapi": s.call(t, program, "GET", "/api/keys/keys"+query, nil).body,
			"admin":     person.get("/settings/keys/" + query).body,
			"admin CSV": person.get("/settings/keys/keys.csv" + query).body,
		} {
			assert.NotContains(t, body, "Bobs job", "%s: a cursor %s", face, name)
		}
	}
}

func TestRequestIDsOfCallersDoNotCollide(t *testing.T) {
	t.Parallel()
	s := startService(t)
	create := func(c customer) (id string) {
		program, _ := s.issue(t, apikey.NewKey{Name: "Program", Owner: c.id, Scopes: customersScopes})
		r := s.call(t, program, "POST", "/api/keys/keys", map[string]any{"name": "Job"}, "Idempotency-Key", `"one"`)
		require.Equal(t, http.StatusCreated, r.status, r.body)
		return r.json(t)["key"].(map[string]any)["id"].(string)
	}
	assert.NotEqual(t, create(bob), create(alice))

	// A person can choose the nonce of a form of package admin.
	form := url.Values{"name": {"By form"}, "expiry": {"30"}, "nonce": {strings.Repeat("A", 26)}}
	for _, c := range []customer{bob, alice} {
		r := s.logIn(t, c).post("/settings/keys/add", form)
		assert.Contains(t, r.body, "ak_", "%s gets a key", c.name)
		assert.True(t, slices.ContainsFunc(s.keysOf(t, c.id), func(k apikey.Key) bool { return k.Name == "By form" }), c.name)
	}
}
