package emby_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/manage"
)

const forbiddenBody = `{"type":"about:blank","title":"Forbidden","status":403,"detail":"The API key does not permit this request."}`

// always returns the option that gives every caller the same Access.
func always(a manage.Access) []emby.KeysOption {
	return []emby.KeysOption{emby.AccessOf(func(apikey.Key) manage.Access { return a })}
}

// Each row is a kind of caller. Before the requests, there are two keys of alice, one of bob and one
// without an owner, besides the caller's.
func TestAccess(t *testing.T) {
	t.Parallel()
	manager := []string{manage.ScopeManage}
	for _, test := range []struct {
		name    string
		caller  apikey.NewKey
		options []emby.KeysOption

		sees    []any  // names in the list; nil: 403
		creates int    // status of POST
		owner   string // of the created key
		revokes string // owners whose key the caller revokes, by its ID and by its text; "-" is no owner
		refuses string // owners whose key gets 403 instead of 204
	}{
		{"an administrator", apikey.NewKey{Name: "Caller", Scopes: manager}, nil,
			[]any{"alice 1", "alice 2", "bob", "no owner", "Caller"}, 200, "", "alice bob -", ""},
		{"an owner", apikey.NewKey{Name: "Caller", Owner: "alice", Scopes: manager}, nil,
			[]any{"alice 1", "alice 2", "Caller"}, 200, "alice", "alice", ""},
		{"an owner without keys", apikey.NewKey{Name: "Caller", Owner: "carol", Scopes: manager}, nil,
			[]any{"Caller"}, 200, "carol", "", ""},
		{"an owner without the scope", apikey.NewKey{Name: "Caller", Owner: "alice"}, nil,
			nil, 403, "", "", "alice bob -"},
		{"without an owner or the scope", apikey.NewKey{Name: "Caller"}, nil,
			nil, 403, "", "", "alice bob -"},

		{"AccessOf: an owner of the service's choice", apikey.NewKey{Name: "Caller"}, always(manage.Access{Actor: "bob", Owner: "bob"}),
			[]any{"bob"}, 200, "bob", "bob", ""},
		{"AccessOf: read-only", apikey.NewKey{Name: "Caller"}, always(manage.Access{Actor: "auditor", AllOwners: true, ReadOnly: true}),
			[]any{"alice 1", "alice 2", "bob", "no owner", "Caller"}, 403, "", "", "alice bob -"},
		{"AccessOf: a read-only owner", apikey.NewKey{Name: "Caller"}, always(manage.Access{Actor: "alice", Owner: "alice", ReadOnly: true}),
			[]any{"alice 1", "alice 2"}, 403, "", "", "alice bob -"},
		{"AccessOf: one more key", apikey.NewKey{Name: "Caller"}, always(manage.Access{Actor: "alice", Owner: "alice", MaxKeys: 3}),
			[]any{"alice 1", "alice 2"}, 200, "alice", "alice", ""},
		{"AccessOf: no more keys", apikey.NewKey{Name: "Caller"}, always(manage.Access{Actor: "alice", Owner: "alice", MaxKeys: 2}),
			[]any{"alice 1", "alice 2"}, 403, "", "alice", ""},
		{"AccessOf: no longer", apikey.NewKey{Name: "Caller"}, always(manage.Access{Actor: "alice", Owner: "alice", NotAfter: time.Unix(1, 0)}),
			[]any{"alice 1", "alice 2"}, 403, "", "alice", ""},
		{"AccessOf: nothing", apikey.NewKey{Name: "Caller", Scopes: manager}, always(manage.Access{}),
			nil, 403, "", "", "alice bob -"},
		{"AccessOf: nonsense", apikey.NewKey{Name: "Caller", Scopes: manager}, always(manage.Access{Actor: "x", Owner: "alice", AllOwners: true}),
			nil, 403, "", "", "alice bob -"},
		{"AccessOf: no owner", apikey.NewKey{Name: "Caller", Scopes: manager}, always(manage.Access{Actor: "x"}),
			nil, 403, "", "", "alice bob -"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			a := newAccount(t, test.caller, test.options)

			w := a.send(t, "GET", "/Auth/Keys")
			if test.sees == nil {
				assert.Equal(t, 403, w.Code)
				assert.JSONEq(t, forbiddenBody, w.Body.String())
			} else {
				assert.Equal(t, test.sees, names(decode[list](t, response{w.Result(), w.Body.String()})))
			}

			w = a.send(t, "POST", "/Auth/Keys?App=New")
			assert.Equal(t, test.creates, w.Code)
			if test.creates == 200 {
				made := a.named(t, "New")
				assert.Equal(t, test.owner, made.Owner)
				assert.Empty(t, made.Scopes)
			} else {
				assert.JSONEq(t, forbiddenBody, w.Body.String())
				assert.Zero(t, a.named(t, "New"))
			}

			for name, owner := range map[string]string{"alice 1": "alice", "bob": "bob", "no owner": "-"} {
				a.tryRevoke(t, name, a.ids[name], has(test.revokes, owner), has(test.refuses, owner))
			}
			a.tryRevoke(t, "alice 2", a.secrets["alice 2"], has(test.revokes, "alice"), has(test.refuses, "alice"))
		})
	}
}

// An account is a service with keys of several owners, and a caller.
type account struct {
	*service
	keys         http.Handler
	key          string
	ids, secrets map[string]string // by name
}

func newAccount(t *testing.T, caller apikey.NewKey, options []emby.KeysOption) *account {
	s := newService(t, apikey.Options{})
	for _, id := range []string{s.goodID, s.managerID} {
		_, err := s.store.Revoke(t.Context(), id)
		require.NoError(t, err)
	}
	a := &account{service: s, ids: map[string]string{}, secrets: map[string]string{}}
	for _, k := range []apikey.NewKey{{Name: "alice 1", Owner: "alice"}, {Name: "alice 2", Owner: "alice"}, {Name: "bob", Owner: "bob"}, {Name: "no owner"}} {
		a.secrets[k.Name], a.ids[k.Name] = s.issue(t, k)
	}
	a.key, _ = s.issue(t, caller)
	a.keys = s.auth.Handler(newKeys(t, s.issuer, options...))
	return a
}

func (a *account) send(t *testing.T, method, target string) *httptest.ResponseRecorder {
	t.Helper()
	return caller{t, a.keys, a.key}.send(method, target)
}

// named returns the active key with a name, or the zero Key.
func (a *account) named(t *testing.T, name string) apikey.Key {
	t.Helper()
	for key, err := range apikey.Keys(t.Context(), a.store, apikey.ListOptions{Status: apikey.StatusActive}) {
		require.NoError(t, err)
		if key.Name == name {
			return key
		}
	}
	return apikey.Key{}
}

// tryRevoke revokes a key by its text or its ID.
func (a *account) tryRevoke(t *testing.T, name, keyOrID string, revoked, refused bool) {
	t.Helper()
	unknown := a.send(t, "DELETE", "/Auth/Keys/unknown")
	w := a.send(t, "DELETE", "/Auth/Keys/"+keyOrID)
	assert.Equal(t, unknown.Code, w.Code, "%s: as for an unknown key", name)
	assert.Equal(t, unknown.Body.String(), w.Body.String(), name)
	assert.Equal(t, unknown.Header(), w.Header(), name)
	if refused {
		assert.Equal(t, 403, w.Code, name)
		assert.JSONEq(t, forbiddenBody, w.Body.String())
	} else {
		assert.Equal(t, 204, w.Code, name)
	}
	key, err := a.store.Get(t.Context(), a.ids[name])
	require.NoError(t, err)
	assert.Equal(t, revoked, !key.RevokedAt.IsZero(), "%s: revoked", name)
}

func has(words, word string) bool {
	for w := range strings.FieldsSeq(words) {
		if w == word {
			return true
		}
	}
	return false
}

func TestKeyOfAnotherOwnerLooksUnknown(t *testing.T) {
	t.Parallel()
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
	require.NoError(t, err)
	s := newService(t, apikey.Options{Format: format})
	keys := s.auth.Handler(newKeys(t, s.issuer))
	key, _ := s.issue(t, apikey.NewKey{Name: "Alice", Owner: "alice", Scopes: []string{manage.ScopeManage}})
	_, bobs := s.issue(t, apikey.NewKey{Name: "Bob", Owner: "bob"})
	_, err = s.issuer.Import(t.Context(), apikey.ImportedKey{Secret: apikey.NewSecret(bobs), Name: "Imported", Owner: "alice"})
	require.NoError(t, err)

	w := caller{t, keys, key}.send("DELETE", "/Auth/Keys/"+bobs)
	assert.Equal(t, 204, w.Code, "a text that is also the ID of bob's key is no conflict for alice")
	got, err := s.store.Get(t.Context(), bobs)
	require.NoError(t, err)
	assert.Zero(t, got.RevokedAt, "bob's key")
	page, err := s.store.List(t.Context(), apikey.ListOptions{Owner: "alice", Status: apikey.StatusRevoked})
	require.NoError(t, err)
	require.Len(t, page.Keys, 1)
	assert.Equal(t, "Imported", page.Keys[0].Name)
}

func TestNewKeyExpiresWithItsCreator(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	keys := s.auth.Handler(newKeys(t, s.issuer))
	for _, owner := range []string{"", "alice"} {
		for _, expiresAt := range []time.Time{{}, time.Now().Add(time.Hour).UTC().Truncate(time.Second)} {
			creator, _ := s.issue(t, apikey.NewKey{Name: "Creator", Owner: owner, Scopes: []string{manage.ScopeManage}, ExpiresAt: expiresAt})
			made := caller{t, keys, creator}.create("Hub")
			key, err := s.issuer.Identify(t.Context(), apikey.NewSecret(made))
			require.NoError(t, err)
			assert.Equal(t, owner, key.Owner)
			assert.True(t, key.ExpiresAt.Equal(expiresAt), "%v of a creator that expires at %v", key.ExpiresAt, expiresAt)
		}
	}
}

func TestShowOnceMoreShowsAKeyOnlyToItsCreator(t *testing.T) {
	t.Parallel()
	s := newService(t, apikey.Options{})
	keys := s.auth.Handler(newKeys(t, s.issuer, emby.ShowOnceMore()))
	one, _ := s.issue(t, apikey.NewKey{Name: "One", Owner: "alice", Scopes: []string{manage.ScopeManage}})
	other, _ := s.issue(t, apikey.NewKey{Name: "Other", Owner: "alice", Scopes: []string{manage.ScopeManage}})
	made := caller{t, keys, one}.create("Hub")
	for name, key := range map[string]string{"another key of the owner": other, "an administrator": s.manager} {
		assert.NotContains(t, caller{t, keys, key}.send("GET", "/Auth/Keys").Body.String(), made, name)
	}
	assert.Equal(t, made, caller{t, keys, one}.last(""))
}
