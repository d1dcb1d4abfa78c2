package remote_test

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/remote"
	"github.com/latchkey-dev/apikey/manage"
)

var key = apikey.NewSecret("ak_key")

// on returns a Session on a server that answers with a handler.
func on(t *testing.T, h http.HandlerFunc) *remote.Session {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	s, err := remote.New(server.URL+"/manage", key, false)
	require.NoError(t, err)
	return s
}

// answering returns a Session on a server that answers every request with one response.
func answering(t *testing.T, status int, body string) *remote.Session {
	return on(t, func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		io.WriteString(w, body)
	})
}

func TestURLsThatWouldShowTheKeyAreRefused(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		url       string
		allowHTTP bool
		problem   string
	}{
		{"https://example.com", false, ""},
		{"https://example.com/manage/", false, ""},
		{"http://localhost:8080", false, ""},
		{"http://api.localhost", false, ""},
		{"http://127.0.0.1:8080", false, ""},
		{"http://[::1]:8080", false, ""},
		{"http://example.com", true, ""},
		{"http://example.com", false, "without encryption"},
		{"http://localhost.example.com", false, "without encryption"},
		{"http://127.0.0.1.example.com", false, "without encryption"},
		{"http://192.168.0.1", false, "without encryption"},
		{"https://user:hunter2@example.com", false, "contains a password"},
		{"https://user@example.com", false, "contains a password"},
		{"https://example.com?key=hunter2", false, "want a URL"},
		{"https://example.com#x", false, "want a URL"},
		{"ftp://example.com", true, "want a URL"},
		{"example.com", false, "want a URL"},
		{"", false, "want a URL"},
		{"https://hunter2\x7f@", false, "malformed"},
	} {
		t.Run(test.url, func(t *testing.T) {
			t.Parallel()
			_, err := remote.New(test.url, key, test.allowHTTP)
			if test.problem == "" {
				require.NoError(t, err)
				return
			}
			require.ErrorContains(t, err, test.problem)
			assert.NotContains(t, err.Error(), "hunter2")
		})
	}
	_, err := remote.New("https://example.com", apikey.NewSecret("two\nlines"), false)
	require.Error(t, err)
	assert.NotContains(t, err.Error(), "lines")
}

func TestRedirectDoesNotGetTheKey(t *testing.T) {
	t.Parallel()
	var reached atomic.Bool
	other := httptest.NewServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) { reached.Store(true) }))
	t.Cleanup(other.Close)
	for _, status := range []int{301, 302, 303, 307, 308} {
		s := on(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, other.URL, status) })
		_, err := s.Get(t.Context(), "id")
		assert.ErrorContains(t, err, "redirects")
		_, _, err = s.Issue(t.Context(), apikey.NewKey{Name: "n"}, "r")
		assert.ErrorContains(t, err, "redirects")
	}
	assert.False(t, reached.Load())
}

// wantOfCode lists the error of each code of the API.
var wantOfCode = map[string]error{
	"malformed": apikey.ErrInvalid, "unauthenticated": remote.ErrUnauthorized, "forbidden": remote.ErrUnauthorized,
	"cross_origin": remote.ErrUnauthorized, "refused": manage.ErrRefused, "no_endpoint": nil, "not_found": apikey.ErrNotFound,
	"method_not_allowed": nil, "changed": manage.ErrChanged, "exists": apikey.ErrExists, "replaced": apikey.ErrReplaced,
	"revoked": apikey.ErrRevoked, "suspended": apikey.ErrSuspended, "expired": apikey.ErrExpired, "too_large": nil,
	"unsupported_media_type": nil, "invalid": apikey.ErrInvalid, "idempotency_key_reused": apikey.ErrExists,
	"uncertain": apikey.ErrUncertain, "unavailable": apikey.ErrUnavailable,
}

func TestCodesAreTheErrorsOfASession(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../manageapi/openapi.json")
	require.NoError(t, err)
	var description struct {
		Components struct {
			Schemas struct {
				Problem struct {
					Properties struct{ Code struct{ Enum []string } }
				}
			}
		}
	}
	require.NoError(t, json.Unmarshal(text, &description))
	codes := description.Components.Schemas.Problem.Properties.Code.Enum
	require.NotEmpty(t, codes)
	for _, code := range codes {
		want, known := wantOfCode[code]
		require.True(t, known, "wantOfCode has no error for the code %s", code)
		s := answering(t, 499, fmt.Sprintf(`{"detail":"Because.","code":%q,"field":"name","rule":"scopes","successor":"abc"}`, code))
		_, err := s.Revoke(t.Context(), "id")
		if want == nil {
			assert.ErrorContains(t, err, "499", code)
		} else {
			assert.ErrorIs(t, err, want, code)
		}
	}
	_, err = answering(t, 403, `{"code":"refused","detail":"You may not.","rule":"owner","field":"owner"}`).Get(t.Context(), "id")
	assert.Equal(t, &manage.RefusedError{Rule: manage.RuleOwner, Field: "owner", Problem: "You may not."}, err)
	_, err = answering(t, 409, `{"code":"replaced","successor":"abc"}`).Get(t.Context(), "id")
	assert.Equal(t, &apikey.ReplacedError{Successor: "abc"}, err)
}

func TestResponsesWithoutACodeGetTheErrorOfTheirStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		status        int
		read, changed error // of a read and of a change; nil is another error
	}{
		{401, remote.ErrUnauthorized, remote.ErrUnauthorized},
		{403, remote.ErrUnauthorized, remote.ErrUnauthorized},
		{404, nil, nil},
		{418, nil, nil},
		{429, apikey.ErrUnavailable, apikey.ErrUnavailable},
		{500, apikey.ErrUnavailable, apikey.ErrUncertain},
		{502, apikey.ErrUnavailable, apikey.ErrUncertain},
		{503, apikey.ErrUnavailable, apikey.ErrUncertain}, // Envoy's answer when the connection to the server was lost
		{504, apikey.ErrUnavailable, apikey.ErrUncertain},
		{200, apikey.ErrUnavailable, apikey.ErrUncertain}, // not JSON
	} {
		s := answering(t, test.status, "<html>")
		check := func(err, want error) {
			require.Error(t, err, test.status)
			if want != nil {
				assert.ErrorIs(t, err, want, test.status)
				return
			}
			assert.NotErrorIs(t, err, apikey.ErrUncertain, test.status)
			assert.NotErrorIs(t, err, apikey.ErrUnavailable, test.status)
			assert.NotErrorIs(t, err, apikey.ErrNotFound, test.status)
		}
		_, err := s.Get(t.Context(), "id")
		check(err, test.read)
		_, err = s.Identify(t.Context(), key)
		check(err, test.read)
		_, err = s.Revoke(t.Context(), "id")
		check(err, test.changed)
	}
}

func TestUnreachableServerMeansThatNothingChanged(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	s, err := remote.New(server.URL, key, false)
	require.NoError(t, err)
	server.Close()
	_, err = s.Revoke(t.Context(), "id")
	assert.ErrorIs(t, err, apikey.ErrUnavailable)
	assert.NotErrorIs(t, err, apikey.ErrUncertain)
}

func TestLostResponseOfAChangeIsUncertain(t *testing.T) {
	t.Parallel()
	s := on(t, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	_, err := s.Get(t.Context(), "id")
	assert.ErrorIs(t, err, apikey.ErrUnavailable)
	_, err = s.RevokeAll(t.Context(), "ops")
	assert.ErrorIs(t, err, apikey.ErrUncertain)
}

func TestTooLargeResponseIsRefused(t *testing.T) {
	t.Parallel()
	s := on(t, func(w http.ResponseWriter, _ *http.Request) {
		for block := []byte(strings.Repeat(" ", 1<<20)); ; {
			if _, err := w.Write(block); err != nil {
				return
			}
		}
	})
	_, err := s.Get(t.Context(), "id")
	assert.ErrorContains(t, err, "more than")
}

// A server could otherwise choose the path of a later request with an ID that it returns.
func TestInvalidIDsAreRefused(t *testing.T) {
	t.Parallel()
	s := on(t, func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path != "/manage/keys" {
			t.Errorf("request to %s", r.URL.Path)
		}
		io.WriteString(w, `{"keys":[{"id":"../revoke-all"}]}`)
	})
	_, err := s.List(t.Context(), apikey.ListOptions{})
	assert.ErrorContains(t, err, "valid ID")
	for _, id := range []string{"", "../keys", "a/b", "a?b"} {
		_, err := s.Get(t.Context(), id)
		assert.ErrorIs(t, err, apikey.ErrNotFound)
		_, err = s.Revoke(t.Context(), id)
		assert.ErrorIs(t, err, apikey.ErrNotFound)
		_, err = s.Update(t.Context(), id, "", apikey.Patch{})
		assert.ErrorIs(t, err, apikey.ErrNotFound)
		_, _, err = s.Rotate(t.Context(), id, 0, "")
		assert.ErrorIs(t, err, apikey.ErrNotFound)
		if id != "" { // which means all keys
			_, err = s.History(t.Context(), apikey.AuditOptions{KeyID: id})
			assert.ErrorIs(t, err, apikey.ErrNotFound)
		}
	}
}

const stored = `{"id":"id","version":"newer","name":"n","created_at":"2026-01-01T00:00:00Z","metadata":{"a":"1","b":"2"},"other":1}`

// A key of a newer server has more fields, so this program computes another version.
func TestUpdateSendsTheVersionOfTheServer(t *testing.T) {
	t.Parallel()
	var match []string
	s := on(t, func(w http.ResponseWriter, r *http.Request) {
		match = append(match, r.Header.Get("If-Match"))
		io.WriteString(w, stored)
	})
	k, err := s.Get(t.Context(), "id")
	require.NoError(t, err)
	_, err = s.Update(t.Context(), "id", manage.Version(k), apikey.Patch{Name: new("m")})
	require.NoError(t, err)
	_, err = s.Update(t.Context(), "id", "unknown", apikey.Patch{Name: new("m")})
	require.NoError(t, err)
	assert.Equal(t, []string{"", `"newer"`, `"unknown"`}, match)
}

func TestUpdateReplacesMetadata(t *testing.T) {
	t.Parallel()
	var body string
	s := on(t, func(w http.ResponseWriter, r *http.Request) {
		if r.Method == http.MethodPatch {
			text, _ := io.ReadAll(r.Body)
			body = string(text)
			assert.Equal(t, `"newer"`, r.Header.Get("If-Match"))
		}
		io.WriteString(w, stored)
	})
	_, err := s.Update(t.Context(), "id", "", apikey.Patch{Metadata: &map[string]string{"b": "3"}, ExpiresAt: new(time.Time), Scopes: new([]string)})
	require.NoError(t, err)
	assert.JSONEq(t, `{"metadata":{"a":null,"b":"3"},"expires_at":null,"scopes":null}`, body)
	_, err = s.Update(t.Context(), "id", "old", apikey.Patch{Metadata: &map[string]string{}})
	assert.ErrorIs(t, err, manage.ErrChanged)
}

func TestRequestIDsAreSent(t *testing.T) {
	t.Parallel()
	var ids []string
	s := on(t, func(w http.ResponseWriter, r *http.Request) {
		assert.Equal(t, key.Reveal(), r.Header.Get("X-API-Key"))
		ids = append(ids, r.Header.Get("Idempotency-Key"))
		io.WriteString(w, `{"key":`+stored+`,"secret":"s"}`)
	})
	secret, _, err := s.Issue(t.Context(), apikey.NewKey{Name: "n"}, "first")
	require.NoError(t, err)
	assert.Equal(t, "s", secret.Reveal())
	_, _, err = s.Rotate(t.Context(), "id", time.Hour, "second")
	require.NoError(t, err)
	assert.True(t, slices.Equal([]string{"first", "second"}, ids), ids)
}
