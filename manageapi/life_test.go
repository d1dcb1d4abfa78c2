package manageapi_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
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

func TestEntityTags(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name, endpoint, body, line string
		status                     int
	}{
		{"the tag of the key permits a change", "PATCH /keys/{backup}", `{"name":"x"}`, "If-Match: {tag}", 200},
		{"a weak tag permits a change", "PATCH /keys/{backup}", `{"name":"x"}`, "If-Match: W/{tag}", 200},
		{"one of several tags permits a change", "PATCH /keys/{backup}", `{"name":"x"}`, `If-Match: "0", {tag}`, 200},
		{"an asterisk permits a change", "PATCH /keys/{backup}", `{"name":"x"}`, "If-Match: *", 200},
		{"the tag of the key permits a change of metadata", "PATCH /keys/{backup}", `{"metadata":{"a":"b"}}`, "If-Match: {tag}", 200},
		{"a tag without quotes does not match", "PATCH /keys/{backup}", `{"name":"x"}`, "If-Match: {version}", 412},
		{"an empty If-Match does not match", "PATCH /keys/{backup}", `{"name":"x"}`, "If-Match: ", 412},
		{"another tag refuses metadata", "PATCH /keys/{backup}", `{"metadata":{"a":"b"}}`, `If-Match: "0"`, 412},
		{"the tag permits a revocation", "DELETE /keys/{backup}", "", "If-Match: {tag}", 200},
		{"another tag refuses a revocation", "DELETE /keys/{backup}", "", `If-Match: "0"`, 412},
		{"a known tag needs no body", "GET /keys/{backup}", "", "If-None-Match: {tag}", 304},
		{"a known weak tag needs no body", "GET /keys/{backup}", "", "If-None-Match: W/{tag}", 304},
		{"an unknown tag needs a body", "GET /keys/{backup}", "", `If-None-Match: "0"`, 200},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			s.names["tag"] = s.do("alice", "GET /keys/{backup}", "").Header().Get("ETag")
			s.names["version"] = strings.Trim(s.names["tag"], `"`)
			w := s.do("alice", test.endpoint, test.body, test.line)
			require.Equal(t, test.status, w.Code, w.Body.String())
			if test.status == 304 {
				require.Equal(t, s.names["tag"], w.Header().Get("ETag"))
				require.Empty(t, w.Body.String())
			}
		})
	}
}

func TestEntityTagIgnoresUse(t *testing.T) {
	t.Parallel()
	s := newService(t)
	tag := s.do("alice", "GET /keys/{backup}", "").Header().Get("ETag")
	s.do("backup", "GET /whoami", "")
	w := s.do("alice", "GET /keys/{backup}", "")
	require.NotEmpty(t, decode(t, w)["last_used_at"])
	require.Equal(t, tag, w.Header().Get("ETag"))
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

func TestList(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, as, query, want string }{
		{"an owner sees the owner's keys", "alice", "?sort=name&status=active", "Alice's tool, Backup job, Reader, Rotated, Rotated, Writer"},
		{"an owner sees no keys of another owner", "alice", "?owner=bob", ""},
		{"an administrator sees all keys of an owner", "admin", "?owner=bob", "Bob's job"},
		{"by status", "alice", "?status=revoked", "Revoked"},
		{"by scope", "alice", "?scope=write", "Writer"},
		{"by text", "alice", "?search=backup", "Backup job"},
		{"by expiry", "alice", "?expires_before=2099-01-01T00:00:00Z", "Rotated"},
		{"by use", "alice", "?unused_since=2020-01-01T00:00:00Z", ""},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			w := s.do(test.as, "GET /keys"+test.query, "")
			require.Equal(t, 200, w.Code, w.Body.String())
			var names []string
			for _, key := range decode(t, w)["keys"].([]any) {
				names = append(names, key.(map[string]any)["name"].(string))
			}
			require.Equal(t, test.want, strings.Join(names, ", "))
		})
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ name, endpoint, list string }{
		{"keys", "/keys?sort=name&limit=1&status=active", "keys"},
		{"history of a key", "/keys/{rotated}/history?limit=1", "entries"},
		{"history of all keys", "/history?limit=1", "entries"},
	} {
		t.Run(test.name, func(t *testing.T) {
			s := newService(t)
			whole := decode(t, s.do("admin", "GET "+strings.Replace(test.endpoint, "limit=1", "limit=500", 1), ""))[test.list].([]any)
			require.Greater(t, len(whole), 1)
			var items []any
			for next := s.fill(test.endpoint); next != ""; {
				w := s.do("admin", "GET "+next, "")
				require.Equal(t, 200, w.Code, w.Body.String())
				v := decode(t, w)
				items = append(items, v[test.list].([]any)...)
				link := w.Header().Get("Link")
				require.Equal(t, v["next"] == nil, link == "", "a page has a link if and only if it has a cursor")
				if next, _, _ = strings.Cut(strings.TrimPrefix(link, "<"), ">"); next != "" {
					next = strings.TrimPrefix(resolved(t, "/manage"+s.fill(test.endpoint), next), "/manage")
				}
			}
			require.Equal(t, whole, items)
		})
	}
}

func TestHistory(t *testing.T) {
	t.Parallel()
	s := newService(t)
	s.do("alice", "PATCH /keys/{backup}", `{"name":"Nightly"}`)
	entries := decode(t, s.do("alice", "GET /keys/{backup}/history", ""))["entries"].([]any)
	require.Len(t, entries, 2)
	last := entries[0].(map[string]any)
	require.Equal(t, s.fill("API key Alice's tool ({alice})"), last["actor"])
	require.Equal(t, "update", last["action"])
	require.Equal(t, []any{map[string]any{"field": "name", "old": "Backup job", "new": "Nightly"}}, last["changes"])
	require.NotEqual(t, 200, s.do("alice", "GET /history", "").Code, "the history of all keys is for administrators")
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
