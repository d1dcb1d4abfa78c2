package manageapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

func TestEscapesInJSON(t *testing.T) {
	t.Parallel()
	s := newService(t)
	for escaped, want := range map[string]string{`\ud83d\uDD11`: "🔑", `\\ud83d`: `\ud83d`, `\\\ud83d\udd11`: `\🔑`, `\u0041\ufffd`: "A\ufffd"} {
		w := s.do("alice", "POST /keys", `{"name":"`+escaped+`"}`)
		require.Equal(t, 201, w.Code, escaped+": "+w.Body.String())
		assert.Equal(t, want, decode(t, w)["key"].(map[string]any)["name"], escaped)
	}
}

func TestCreate(t *testing.T) {
	t.Parallel()
	s := newService(t)
	expires := time.Now().Add(time.Hour).UTC().Truncate(time.Second).Format(time.RFC3339)
	w := s.do("alice", "POST /keys", `{"name":"Exports","scopes":["read"],"networks":["192.0.2.0/24"],"metadata":{"team":"A"},"expires_at":"`+expires+`"}`)
	require.Equal(t, 201, w.Code, w.Body.String())
	v := decode(t, w)
	key := v["key"].(map[string]any)
	assert.Equal(t, false, v["replayed"])
	assert.Equal(t, "Exports", key["name"])
	assert.Equal(t, "alice", key["owner"], "the owner is that of the caller")
	assert.Equal(t, "active", key["status"])
	assert.Equal(t, []any{"read"}, key["scopes"])
	assert.Equal(t, []any{"192.0.2.0/24"}, key["networks"])
	assert.Equal(t, map[string]any{"team": "A"}, key["metadata"])
	assert.Equal(t, expires, key["expires_at"])
	assert.Equal(t, fmt.Sprintf("%q", key["version"]), w.Header().Get("ETag"))
	assert.Equal(t, "/manage/keys/"+key["id"].(string), resolved(t, "/manage/keys", w.Header().Get("Location")))
	found, err := s.issuer.Identify(t.Context(), apikey.NewSecret(v["secret"].(string)))
	require.NoError(t, err)
	assert.Equal(t, key["id"], found.ID)
}

// resolved returns the path of a relative reference.
func resolved(t *testing.T, base, reference string) string {
	t.Helper()
	u, err := url.Parse(base)
	require.NoError(t, err)
	u, err = u.Parse(reference)
	require.NoError(t, err)
	return u.String()
}

func TestIdempotencyKey(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, endpoint, body, other string }{
		{"create", "POST /keys", `{"name":"Exports"}`, `{"name":"Imports"}`},
		{"rotate", "POST /keys/{backup}/rotate", `{"grace":60}`, ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			first := s.do("alice", test.endpoint, test.body, `Idempotency-Key: "a"`)
			require.Equal(t, 201, first.Code, first.Body.String())
			again := s.do("alice", test.endpoint, test.body, "Idempotency-Key: a")
			require.Equal(t, 200, again.Code, again.Body.String())
			require.Equal(t, first.Header().Get("Location"), again.Header().Get("Location"))
			v := decode(t, again)
			require.Equal(t, true, v["replayed"])
			require.NotContains(t, v, "secret")
			require.Equal(t, decode(t, first)["key"], v["key"])
			if test.other != "" {
				other := s.do("alice", test.endpoint, test.other, "Idempotency-Key: a")
				require.Equal(t, 422, other.Code)
				require.Equal(t, "idempotency_key_reused", decode(t, other)["code"])
			}
		})
	}
}

func TestLimits(t *testing.T) {
	t.Parallel()
	s := newService(t)
	limits := []any{
		map[string]any{"name": "rate", "requests": 10.0, "per": 60.0, "burst": 20.0},
		map[string]any{"name": "quota", "requests": 1000.0, "calendar": "day"},
	}
	require.Equal(t, limits, decode(t, s.do("alice", "GET /keys/{backup}", ""))["limits"], "of a key")
	const body = `{"limits":[{"name":"rate","requests":10,"per":60,"burst":20},{"name":"quota","requests":1e3,"calendar":"day"}]}`
	require.Equal(t, limits, decode(t, s.do("admin", "PATCH /keys/{bob}", body))["limits"], "of a patch")
	require.Equal(t, limits, decode(t, s.do("admin", "POST /keys", `{"name":"x",`+body[1:]))["key"].(map[string]any)["limits"], "of a new key")
	w := s.do("admin", "PATCH /keys/{bob}", `{"limits":[{"name":"rate","requests":1,"per":0.25}]}`)
	require.Equal(t, []any{map[string]any{"name": "rate", "requests": 1.0, "per": 0.25}}, decode(t, w)["limits"], "of a fraction of a second")
}

func TestNullIsAsMissingInNewKey(t *testing.T) {
	t.Parallel()
	s := newService(t)
	w := s.do("alice", "POST /keys", `{"name":"x","owner":null,"scopes":null,"networks":null,"metadata":null,"expires_at":null}`)
	require.Equal(t, 201, w.Code, w.Body.String())
	require.Nil(t, decode(t, w)["key"].(map[string]any)["expires_at"])
}

func TestMergePatch(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, patch, field, want string }{
		{"a member is set", `{"name":"Nightly"}`, "name", "Nightly"},
		{"other members are kept", `{"name":"Nightly"}`, "metadata", "map[rack:B room:4]"},
		{"an empty patch changes nothing", `{}`, "name", "Backup job"},
		{"null removes the scopes", `{"scopes":null}`, "scopes", "[]"},
		{"an array replaces the scopes", `{"scopes":["read"]}`, "scopes", "[read]"},
		{"null removes the networks", `{"networks":null}`, "networks", "[]"},
		{"networks are set", `{"networks":["2001:db8::/32"]}`, "networks", "[2001:db8::/32]"},
		{"metadata is merged", `{"metadata":{"room":"5"}}`, "metadata", "map[rack:B room:5]"},
		{"null removes a name of metadata", `{"metadata":{"room":null}}`, "metadata", "map[rack:B]"},
		{"null removes a name that is missing", `{"metadata":{"shelf":null}}`, "metadata", "map[rack:B room:4]"},
		{"null removes the metadata", `{"metadata":null}`, "metadata", "map[]"},
		{"an expiry is set", `{"expires_at":"2099-01-01T00:00:00+01:00"}`, "expires_at", "2098-12-31T23:00:00Z"},
		{"null removes the expiry", `{"expires_at":null}`, "expires_at", "<nil>"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			w := s.do("alice", "PATCH /keys/{backup}", test.patch, "Content-Type: application/merge-patch+json")
			require.Equal(t, 200, w.Code, w.Body.String())
			v := decode(t, w)
			require.Equal(t, test.want, fmt.Sprint(v[test.field]))
			require.Equal(t, v, decode(t, s.do("alice", "GET /keys/{backup}", "")), "the stored key is the same")
		})
	}
}

func TestActions(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, endpoint, body, status string }{
		{"suspend", "POST /keys/{backup}/suspend", "", "suspended"},
		{"suspend with an empty object", "POST /keys/{backup}/suspend", "{}", "suspended"},
		{"suspend again", "POST /keys/{suspended}/suspend", "", "suspended"},
		{"resume", "POST /keys/{suspended}/resume", "", "active"},
		{"revoke", "POST /keys/{backup}/revoke", "", "revoked"},
		{"revoke again", "POST /keys/{revoked}/revoke", "", "revoked"},
		{"delete", "DELETE /keys/{backup}", "", "revoked"},
	} {
		t.Run(test.name, func(t *testing.T) {
			w := newService(t).do("admin", test.endpoint, test.body)
			require.Equal(t, 200, w.Code, w.Body.String())
			require.Equal(t, test.status, decode(t, w)["status"])
			require.NotEmpty(t, w.Header().Get("ETag"))
		})
	}
}

func TestRotate(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, body, old string }{
		{"without a body the old key is revoked", "", "revoked"},
		{"without grace the old key is revoked", "{}", "revoked"},
		{"with grace the old key remains valid", `{"grace":3600}`, "active"},
		{"a grace may be written with a fraction of 0", `{"grace":3600.0}`, "active"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			w := s.do("alice", "POST /keys/{backup}/rotate", test.body)
			require.Equal(t, 201, w.Code, w.Body.String())
			v := decode(t, w)
			key := v["key"].(map[string]any)
			require.Equal(t, s.names["backup"], key["replaces"])
			require.Equal(t, "/manage/keys/"+key["id"].(string), resolved(t, s.fill("/manage/keys/{backup}/rotate"), w.Header().Get("Location")))
			require.NotEmpty(t, v["secret"])
			require.Equal(t, test.old, decode(t, s.do("alice", "GET /keys/{backup}", ""))["status"])
		})
	}
}

func TestOwners(t *testing.T) {
	t.Parallel()
	s := newService(t)
	require.EqualValues(t, 0, decode(t, s.do("alice", "POST /revoke-all", `{"owner":"bob"}`))["revoked"], "of another owner")
	require.EqualValues(t, 1, decode(t, s.do("admin", "POST /revoke-all", `{"owner":"bob"}`))["revoked"], "by an administrator")
	require.Equal(t, "revoked", decode(t, s.do("admin", "GET /keys/{bob}", ""))["status"])
}

func TestIdentify(t *testing.T) {
	t.Parallel()
	s := newService(t)
	require.Equal(t, s.names["revoked"], decode(t, s.do("alice", "POST /identify", `{"secret":"{revoked secret}"}`))["id"])
	foreign := s.do("alice", "POST /identify", `{"secret":"{bob secret}"}`)
	require.Equal(t, 404, foreign.Code)
	require.Equal(t, s.do("alice", "POST /identify", `{"secret":"x"}`).Body.String(), foreign.Body.String())
}

func TestWhoAmI(t *testing.T) {
	t.Parallel()
	s := newService(t)
	v := decode(t, s.do("alice", "GET /whoami", ""))
	assert.Equal(t, s.names["alice"], v["key"].(map[string]any)["id"])
	assert.Equal(t, "alice", v["access"].(map[string]any)["owner"])
	v = decode(t, s.do("reader", "GET /whoami", ""))
	assert.Equal(t, "Reader", v["key"].(map[string]any)["name"], "a key that may not manage keys is accepted too")
	assert.Nil(t, v["access"])
	assert.Equal(t, true, decode(t, s.do("auditor", "GET /whoami", ""))["access"].(map[string]any)["read_only"])
	assert.Equal(t, 401, s.do("", "GET /whoami", "").Code, "no key")
	assert.Equal(t, 401, s.do("revoked", "GET /whoami", "").Code, "a revoked key")
}

func TestHead(t *testing.T) {
	t.Parallel()
	s := newService(t)
	server := httptest.NewServer(s.handler)
	defer server.Close()
	r, err := http.NewRequest(http.MethodHead, server.URL+"/manage/whoami", nil)
	require.NoError(t, err)
	r.Header.Set("X-API-Key", s.names["alice secret"])
	response, err := server.Client().Do(r)
	require.NoError(t, err)
	response.Body.Close()
	require.Equal(t, 200, response.StatusCode)
}
