package emby_test

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// A recorder is a KeyManager that records the actors of changes, and that can fail.
type recorder struct {
	*memstore.Store
	actors []string
	err    error
	silent bool // Lookup returns neither a key nor an error
	pages  int
}

func (m *recorder) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if m.err != nil || m.silent {
		return nil, m.err
	}
	return m.Store.Lookup(ctx, d)
}

// If returns a view that records like m.
func (m *recorder) If(c apikey.Condition) apikey.KeyManager {
	return recorderView{m.Store.If(c), m}
}

// A recorderView is a view of a recorder with a Condition.
type recorderView struct {
	apikey.KeyManager
	m *recorder
}

func (v recorderView) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	v.m.actors = append(v.m.actors, apikey.Actor(ctx))
	if v.m.err != nil {
		return v.m.err
	}
	return v.KeyManager.Create(ctx, d, key)
}

func (v recorderView) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	v.m.actors = append(v.m.actors, apikey.Actor(ctx))
	if v.m.err != nil {
		return apikey.Key{}, v.m.err
	}
	return v.KeyManager.Revoke(ctx, id)
}

func (m *recorder) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	return m.If(apikey.Condition{}).Create(ctx, d, key)
}

func (m *recorder) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	return m.If(apikey.Condition{}).Revoke(ctx, id)
}

// List returns empty pages without end.
func (m *recorder) List(context.Context, apikey.ListOptions) (apikey.Page, error) {
	m.pages++
	return apikey.Page{Next: "more"}, m.err
}

// newRecorder returns a recorder with one key, which it has not recorded.
func newRecorder(t *testing.T) (m *recorder, id string) {
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	_, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Victim"})
	require.NoError(t, err)
	return &recorder{Store: store}, key.ID
}

func serveRecorder(t *testing.T, m *recorder, method, target string) *httptest.ResponseRecorder {
	issuer, err := apikey.NewIssuer(m, apikey.IssuerOptions{})
	require.NoError(t, err)
	r := httptest.NewRequest(method, target, nil)
	ctx := apikey.NewContext(r.Context(), apikey.Key{ID: "7", Name: "Hub", Scopes: []string{manage.ScopeManage}})
	w := httptest.NewRecorder()
	newKeys(t, issuer).ServeHTTP(w, r.WithContext(ctx))
	return w
}

func TestActorIsTheCaller(t *testing.T) {
	t.Parallel()
	m, id := newRecorder(t)
	assert.Equal(t, 200, serveRecorder(t, m, "POST", "/Auth/Keys?App=x").Code)
	assert.Equal(t, 204, serveRecorder(t, m, "DELETE", "/Auth/Keys/"+id).Code)
	assert.Equal(t, []string{"API key Hub (7)", "API key Hub (7)"}, m.actors)
}

func TestFailingKeyManager(t *testing.T) {
	t.Parallel()
	failed := errors.New("connection refused by db.internal")
	key := newService(t, apikey.Options{}).good
	for _, test := range []struct {
		name, request string
		err           error
		silent        bool
		changes       int // attempted changes
	}{
		{"listing keys", "GET /Auth/Keys", failed, false, 0},
		{"creating a key", "POST /Auth/Keys?App=x", failed, false, 1},
		{"revoking a key by its ID", "DELETE /Auth/Keys/{id}", failed, false, 1},
		{"looking up the key to revoke", "DELETE /Auth/Keys/" + key, failed, false, 0},
		{"a lookup without a key and an error", "DELETE /Auth/Keys/" + key, nil, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			m, id := newRecorder(t)
			m.err, m.silent = test.err, test.silent
			method, target, _ := strings.Cut(strings.ReplaceAll(test.request, "{id}", id), " ")
			w := serveRecorder(t, m, method, target)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Equal(t, "1", w.Header().Get("Retry-After"))
			assert.NotContains(t, w.Body.String(), "db.internal")
			assert.Len(t, m.actors, test.changes)
		})
	}
}

// An idRecorder is a KeyManager that records the IDs that it is asked for.
type idRecorder struct {
	*memstore.Store
	ids []string
}

func (m *idRecorder) Get(ctx context.Context, id string) (apikey.Key, error) {
	m.ids = append(m.ids, id)
	return m.Store.Get(ctx, id)
}

func (m *idRecorder) If(c apikey.Condition) apikey.KeyManager {
	return idRecorderView{m.Store.If(c), m}
}

type idRecorderView struct {
	apikey.KeyManager
	m *idRecorder
}

func (v idRecorderView) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	v.m.ids = append(v.m.ids, id)
	return v.KeyManager.Revoke(ctx, id)
}

// A store gets no key, which its database could log.
func TestDeleteGivesTheStoreNoKeyAsAnID(t *testing.T) {
	t.Parallel()
	m := &idRecorder{Store: memstore.New()}
	issuer, err := apikey.NewIssuer(m, apikey.IssuerOptions{})
	require.NoError(t, err)
	keys := newKeys(t, issuer)
	for _, test := range []struct {
		name, owner string
		revoked     bool
	}{
		{"a key of the caller's owner", "alice", true},
		{"a key of another owner", "bob", false},
	} {
		secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Key", Owner: test.owner})
		require.NoError(t, err)
		text := secret.Reveal()
		mistyped := text[:len(text)-1] + map[bool]string{true: "a", false: "b"}[text[len(text)-1] == 'b']
		for _, text := range []string{mistyped, text} {
			r := httptest.NewRequest("DELETE", "/Auth/Keys/"+text, nil)
			ctx := apikey.NewContext(r.Context(), apikey.Key{ID: "7", Name: "Hub", Owner: "alice", Scopes: []string{manage.ScopeManage}})
			w := httptest.NewRecorder()
			keys.ServeHTTP(w, r.WithContext(ctx))
			assert.Equal(t, 204, w.Code, test.name)
			assert.NotContains(t, m.ids, text, test.name)
		}
		after, err := m.Store.Get(t.Context(), key.ID)
		require.NoError(t, err)
		assert.Equal(t, test.revoked, !after.RevokedAt.IsZero(), test.name)
	}
}
