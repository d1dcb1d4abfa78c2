package main

import (
	"net"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/document"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// TestDocumentedSession runs the terminal session of docs/manageapi.md. In the documented output "…"
// stands for any text. $ID and $TAG are the id and the version of the key in the newest output that has them.
func TestDocumentedSession(t *testing.T) {
	listener, err := net.Listen("tcp", "localhost:0") // finds a free port
	require.NoError(t, err)
	addr := listener.Addr().String()
	listener.Close()
	p := program.Start(t, "-addr", addr)
	key, _, _ := strings.Cut(strings.TrimPrefix(p.Line("curl"), "curl -H 'X-API-Key: "), "'")
	t.Setenv("KEY", key)
	member := regexp.MustCompile(`"(id|version)":"([^"]*)"`)
	for _, block := range document.In(t, "docs/manageapi.md", "console") {
		for _, step := range strings.Split("\n"+block, "\n$ ")[1:] {
			lines := strings.Split(strings.TrimSpace(step), "\n")
			command := []string{lines[0]}
			for strings.HasSuffix(command[len(command)-1], `\`) {
				command = lines[:len(command)+1]
			}
			want := strings.Join(lines[len(command):], "")
			got := program.Curl(t, strings.ReplaceAll(strings.Join(command, "\n"), "localhost:8080", addr), "--retry", "10", "--retry-connrefused", "--retry-delay", "1")
			pattern := strings.ReplaceAll(regexp.QuoteMeta(want), "…", ".*")
			require.Regexp(t, "^"+pattern+"$", strings.TrimSpace(got), strings.Join(command, "\n"))
			for _, found := range member.FindAllStringSubmatch(got, -1) {
				t.Setenv(map[string]string{"id": "ID", "version": "TAG"}[found[1]], found[2])
			}
		}
	}
}

func TestAccessOfKeys(t *testing.T) {
	t.Parallel()
	store := memstore.New()
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	handler, err := newHandler(store, issuer)
	require.NoError(t, err)
	for _, test := range []struct {
		name   string
		key    apikey.NewKey
		path   string
		status int
	}{
		{"an auditor reads the history of all keys", apikey.NewKey{Name: "x", Scopes: []string{"auditor"}}, "/manage/history", 200},
		{"an administrator reads it too", apikey.NewKey{Name: "x", Scopes: []string{manage.ScopeAdminister}}, "/manage/history", 200},
		{"a customer does not", apikey.NewKey{Name: "x", Owner: "alice", Scopes: []string{manage.ScopeManage}}, "/manage/history", 404},
		{"a customer lists keys", apikey.NewKey{Name: "x", Owner: "alice", Scopes: []string{manage.ScopeManage}}, "/manage/keys", 200},
		{"another key does not", apikey.NewKey{Name: "x", Owner: "alice"}, "/manage/keys", 403},
		{"another key asks who it is", apikey.NewKey{Name: "x", Owner: "alice"}, "/manage/whoami", 200},
		{"a customer cannot ask for the auditor's scope by a name", apikey.NewKey{Name: "auditor", Owner: "auditor"}, "/manage/keys", 403},
	} {
		secret, _, err := issuer.Issue(t.Context(), test.key)
		require.NoError(t, err)
		r := httptest.NewRequest(http.MethodGet, test.path, nil)
		r.Header.Set("X-API-Key", secret.Reveal())
		w := httptest.NewRecorder()
		handler.ServeHTTP(w, r)
		require.Equal(t, test.status, w.Code, test.name)
	}
}
