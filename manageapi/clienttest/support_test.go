// Package clienttest runs a client that was generated from the description of package manageapi, and
// compares every response with the description.
package clienttest

import (
	"bytes"
	"database/sql"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/pb33f/libopenapi"
	validator "github.com/pb33f/libopenapi-validator"
	"github.com/pb33f/libopenapi-validator/config"
	"github.com/stretchr/testify/require"
	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/manageapi"
	"github.com/latchkey-dev/apikey/memstore"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// stores are the stores on which the tests run.
var stores = map[string]func(*testing.T) apikey.KeyManager{
	"memstore": func(*testing.T) apikey.KeyManager { return memstore.New() },
	"SQLite": func(t *testing.T) apikey.KeyManager {
		db, err := sql.Open("sqlite", "file:"+filepath.Join(t.TempDir(), "keys.db"))
		require.NoError(t, err)
		t.Cleanup(func() { db.Close() })
		store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
		require.NoError(t, err)
		t.Cleanup(func() { store.Close(t.Context()) })
		require.NoError(t, store.Migrate(t.Context()))
		return store
	},
}

// authorize lets a key with the scope "admin" manage the keys of all owners.
func authorize(r *http.Request) (manage.Access, error) {
	key, ok := apikey.FromContext(r.Context())
	switch {
	case !ok:
		return manage.Access{}, apikey.ErrMissing
	case key.HasScopes("admin"):
		return manage.Access{Actor: manage.KeyActor(key), AllOwners: true, AnyScope: true, MayResume: true}, nil
	case key.HasScopes(manage.ScopeManage):
		access := manage.ByKey(key)
		access.MayResume = true
		return access, nil
	}
	return manage.Access{}, apikey.ErrForbidden
}

// newHandler returns the API at /manage over a store, and the Issuer of its keys.
func newHandler(t testing.TB, store apikey.KeyManager) (http.Handler, *apikey.Issuer) {
	t.Helper()
	logger := slog.New(slog.DiscardHandler)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	api, err := manageapi.New(desk, manageapi.Options{Authorize: authorize, Limiter: newLimiter(t), Logger: logger})
	require.NoError(t, err)
	auth, err := apikey.New(store, apikey.Options{Logger: logger})
	require.NoError(t, err)
	return http.StripPrefix("/manage", auth.Handler(api)), issuer
}

func newLimiter(t testing.TB) *limit.Limiter {
	t.Helper()
	limiter, err := limit.New(limit.Memory(), limit.Options{})
	require.NoError(t, err)
	return limiter
}

// readDescription returns the description that the repository contains.
func readDescription(t testing.TB) []byte {
	t.Helper()
	text, err := os.ReadFile("../openapi.json")
	require.NoError(t, err)
	return text
}

// A description compares responses with the OpenAPI document.
type description struct {
	validator.Validator
	document *document
}

func newDescription(t testing.TB) description {
	t.Helper()
	d := newDocument(t)
	refuseOtherMembers(d.root)
	text, err := json.Marshal(d.root)
	require.NoError(t, err)
	parsed, err := libopenapi.NewDocument(text)
	require.NoError(t, err)
	v, errs := validator.NewValidator(parsed, config.WithFormatAssertions())
	require.Empty(t, errs)
	return description{v, d}
}

// refuseOtherMembers makes every schema refuse the members that it does not name. Clients must accept such
// members, because later versions may add some, but the document must name those of today.
func refuseOtherMembers(value any) {
	switch v := value.(type) {
	case node:
		for _, child := range v {
			refuseOtherMembers(child)
		}
		if v["type"] == "object" && v["properties"] != nil {
			v["additionalProperties"] = false
		}
	case []any:
		for _, child := range v {
			refuseOtherMembers(child)
		}
	}
}

// commonFields are the header fields that every response may have.
var commonFields = []string{"Cache-Control", "Content-Length", "Content-Type", "Date", "X-Content-Type-Options", "Vary"}

// problemsOf returns the differences between a response and the document. The path is relative to the
// mount.
func (d description) problemsOf(method, path string, status int, header http.Header, body []byte) (problems []string) {
	switch {
	case method == http.MethodHead:
		method = http.MethodGet
		if len(body) == 0 {
			return nil
		}
	case status == http.StatusMethodNotAllowed, bytes.Contains(body, []byte(`"code":"no_endpoint"`)):
		// The document describes no such operation. The body is the same as that of any 400.
		method, path, status, header = http.MethodGet, "/keys", http.StatusBadRequest, header.Clone()
		header.Del("Allow")
	case strings.Contains(path, "%2F"):
		// The validator decodes the slash, but to the API the whole segment is the ID of a key.
		method, path = http.MethodGet, "/keys/unknown"
	}
	r := httptest.NewRequest(method, path, nil)
	response := &http.Response{StatusCode: status, Header: header, Body: io.NopCloser(bytes.NewReader(body)), Request: r}
	_, errs := d.ValidateHttpResponse(r, response)
	for _, err := range errs {
		text := err.Message + ": " + err.Reason
		for _, s := range err.SchemaValidationErrors {
			text += "; " + s.FieldPath + " " + s.Reason
		}
		problems = append(problems, text)
	}
	described, known := d.document.headerFields(method, path, status)
	if !known {
		return append(problems, fmt.Sprintf("the document has no status %d", status))
	}
	for name := range header {
		if !slices.Contains(commonFields, name) && !slices.ContainsFunc(described, func(other string) bool { return strings.EqualFold(name, other) }) {
			problems = append(problems, "the document does not describe the field "+name)
		}
	}
	return problems
}

// A validatingTransport fails the test if a response differs from the document.
type validatingTransport struct {
	t           *testing.T
	description description
}

func (v validatingTransport) RoundTrip(r *http.Request) (*http.Response, error) {
	response, err := http.DefaultTransport.RoundTrip(r)
	if err != nil {
		return nil, err
	}
	body, err := io.ReadAll(response.Body)
	require.NoError(v.t, err)
	response.Body.Close()
	path := strings.TrimPrefix(r.URL.RequestURI(), "/manage")
	require.Empty(v.t, v.description.problemsOf(r.Method, path, response.StatusCode, response.Header, body), "%s %s %d", r.Method, path, response.StatusCode)
	response.Body = io.NopCloser(bytes.NewReader(body))
	return response, nil
}
