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
	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/memstore"
)

// A recorder is a KeyManager that tells who made a change, or fails.
type recorder struct {
	*memstore.Store
	actors []string
	err    error
	silent bool // Lookup returns nothing at all
	pages  int
}

func (m *recorder) Lookup(ctx context.Context, d apikey.Digest) (*apikey.Key, error) {
	if m.err != nil || m.silent {
		return nil, m.err
	}
	return m.Store.Lookup(ctx, d)
}

func (m *recorder) Create(ctx context.Context, d apikey.Digest, key apikey.Key) error {
	m.actors = append(m.actors, apikey.Actor(ctx))
	if m.err != nil {
		return m.err
	}
	return m.Store.Create(ctx, d, key)
}

func (m *recorder) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	m.actors = append(m.actors, apikey.Actor(ctx))
	if m.err != nil {
		return apikey.Key{}, m.err
	}
	return m.Store.Revoke(ctx, id)
}

// List returns pages without keys, without an end.
func (m *recorder) List(context.Context, apikey.ListOptions) (apikey.Page, error) {
	m.pages++
	return apikey.Page{Next: "more"}, m.err
}

func serveRecorder(t *testing.T, m *recorder, method, target string) *httptest.ResponseRecorder {
	issuer, err := apikey.NewIssuer(m, nil)
	require.NoError(t, err)
	r := httptest.NewRequest(method, target, nil)
	ctx := apikey.NewContext(r.Context(), apikey.Key{ID: "7", Name: "Hub", Scopes: []string{emby.ScopeManage}})
	w := httptest.NewRecorder()
	emby.Keys(issuer).ServeHTTP(w, r.WithContext(ctx))
	return w
}

func TestTheAuditTrailNamesTheCaller(t *testing.T) {
	t.Parallel()
	m := &recorder{Store: memstore.New()}
	assert.Equal(t, 200, serveRecorder(t, m, "POST", "/Auth/Keys?App=x").Code)
	assert.Equal(t, 204, serveRecorder(t, m, "DELETE", "/Auth/Keys/nobody").Code)
	assert.Equal(t, []string{"API key Hub (7)", "API key Hub (7)"}, m.actors)
}

func TestAKeyManagerThatFailsIs503(t *testing.T) {
	t.Parallel()
	failed := errors.New("connection refused by db.internal")
	key := newService(t, apikey.Options{}).good
	for _, test := range []struct {
		name, request string
		err           error
		silent        bool
		changes       int // that were tried
	}{
		{"a list", "GET /Auth/Keys", failed, false, 0},
		{"making a key", "POST /Auth/Keys?App=x", failed, false, 1},
		{"revoking by an ID", "DELETE /Auth/Keys/nobody", failed, false, 1},
		{"looking for the key to revoke", "DELETE /Auth/Keys/" + key, failed, false, 0},
		{"neither a key nor an error", "DELETE /Auth/Keys/" + key, nil, true, 0},
	} {
		t.Run(test.name, func(t *testing.T) {
			m := &recorder{Store: memstore.New(), err: test.err, silent: test.silent}
			method, target, _ := strings.Cut(test.request, " ")
			w := serveRecorder(t, m, method, target)
			assert.Equal(t, http.StatusServiceUnavailable, w.Code)
			assert.Equal(t, "1", w.Header().Get("Retry-After"))
			assert.NotContains(t, w.Body.String(), "db.internal")
			assert.Len(t, m.actors, test.changes)
		})
	}
}
