package clienttest

import (
	"bytes"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"net/url"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"
	"pgregory.net/rapid"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/manageapi"
)

// accesses are the callers of the property test. They do not depend on keys, which the test changes.
var accesses = map[string]manage.Access{
	"admin":   {Actor: "admin", AllOwners: true, AnyScope: true, MayResume: true},
	"auditor": {Actor: "auditor", AllOwners: true, ReadOnly: true},
	"alice":   {Actor: "alice", Owner: "alice", Scopes: []string{"read", "write"}, MaxKeys: 20, MaxLifetime: 100 * 24 * time.Hour},
	"bob":     {Actor: "bob", Owner: "bob", Scopes: []string{"read"}},
}

// TestEveryRequestKeepsTheInvariants sends sequences of requests that are generated from the OpenAPI
// document: valid, almost valid and garbage, with the IDs, versions, cursors and secrets of earlier
// responses. No response may be a 5xx or differ from the document. Only the response that creates a key may
// contain a secret. An owner must not learn of the keys of another owner.
func TestEveryRequestKeepsTheInvariants(t *testing.T) {
	t.Parallel()
	d, document := newDescription(t), newDocument(t)
	for name, newStore := range stores {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			statuses := map[string]bool{}
			rapid.Check(t, func(rt *rapid.T) {
				w := newWorld(t, rt, newStore(t), d, document)
				w.statuses = statuses
				actions := map[string]func(*rapid.T){}
				for _, operation := range document.operations() {
					actions[operation.id] = func(rt *rapid.T) { w.send(rt, operation) }
				}
				rt.Repeat(actions)
			})
			for _, want := range []string{"createKey 201", "updateKey 200", "updateKey 412", "rotateKey 201", "revokeAll 200", "identifyKey 200", "listKeys 200", "getKeyHistory 404", "getKeyUse 200", "getKeyUse 404"} {
				require.True(t, statuses[want], "the sequences never reached %s, so the test shows little", want)
			}
		})
	}
}

// A world is a handler and the values that its responses have contained.
type world struct {
	handler     http.Handler
	store       apikey.KeyManager
	description description
	document    *document
	statuses    map[string]bool // operations with the statuses of their responses

	ids, secrets, tags, cursors []string
}

func newWorld(t *testing.T, rt *rapid.T, store apikey.KeyManager, d description, document *document) *world {
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(rt, err)
	desk, err := manage.New(issuer)
	require.NoError(rt, err)
	handler, err := manageapi.New(desk, manageapi.Options{Limiter: newLimiter(t), Logger: slog.New(slog.DiscardHandler), Authorize: func(r *http.Request) (manage.Access, error) {
		access, ok := accesses[r.Header.Get("X-Caller")]
		if !ok {
			return manage.Access{}, apikey.ErrMissing
		}
		return access, nil
	}})
	require.NoError(rt, err)
	w := &world{handler: handler, store: store, description: d, document: document, ids: []string{"unknown"}, tags: []string{"*"}, cursors: []string{"x"}, secrets: []string{"ak_unknown"}}
	for _, owner := range []string{"alice", "bob", ""} {
		secret, key, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Job of " + owner, Owner: owner, Scopes: []string{"read"}, Metadata: map[string]string{"of": owner}})
		require.NoError(rt, err)
		w.ids, w.secrets = append(w.ids, key.ID), append(w.secrets, secret.Reveal())
	}
	return w
}

var shapeOfSecret = regexp.MustCompile(`ak_[0-9A-Za-z]{36}`)

// send sends a request of an operation and checks the invariants.
func (w *world) send(rt *rapid.T, o operation) {
	caller := rapid.SampledFrom([]string{"admin", "admin", "alice", "alice", "bob", "auditor", ""}).Draw(rt, "caller")
	q := w.draw(rt, o)
	foreign := w.isForeign(rt, caller, q.id)
	response := w.do(rt, caller, q)
	body := response.Body.String()
	text := fmt.Sprintf("%s: %s %s?%s %v %s\n%d %v %s", caller, q.method, q.path(), q.query, q.header, q.body, response.Code, response.Header(), body)
	w.statuses[fmt.Sprint(o.id, " ", response.Code)] = true

	require.Less(rt, response.Code, 500, text)
	require.Empty(rt, w.description.problemsOf(q.method, strings.Replace(q.template, "{id}", "x", 1), response.Code, response.Header(), response.Body.Bytes()), text)
	v := object(response)
	if response.Code == http.StatusCreated {
		secret := v["secret"].(string)
		body = strings.Replace(body, secret, "", 1)
		w.secrets = append(w.secrets, secret)
	}
	require.False(rt, shapeOfSecret.MatchString(body), "the response contains a secret\n%s", text)
	for _, key := range keysOf(v) {
		if owner := accesses[caller].Owner; owner != "" {
			require.Equal(rt, owner, key["owner"], "the key of another owner\n%s", text)
		}
		w.ids, w.tags = learn(w.ids, key["id"]), learn(w.tags, key["version"])
	}
	w.cursors = learn(w.cursors, v["next"])
	if foreign {
		require.GreaterOrEqual(rt, response.Code, 400, "an owner uses the key of another one\n%s", text)
		q.id = "Unknown000000000"
		unknown := w.do(rt, caller, q)
		require.Equal(rt, unknown.Code, response.Code, text)
		require.Equal(rt, unknown.Header(), response.Header(), text)
		require.Equal(rt, unknown.Body.String(), response.Body.String(), text)
	}
}

// isForeign reports whether an ID is that of a key that the caller may not see.
func (w *world) isForeign(rt *rapid.T, caller, id string) bool {
	access, known := accesses[caller]
	if !known || access.AllOwners {
		return false
	}
	key, err := w.store.Get(rt.Context(), id)
	if errors.Is(err, apikey.ErrNotFound) {
		return false
	}
	require.NoError(rt, err)
	return key.Owner != access.Owner
}

// A query is a request without its caller.
type query struct {
	method, template, id, query string
	header                      http.Header
	body                        []byte
}

func (q query) path() string { return strings.Replace(q.template, "{id}", url.PathEscape(q.id), 1) }

func (w *world) do(rt *rapid.T, caller string, q query) *httptest.ResponseRecorder {
	r := httptest.NewRequest(q.method, "/", bytes.NewReader(q.body)).WithContext(rt.Context())
	r.URL = &url.URL{Path: strings.Replace(q.template, "{id}", q.id, 1), RawQuery: q.query}
	r.Header = q.header.Clone()
	if caller != "" {
		r.Header.Set("X-Caller", caller)
	}
	response := httptest.NewRecorder()
	w.handler.ServeHTTP(response, r)
	return response
}
