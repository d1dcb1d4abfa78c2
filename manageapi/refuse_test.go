package manageapi_test

import (
	"net/http"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

func TestRefusals(t *testing.T) {
	t.Parallel()
	const patch = "Content-Type: application/merge-patch+json"
	for _, test := range []struct {
		name         string
		as, endpoint string
		body         string
		lines        []string
		status       int
		code, field  string
	}{
		{"no key", "", "GET /keys", "", nil, 401, "unauthenticated", ""},
		{"a key without the scope", "reader", "GET /keys", "", nil, 403, "forbidden", ""},
		{"an unknown endpoint", "alice", "GET /key", "", nil, 404, "no_endpoint", ""},
		{"an unknown action", "alice", "POST /keys/{backup}/delete", "", nil, 404, "no_endpoint", ""},
		{"a path with a trailing slash is not redirected", "alice", "GET /whoami/", "", nil, 404, "no_endpoint", ""},
		{"a path with two slashes is not the history of all keys", "admin", "GET /keys//history", "", nil, 404, "not_found", ""},
		{"an encoded slash is not a path to an action", "alice", "POST /keys/{backup}%2Frevoke", "", nil, 404, "not_found", ""},
		{"an unknown key", "alice", "GET /keys/unknown", "", nil, 404, "not_found", ""},
		{"a text that cannot be an ID", "alice", "GET /keys/%00", "", nil, 404, "not_found", ""},
		{"a method that the endpoint lacks", "alice", "PUT /keys/{backup}", "{}", nil, 405, "method_not_allowed", ""},
		{"a page of another site", "alice", "POST /keys", `{"name":"x"}`, []string{"Sec-Fetch-Site: cross-site"}, 403, "cross_origin", ""},
		{"a page of another origin", "alice", "DELETE /keys/{backup}", "", []string{"Origin: https://evil.example"}, 403, "cross_origin", ""},

		{"an unknown parameter", "alice", "GET /keys?ownr=alice", "", nil, 400, "malformed", "ownr"},
		{"a parameter of a new key", "alice", "POST /keys?owner=bob", `{"name":"x"}`, nil, 400, "malformed", "owner"},
		{"a parameter of a change", "alice", "PATCH /keys/{backup}?name=x", `{}`, []string{patch}, 400, "malformed", "name"},
		{"the grace of a rotation as a parameter is not a grace of 0", "alice", "POST /keys/{backup}/rotate?grace=3600", "", nil, 400, "malformed", "grace"},
		{"a parameter of a deletion", "alice", "DELETE /keys/{backup}?dry_run=1", "", nil, 400, "malformed", "dry_run"},
		{"a parameter of revoke-all", "admin", "POST /revoke-all?status=expired", `{"owner":"bob"}`, nil, 400, "malformed", "status"},
		{"a repeated parameter", "alice", "GET /keys?owner=alice&owner=bob", "", nil, 400, "malformed", "owner"},
		{"an empty parameter does not select everything", "admin", "GET /keys?owner=", "", nil, 400, "malformed", "owner"},
		{"a query with a semicolon", "alice", "GET /keys?limit=1;limit=2", "", nil, 400, "malformed", ""},
		{"a limit that is not a number", "alice", "GET /keys?limit=many", "", nil, 422, "invalid", "limit"},
		{"a limit of 0", "alice", "GET /keys?limit=0", "", nil, 422, "invalid", "limit"},
		{"a limit over 500", "alice", "GET /keys?limit=501", "", nil, 422, "invalid", "limit"},
		{"an unknown status", "alice", "GET /keys?status=living", "", nil, 422, "invalid", "status"},
		{"an unknown order", "alice", "GET /keys?sort=oldest", "", nil, 422, "invalid", "sort"},
		{"a time that is a date", "alice", "GET /keys?expires_before=2026-01-31", "", nil, 422, "invalid", "expires_before"},
		{"the zero time does not select everything", "alice", "GET /keys?unused_since=0001-01-01T00:00:00Z", "", nil, 422, "invalid", "unused_since"},
		{"a cursor that no page returned", "alice", "GET /keys?cursor=x", "", nil, 422, "invalid", "cursor"},
		{"a cursor of the history that no page returned", "alice", "GET /keys/{backup}/history?cursor=x", "", nil, 422, "invalid", "cursor"},
		{"an unknown parameter of a key", "alice", "GET /keys/{backup}?fields=name", "", nil, 400, "malformed", "fields"},
		{"an unknown parameter of whoami", "alice", "GET /whoami?owner=bob", "", nil, 400, "malformed", "owner"},
		{"an unknown parameter of the use", "alice", "GET /keys/{backup}/use?key=x", "", nil, 400, "malformed", "key"},
		{"an unknown parameter of the history", "admin", "GET /history?key=x", "", nil, 400, "malformed", "key"},

		{"a body that is not JSON", "alice", "POST /keys", `{"name":}`, nil, 400, "malformed", ""},
		{"an empty body", "alice", "POST /keys", "", []string{"Content-Type: application/json"}, 400, "malformed", ""},
		{"a second object after the body", "alice", "POST /keys", `{"name":"x"}{}`, nil, 400, "malformed", ""},
		{"a body that is an array", "alice", "POST /keys", `[]`, nil, 400, "malformed", ""},
		{"a body that is null", "alice", "PATCH /keys/{backup}", `null`, []string{patch}, 400, "malformed", ""},
		{"invalid UTF-8", "alice", "POST /keys", "{\"name\":\"\xff\"}", nil, 400, "malformed", ""},
		{"half of an escaped pair", "alice", "POST /keys", `{"name":"\ud83d"}`, nil, 400, "malformed", ""},
		{"the other half of an escaped pair", "alice", "POST /keys", `{"name":"\uDD11 x"}`, nil, 400, "malformed", ""},
		{"an escaped pair in the wrong order", "alice", "POST /keys", `{"name":"\uDD11\ud83d"}`, nil, 400, "malformed", ""},
		{"half of an escaped pair before an escaped letter", "alice", "POST /keys", `{"name":"x","metadata":{"\ud83d\u0041":"1"}}`, nil, 400, "malformed", ""},
		{"an unknown member", "alice", "POST /keys", `{"name":"x","lifetime":1}`, nil, 400, "malformed", "lifetime"},
		{"a member in another case", "alice", "POST /keys", `{"Name":"x"}`, nil, 400, "malformed", "Name"},
		{"a member that cannot be set", "alice", "PATCH /keys/{backup}", `{"hint":"x"}`, []string{patch}, 400, "malformed", "hint"},
		{"a repeated member", "alice", "POST /keys", `{"name":"x","name":"y"}`, nil, 400, "malformed", "name"},
		{"a repeated name in metadata", "alice", "POST /keys", `{"name":"x","metadata":{"a":"1","a":"2"}}`, nil, 400, "malformed", "metadata.a"},
		{"a long unknown member is shortened", "alice", "POST /keys", `{"` + strings.Repeat("x", 100) + `":1}`, nil, 400, "malformed", strings.Repeat("x", 40) + "…"},
		{"a name that is a number", "alice", "POST /keys", `{"name":1}`, nil, 400, "malformed", "name"},
		{"scopes that are a string", "alice", "POST /keys", `{"name":"x","scopes":"read"}`, nil, 400, "malformed", "scopes"},
		{"metadata that is an array", "alice", "POST /keys", `{"name":"x","metadata":[]}`, nil, 400, "malformed", "metadata"},
		{"metadata with a number", "alice", "POST /keys", `{"name":"x","metadata":{"a":1}}`, nil, 400, "malformed", "metadata.a"},
		{"a body over 64 KiB", "alice", "POST /keys", `{"name":"` + strings.Repeat("x", 64<<10) + `"}`, nil, 413, "too_large", ""},
		{"a form", "alice", "POST /keys", "name=x", []string{"Content-Type: application/x-www-form-urlencoded"}, 415, "unsupported_media_type", ""},
		{"a body without a type", "alice", "POST /revoke-all", `{"owner":"alice"}`, []string{"Content-Type: "}, 415, "unsupported_media_type", ""},
		{"a merge patch elsewhere", "alice", "POST /keys", `{"name":"x"}`, []string{patch}, 415, "unsupported_media_type", ""},
		{"an action with members", "alice", "POST /keys/{backup}/suspend", `{"until":"tomorrow"}`, nil, 400, "malformed", "until"},

		{"a key without a name", "alice", "POST /keys", `{}`, nil, 422, "invalid", "name"},
		{"a name of spaces", "alice", "POST /keys", `{"name":"  "}`, nil, 422, "invalid", "name"},
		{"a patch that removes the name", "alice", "PATCH /keys/{backup}", `{"name":null}`, []string{patch}, 422, "invalid", "name"},
		{"a scope with a space", "admin", "POST /keys", `{"name":"x","scopes":["a b"]}`, nil, 422, "invalid", "scopes"},
		{"a limit without a time", "admin", "POST /keys", `{"name":"x","limits":[{"name":"a","requests":1}]}`, nil, 422, "invalid", "limits"},
		{"a limit over a century", "admin", "POST /keys", `{"name":"x","limits":[{"name":"a","requests":1,"per":1e300}]}`, nil, 422, "invalid", "limits.0.per"},
		{"a limit of half a request", "admin", "POST /keys", `{"name":"x","limits":[{"name":"a","requests":0.5,"per":1}]}`, nil, 400, "malformed", "limits.0.requests"},
		{"a limit that is a text", "admin", "POST /keys", `{"name":"x","limits":["a=1/1s"]}`, nil, 400, "malformed", "limits.0"},
		{"a limit with an unknown member", "admin", "POST /keys", `{"name":"x","limits":[{"nam":"a"}]}`, nil, 400, "malformed", "limits.0.nam"},
		{"a network that is a name", "alice", "POST /keys", `{"name":"x","networks":["home"]}`, nil, 422, "invalid", "networks"},
		{"a network with host bits set", "alice", "PATCH /keys/{backup}", `{"networks":["192.0.2.1/24"]}`, nil, 422, "invalid", "networks"},
		{"an expiry in the past", "alice", "POST /keys", `{"name":"x","expires_at":"2020-01-01T00:00:00Z"}`, nil, 422, "invalid", "expires_at"},
		{"an expiry without a zone", "alice", "POST /keys", `{"name":"x","expires_at":"2099-01-01T00:00:00"}`, nil, 422, "invalid", "expires_at"},
		{"the zero time does not mean never", "alice", "PATCH /keys/{backup}", `{"expires_at":"0001-01-01T00:00:00Z"}`, []string{patch}, 422, "invalid", "expires_at"},
		{"a negative grace", "alice", "POST /keys/{backup}/rotate", `{"grace":-1}`, nil, 422, "invalid", "grace"},
		{"a grace over a century", "alice", "POST /keys/{backup}/rotate", `{"grace":1e18}`, nil, 422, "invalid", "grace"},
		{"revoke-all without an owner", "admin", "POST /revoke-all", `{}`, nil, 422, "invalid", "owner"},
		{"an Idempotency-Key that is empty", "alice", "POST /keys", `{"name":"x"}`, []string{"Idempotency-Key: "}, 400, "malformed", "Idempotency-Key"},

		{"a rotation with both If-Match and Idempotency-Key", "alice", "POST /keys/{backup}/rotate", "", []string{"If-Match: *", "Idempotency-Key: a"}, 400, "malformed", "If-Match"},

		{"a scope that the caller lacks", "alice", "POST /keys", `{"name":"x","scopes":["write"]}`, nil, 403, "refused", "scopes"},
		{"a change of the limits", "alice", "PATCH /keys/{backup}", `{"limits":null}`, []string{patch}, 403, "refused", "limits"},
		{"a change of the owner", "alice", "PATCH /keys/{backup}", `{"owner":"bob"}`, []string{patch}, 403, "refused", "owner"},
		{"a scope that the caller lacks in a change", "alice", "PATCH /keys/{backup}", `{"scopes":["read","write"]}`, []string{patch}, 403, "refused", "scopes"},
		{"a resumption without MayResume", "alice", "POST /keys/{suspended}/resume", "", nil, 403, "refused", "suspended"},
		{"another owner", "alice", "POST /keys", `{"name":"x","owner":"bob"}`, nil, 403, "refused", "owner"},
		{"the rotation of a key with more scopes", "alice", "POST /keys/{writer}/rotate", "", nil, 403, "refused", "scopes"},
		{"a change by a reader", "auditor", "POST /keys/{backup}/revoke", "", nil, 403, "refused", ""},

		{"the rotation of a suspended key", "alice", "POST /keys/{suspended}/rotate", "", nil, 409, "suspended", ""},
		{"the rotation of a revoked key", "alice", "POST /keys/{revoked}/rotate", "", nil, 409, "revoked", ""},
		{"a second rotation", "alice", "POST /keys/{rotated}/rotate", "", nil, 409, "replaced", ""},
		{"a change of another version", "alice", "PATCH /keys/{backup}", `{"name":"x"}`, []string{`If-Match: "0"`}, 412, "changed", ""},
		{"an action on another version", "alice", "POST /keys/{backup}/suspend", "", []string{`If-Match: "0"`}, 412, "changed", ""},
		{"a rotation of another version", "alice", "POST /keys/{backup}/rotate", "", []string{`If-Match: "0"`}, 412, "changed", ""},
		{"a secret of no key", "alice", "POST /identify", `{"secret":"ak_unknown"}`, nil, 404, "not_found", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			s := newService(t)
			w := s.do(test.as, test.endpoint, test.body, test.lines...)
			require.Equal(t, test.status, w.Code, w.Body.String())
			assert.Equal(t, "application/problem+json", w.Header().Get("Content-Type"))
			assert.Equal(t, "no-store", w.Header().Get("Cache-Control"))
			p := decode(t, w)
			assert.Equal(t, "about:blank", p["type"])
			assert.Equal(t, http.StatusText(test.status), p["title"])
			assert.EqualValues(t, test.status, p["status"])
			assert.Equal(t, test.code, p["code"])
			if test.field == "" {
				assert.Nil(t, p["field"])
			} else {
				assert.Equal(t, test.field, p["field"])
			}
			assert.NotEmpty(t, p["detail"])
		})
	}
}

func TestRefusalHeaders(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for _, test := range []struct{ name, as, endpoint, body, field, want string }{
		{"a 405 lists the methods of the endpoint", "alice", "PUT /keys/{backup}", "{}", "Allow", "DELETE, GET, PATCH, HEAD"},
		{"a 405 of an action lists POST alone", "alice", "GET /keys/{backup}/revoke", "", "Allow", "POST"},
		{"a 415 of PATCH lists the types of a patch", "alice", "PATCH /keys/{backup}", "", "Accept-Patch", "application/merge-patch+json, application/json"},
		{"a 401 has a challenge", "", "GET /keys", "", "WWW-Authenticate", "ApiKey"},
	} {
		require.Equal(t, test.want, s.do(test.as, test.endpoint, test.body).Header().Get(test.field), test.name)
	}
}

func TestReplacedNamesSuccessor(t *testing.T) {
	t.Parallel()
	s := newService(t)
	require.Equal(t, s.names["successor"], decode(t, s.do("alice", "POST /keys/{rotated}/rotate", ""))["successor"])
}

func TestRefusedNamesRule(t *testing.T) {
	t.Parallel()
	s := newService(t)
	p := decode(t, s.do("alice", "POST /keys", `{"name":"x","scopes":["write"]}`))
	require.Equal(t, "scopes", p["rule"])
	require.Equal(t, `You cannot give the scope "write".`, p["detail"])
}

func TestForeignKeyIsAsUnknownKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ endpoint, body string }{
		{"GET /keys/{id}", ""},
		{"HEAD /keys/{id}", ""},
		{"PATCH /keys/{id}", `{"name":"x"}`},
		{"PATCH /keys/{id}", `{"metadata":{"a":"b"}}`},
		{"DELETE /keys/{id}", ""},
		{"POST /keys/{id}/revoke", ""},
		{"POST /keys/{id}/suspend", ""},
		{"POST /keys/{id}/resume", ""},
		{"POST /keys/{id}/rotate", `{"grace":60}`},
		{"GET /keys/{id}/history", ""},
		{"GET /keys/{id}/use", ""},
	} {
		for _, lines := range [][]string{nil, {`If-Match: "0"`}, {"If-Match: *"}, {"Idempotency-Key: a"}} {
			t.Run(strings.Join(append([]string{test.endpoint}, lines...), " "), func(t *testing.T) {
				s := newService(t)
				before, err := s.store.Get(t.Context(), s.names["bob"])
				require.NoError(t, err)
				s.names["id"] = s.names["bob"]
				foreign := s.do("alice", test.endpoint, test.body, lines...)
				s.names["id"] = "unknown"
				unknown := s.do("alice", test.endpoint, test.body, lines...)
				require.Equal(t, 404, unknown.Code)
				require.Equal(t, unknown.Code, foreign.Code)
				require.Equal(t, unknown.Header(), foreign.Header())
				require.Equal(t, unknown.Body.String(), foreign.Body.String())
				after, err := s.store.Get(t.Context(), s.names["bob"])
				require.NoError(t, err)
				require.Equal(t, before, after, "the key has not changed")
			})
		}
	}
}
