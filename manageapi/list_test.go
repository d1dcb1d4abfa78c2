package manageapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
