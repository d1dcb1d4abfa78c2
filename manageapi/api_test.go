package manageapi_test

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/manageapi"
	"github.com/latchkey-dev/apikey/memstore"
)

func TestNewRefusesNil(t *testing.T) {
	t.Parallel()
	for _, desk := range []*manage.Desk{nil, {}} {
		_, err := manageapi.New(desk, manageapi.Options{})
		require.ErrorIs(t, err, apikey.ErrInvalid)
		require.EqualError(t, err, "manageapi: invalid Desk: nil; want one made by manage.New")
	}
}

func TestDefaultAuthorize(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.handler = mounted(t, s.issuer, s.store, manageapi.Options{})
	secret, key, err := s.issuer.Issue(t.Context(), apikey.NewKey{Name: "No owner", Scopes: []string{manage.ScopeManage}})
	require.NoError(t, err)
	s.names["ownerless"], s.names["ownerless secret"] = key.ID, secret.Reveal()
	secret, key, err = s.issuer.Issue(t.Context(), apikey.NewKey{Name: "Administrator", Scopes: []string{manage.ScopeAdminister}})
	require.NoError(t, err)
	s.names["administrator"], s.names["administrator secret"] = key.ID, secret.Reveal()
	for _, test := range []struct {
		name, as string
		status   int
	}{
		{"a key with the scope manages the keys of its owner", "alice", 200},
		{"a key without the scope is refused", "reader", 403},
		{"a key without an owner is refused, not given everything", "ownerless", 403},
		{"an administrator's key manages every key", "administrator", 200},
		{"a request without a key is refused", "", 401},
	} {
		require.Equal(t, test.status, s.do(test.as, "GET /keys", "").Code, test.name)
	}
	require.Equal(t, 200, s.do("administrator", "GET /keys/{bob}", "").Code, "the key of any owner")
	require.Equal(t, 404, s.do("alice", "GET /keys/{bob}", "").Code, "the key of another owner")
}

func TestErrorsOfAuthorize(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name   string
		access manage.Access
		err    error
		status int
		level  string // of the log; "" if there is none
	}{
		{"no identity", manage.Access{}, fmt.Errorf("no session: %w", apikey.ErrMissing), 401, "DEBUG"},
		{"a refusal", manage.Access{}, errors.New("not an operator"), 403, "DEBUG"},
		{"an outage", manage.Access{}, fmt.Errorf("%w: no directory", apikey.ErrUnavailable), 503, "ERROR"},
		{"an empty Access is not everything", manage.Access{}, nil, 403, ""},
		{"an Access without an owner", manage.Access{Actor: "x"}, nil, 403, "ERROR"},
		{"an Access with a contradiction", manage.Access{Actor: "x", Owner: "alice", AllOwners: true}, nil, 403, "ERROR"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			var log bytes.Buffer
			s.handler = mounted(t, s.issuer, s.store, manageapi.Options{
				Authorize: func(*http.Request) (manage.Access, error) { return test.access, test.err },
				Logger:    slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
			})
			w := s.do("", "GET /keys", "")
			assert.Equal(t, test.status, w.Code)
			level := ""
			for line := range strings.Lines(log.String()) {
				if strings.Contains(line, "manageapi: ") { // not a line of the Middleware
					level = regexp.MustCompile(`level=(\w+)`).FindStringSubmatch(line)[1]
				}
			}
			assert.Equal(t, test.level, level, log.String())
			if test.err != nil {
				assert.NotContains(t, w.Body.String(), test.err.Error())
			}
		})
	}
}

// A log that blames the key store for another outage misleads the operator.
func TestLogNamesWhatFailed(t *testing.T) {
	t.Parallel()
	down := fmt.Errorf("%w: connection refused", apikey.ErrUnavailable)
	limiter, err := limit.New(failing{}, limit.Options{})
	require.NoError(t, err)
	for failed, o := range map[string]manageapi.Options{
		"Authorize": {Authorize: func(*http.Request) (manage.Access, error) { return manage.Access{}, down }},
		"Limiter":   {Authorize: authorize, Limiter: limiter},
	} {
		t.Run(failed, func(t *testing.T) {
			var log bytes.Buffer
			o.Logger = slog.New(slog.NewTextHandler(&log, nil))
			s := newService(t)
			s.handler = mounted(t, s.issuer, s.store, o)
			w := s.do("alice", "GET /keys/{backup}/use", "")
			if o.Limiter == nil {
				w = s.do("alice", "GET /keys/{backup}", "")
			}
			require.Equal(t, 503, w.Code)
			require.NotContains(t, decode(t, w)["detail"], "keys")
			require.Contains(t, log.String(), "manageapi: "+failed+" failed")
			require.NotContains(t, log.String(), "key store failed")
		})
	}
}

// A failingStore fails with err if err is not nil.
type failingStore struct {
	*memstore.Store
	err error
}

func (s *failingStore) Get(ctx context.Context, id string) (apikey.Key, error) {
	if s.err != nil {
		return apikey.Key{}, s.err
	}
	return s.Store.Get(ctx, id)
}

func (s *failingStore) List(ctx context.Context, o apikey.ListOptions) (apikey.Page, error) {
	if s.err != nil {
		return apikey.Page{}, s.err
	}
	return s.Store.List(ctx, o)
}

// If returns a view whose changes fail too.
func (s *failingStore) If(c apikey.Condition) apikey.KeyManager {
	return &failingView{failingStore: s, view: s.Store.If(c)}
}

type failingView struct {
	*failingStore
	view apikey.KeyManager
}

func (v *failingView) Revoke(ctx context.Context, id string) (apikey.Key, error) {
	if v.err != nil {
		return apikey.Key{}, v.err
	}
	return v.view.Revoke(ctx, id)
}

func (v *failingView) Update(ctx context.Context, id string, p apikey.Patch) (apikey.Key, error) {
	if v.err != nil {
		return apikey.Key{}, v.err
	}
	return v.view.Update(ctx, id, p)
}

func (v *failingView) Replace(ctx context.Context, id string, expiresAt time.Time, d apikey.Digest, successor apikey.Key) (apikey.Key, error) {
	if v.err != nil {
		return apikey.Key{}, v.err
	}
	return v.view.Replace(ctx, id, expiresAt, d, successor)
}

func TestOutages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name string
		err  error
		code string
	}{
		{"an outage", fmt.Errorf("%w: connection refused", apikey.ErrUnavailable), "unavailable"},
		{"an error that no package defines", errors.New("disk I/O error"), "unavailable"},
		{"a change that may have happened", fmt.Errorf("%w: connection lost", apikey.ErrUncertain), "uncertain"},
	} {
		t.Run(test.name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) { // because the Issuer asks again for 5 seconds
				s := newService(t)
				store := &failingStore{s.store, test.err}
				issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
				require.NoError(t, err)
				var log bytes.Buffer
				s.handler = mounted(t, issuer, s.store, manageapi.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
				for _, endpoint := range []string{"GET /keys", "GET /keys/{backup}", "DELETE /keys/{backup}", "POST /keys/{backup}/rotate"} {
					log.Reset()
					w := s.do("alice", endpoint, "")
					require.Equal(t, 503, w.Code, endpoint)
					require.Equal(t, "1", w.Header().Get("Retry-After"), endpoint)
					require.Equal(t, test.code, decode(t, w)["code"], endpoint)
					require.NotContains(t, w.Body.String(), test.err.Error(), endpoint)
					require.Contains(t, log.String(), test.err.Error(), endpoint)
				}
			})
		})
	}
}

func TestClientThatHasGoneIsNotLogged(t *testing.T) {
	t.Parallel()
	s := newService(t)
	issuer, err := apikey.NewIssuer(&failingStore{s.store, context.Canceled}, apikey.IssuerOptions{})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	var log bytes.Buffer
	api, err := manageapi.New(desk, manageapi.Options{Logger: slog.New(slog.NewTextHandler(&log, nil))})
	require.NoError(t, err)
	ctx, cancel := context.WithCancel(apikey.NewContext(t.Context(), apikey.Key{ID: "a", Name: "a", Owner: "alice", Scopes: []string{manage.ScopeManage}}))
	cancel()
	w := httptest.NewRecorder()
	api.ServeHTTP(w, httptest.NewRequest("GET", "/keys", nil).WithContext(ctx))
	require.Equal(t, 503, w.Code)
	require.Empty(t, log.String())
}

func TestDescriptionListsEveryEndpoint(t *testing.T) {
	t.Parallel()
	s := newService(t)
	file, err := os.ReadFile("openapi.json")
	require.NoError(t, err)
	w := s.do("", "GET /openapi.json", "")
	require.Equal(t, 200, w.Code)
	require.Equal(t, string(file), w.Body.String(), "the document is public and served as it is")
	var document struct {
		Paths map[string]map[string]any
	}
	require.NoError(t, json.Unmarshal(file, &document))
	for path, operations := range document.Paths {
		w := s.do("", "TRACE "+strings.Replace(path, "{id}", "x", 1), "")
		require.Equal(t, 405, w.Code, path)
		for method := range operations {
			if method != "parameters" {
				assert.Contains(t, w.Header().Get("Allow"), strings.ToUpper(method), path)
			}
		}
	}
	for endpoint := range strings.FieldsFuncSeq(packageDoc(t), func(r rune) bool { return r == '\n' }) {
		method, rest, ok := strings.Cut(strings.TrimLeft(endpoint, "/\t "), " ")
		if path := strings.TrimLeft(rest, " "); ok && strings.HasPrefix(endpoint, "//\t") {
			path, _, _ = strings.Cut(path, " ")
			assert.Contains(t, document.Paths[path], strings.ToLower(method), path)
		}
	}
}

func packageDoc(t *testing.T) string {
	text, err := os.ReadFile("doc.go")
	require.NoError(t, err)
	return string(text)
}

func TestSecretsAreOnlyInNewKeys(t *testing.T) {
	t.Parallel()
	s := newService(t)
	created := decode(t, s.do("admin", "POST /keys", `{"name":"Exports","owner":"alice"}`))
	s.names["created"] = created["key"].(map[string]any)["id"].(string)
	secret := created["secret"].(string)
	for _, endpoint := range []string{"GET /keys", "GET /keys/{created}", "GET /keys/{created}/history", "GET /history", "GET /whoami",
		"POST /keys/{created}/suspend", "POST /keys/{created}/resume", "POST /keys/{created}/revoke", "GET /openapi.json"} {
		require.NotContains(t, s.do("admin", endpoint, "").Body.String(), secret, endpoint)
	}
	w := s.do("admin", "POST /identify", `{"secret":"`+secret+`"}`)
	require.Equal(t, s.names["created"], decode(t, w)["id"])
	require.NotContains(t, w.Body.String(), secret)
}
