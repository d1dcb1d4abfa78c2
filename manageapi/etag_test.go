package manageapi_test

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/require"
)

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
