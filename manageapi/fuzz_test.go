package manageapi

import (
	"encoding/json"
	"errors"
	"net/url"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// requireProblem fails the test if err is not a problem of the client.
func requireProblem(t *testing.T, err error) {
	t.Helper()
	p, ok := errors.AsType[*problem](err)
	require.True(t, ok, "%v", err)
	require.Contains(t, []int{400, 422}, p.Status)
	_, marshalErr := json.Marshal(p)
	require.NoError(t, marshalErr)
}

func FuzzQuery(f *testing.F) {
	for _, seed := range []string{"", "owner=alice&limit=5", "owner=", "limit=-1", "expires_before=2026-01-31T12:00:00%2B01:00",
		"expires_before=2026-01-31T12:00:00+01:00", "owner=a&owner=b", "a;b", "%zz", "unused_since=0001-01-01T00:00:00Z"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, query string) {
		options, err := listOptions(query)
		if err != nil {
			requireProblem(t, err)
			return
		}
		values, err := url.ParseQuery(query)
		require.NoError(t, err)
		// A value that is ignored would make the list longer than the client means.
		for name := range values {
			without := url.Values{}
			for other := range values {
				if other != name {
					without[other] = values[other]
				}
			}
			fewer, err := listOptions(without.Encode())
			require.NoError(t, err)
			require.NotEqual(t, options, fewer, name)
		}
	})
}

func FuzzNewKey(f *testing.F) {
	for _, seed := range []string{`{}`, `{"name":"x"}`, `{"name":"x","name":"y"}`, `{"metadata":{"a":null}}`, `{"networks":["192.0.2.0/24",null]}`,
		`{"expires_at":"2026-01-31T12:00:00Z"}`, `{"expires_at":"0001-01-01T00:00:00Z"}`, `{"Name":"x"}`, `null`, `[]`, `{"name":"\ud800"}`, `{} {}`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var k apikey.NewKey
		if err := newKeyMembers(&k).parse(body); err != nil {
			requireProblem(t, err)
			return
		}
		var plain map[string]any
		require.NoError(t, json.Unmarshal(body, &plain), "an accepted body is an object")
		for name, value := range plain {
			require.Contains(t, newKeyMembers(&k), name)
			if value == nil {
				delete(plain, name)
			}
		}
		_, expires := plain["expires_at"]
		require.Equal(t, expires, !k.ExpiresAt.IsZero(), "an expiry is never ignored")
		if networks, ok := plain["networks"].([]any); ok {
			require.Len(t, k.Networks, len(networks), "a network is never ignored")
		}
	})
}

func FuzzMetadataPatch(f *testing.F) {
	f.Add([]byte(`{"a":"1"}`), []byte(`{"a":null,"b":"2"}`))
	f.Add([]byte(`{}`), []byte(`{"a":{"b":null}}`))
	f.Fuzz(func(t *testing.T, before, patch []byte) {
		var metadata map[string]string
		var p metadataPatch
		if (members{"metadata": into(&metadata, parseMetadata)}).parse(object("metadata", before)) != nil ||
			(members{"metadata": into(&p, parseMetadataPatch)}).parse(object("metadata", patch)) != nil {
			return
		}
		var want, changes map[string]any
		require.NoError(t, json.Unmarshal(before, &want))
		require.NoError(t, json.Unmarshal(patch, &changes))
		merged := map[string]any{}
		for name, value := range p.apply(metadata) {
			merged[name] = value
		}
		require.Equal(t, mergePatched(want, changes), merged)
	})
}

func object(name string, value []byte) []byte {
	return append(append([]byte(`{"`+name+`":`), value...), '}')
}

// mergePatched is the function MergePatch of RFC 7396 section 2, for objects that contain no objects.
func mergePatched(target, patch map[string]any) map[string]any {
	result := map[string]any{}
	for name, value := range target {
		if value != nil {
			result[name] = value
		}
	}
	for name, value := range patch {
		if value == nil {
			delete(result, name)
		} else {
			result[name] = value
		}
	}
	return result
}

func FuzzRequestID(f *testing.F) {
	for _, seed := range []string{`"a"`, "a", `"a\"b"`, `"`, `""`, `"a";p=1`, "a, b"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, value string) {
		id, ok := parseRequestID(value)
		if !ok {
			return
		}
		require.NotEmpty(t, id)
		require.LessOrEqual(t, len(id), maxRequestID)
		quoted, err := json.Marshal(id)
		require.NoError(t, err)
		if json.Valid([]byte(value)) && value[0] == '"' {
			var plain string
			require.NoError(t, json.Unmarshal([]byte(value), &plain))
			require.Equal(t, plain, id, "JSON reads the string differently: %s", quoted)
		}
	})
}
