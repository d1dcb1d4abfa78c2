package emby_test

import (
	"bufio"
	"context"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/emby"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/memstore"
)

// A service is a media server with one route, and its keys.
type service struct {
	store  *memstore.Store
	issuer *apikey.Issuer
	auth   *apikey.Middleware
	mux    *http.ServeMux // behind auth

	good, revoked, manager string
	goodID, managerID      string
	unknown                string // a key of another store
}

// wrong is the key in Emby's documentation, which is malformed here.
const wrong = "123456789987654321"

func newService(t testing.TB, o apikey.Options) *service {
	t.Helper()
	s := &service{store: memstore.New(), mux: http.NewServeMux()}
	if o.Sources == nil {
		o.Sources = emby.Sources()
	}
	var err error
	s.auth, err = apikey.New(s.store, o)
	require.NoError(t, err)
	s.issuer, err = apikey.NewIssuer(s.store, apikey.IssuerOptions{Format: o.Format})
	require.NoError(t, err)
	s.good, s.goodID = s.issue(t, apikey.NewKey{Name: "Plain"})
	s.manager, s.managerID = s.issue(t, apikey.NewKey{Name: "Manager", Scopes: []string{"apikeys:manage"}})
	s.unknown = unknownKey(t, o.Format)
	var id string
	s.revoked, id = s.issue(t, apikey.NewKey{Name: "Revoked"})
	_, err = s.store.Revoke(t.Context(), id)
	require.NoError(t, err)
	s.mux.HandleFunc("GET /System/Info", func(w http.ResponseWriter, r *http.Request) {
		key, _ := apikey.FromContext(r.Context())
		io.WriteString(w, key.Name+" "+r.RequestURI)
	})
	return s
}

// newKeys returns Keys for the keys of an issuer.
func newKeys(t testing.TB, issuer *apikey.Issuer, options ...emby.KeysOption) http.Handler {
	t.Helper()
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	keys, err := emby.Keys(desk, options...)
	require.NoError(t, err)
	return keys
}

// unknownKey returns a well-formed key of another store.
func unknownKey(t testing.TB, format *apikey.Format) string {
	t.Helper()
	issuer, err := apikey.NewIssuer(memstore.New(), apikey.IssuerOptions{Format: format})
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Unknown"})
	require.NoError(t, err)
	return secret.Reveal()
}

func (s *service) issue(t testing.TB, k apikey.NewKey) (secret, id string) {
	t.Helper()
	made, key, err := s.issuer.Issue(t.Context(), k)
	require.NoError(t, err)
	return made.Reveal(), key.ID
}

// fill replaces placeholders by keys. {K} is a plain key, {M} has ScopeManage, {R} is revoked, {X}
// is unknown and {W} is wrong. The IDs of {K} and {M} are {k} and {m}. {E} is {K} with every byte
// escaped.
func (s *service) fill(text string) string {
	return strings.NewReplacer("{K}", s.good, "{M}", s.manager, "{R}", s.revoked, "{X}", s.unknown, "{W}", wrong,
		"{E}", escaped(s.good), "{k}", s.goodID, "{m}", s.managerID).Replace(text)
}

// A response is a response and its body.
type response struct {
	*http.Response
	body string
}

// listen serves handler on a TCP port. It returns a function that sends a request to it. A request
// is a request line and a header with \n for line breaks, optionally followed by an empty line and
// a body.
func (s *service) listen(t *testing.T, handler http.Handler) (raw func(t *testing.T, request string) response) {
	t.Helper()
	server := httptest.NewServer(handler)
	t.Cleanup(server.Close)
	return func(t *testing.T, request string) response {
		t.Helper()
		conn, err := net.Dial("tcp", server.Listener.Addr().String())
		require.NoError(t, err)
		defer conn.Close()
		head, body, _ := strings.Cut(s.fill(request), "\n\n")
		line, fields, _ := strings.Cut(head, "\n")
		lines := []string{line + " HTTP/1.1", "Host: localhost", "Connection: close"}
		if fields != "" {
			lines = append(lines, strings.Split(fields, "\n")...)
		}
		_, err = io.WriteString(conn, strings.Join(lines, "\r\n")+"\r\n\r\n"+body)
		require.NoError(t, err)
		method, _, _ := strings.Cut(line, " ")
		res, err := http.ReadResponse(bufio.NewReader(conn), &http.Request{Method: method})
		require.NoError(t, err)
		defer res.Body.Close()
		text, err := io.ReadAll(res.Body)
		require.NoError(t, err)
		return response{res, string(text)}
	}
}

// observe returns an Observe function that appends the Source of each Event to seen.
func observe(seen *[]string) func(context.Context, apikey.Event) {
	return func(_ context.Context, e apikey.Event) { *seen = append(*seen, e.Source) }
}

// escaped returns s with every byte escaped.
func escaped(s string) (e string) {
	for i := range len(s) {
		e += fmt.Sprintf("%%%02X", s[i])
	}
	return e
}
