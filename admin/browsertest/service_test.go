package browsertest

import (
	"log/slog"
	"net/http"
	"net/http/httptest"
	"path/filepath"
	"testing"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/limit"
	"github.com/latchkey-dev/apikey/manage"
	"github.com/latchkey-dev/apikey/sqlstore"
)

const password = "correct horse battery staple"

// A service is a dashboard and an API over one store.
type service struct {
	url    string
	issuer *apikey.Issuer
	store  *sqlstore.Store
	limits *limit.Limiter
}

func startService(t *testing.T, dir string) *service {
	t.Helper()
	db, err := sqlstore.OpenSQLite("sqlite", filepath.Join(t.TempDir(), "keys.db"))
	require.NoError(t, err)
	t.Cleanup(func() { db.Close() })
	store, err := sqlstore.New(db, sqlstore.SQLite, sqlstore.Options{})
	require.NoError(t, err)
	t.Cleanup(func() { store.Close(t.Context()) })
	require.NoError(t, store.Migrate(t.Context()))
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	hash, err := admin.HashPassword(apikey.NewSecret(password))
	require.NoError(t, err)
	mux := http.NewServeMux()
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	desk, err := manage.New(issuer)
	require.NoError(t, err)
	limits, err := limit.New(limit.Memory(), limit.Options{})
	require.NoError(t, err)
	dashboard, err := admin.New(desk, admin.Options{
		PasswordHash: hash, Limiter: limits, Dir: dir, Name: "Media server", Home: "/", Logger: slog.New(slog.DiscardHandler), Scopes: []string{"library:read", "library:write", "apikeys:manage"},
		Example: "curl -H 'X-API-Key: KEY' " + server.URL + "/api",
	})
	require.NoError(t, err)
	mux.Handle("/some/where/", http.StripPrefix("/some/where", dashboard))
	mux.Handle("/api", auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})))
	return &service{server.URL, issuer, store, limits}
}

// status returns the status of a request with a key.
func (s *service) status(t *testing.T, key string) int {
	r, err := http.NewRequest("GET", s.url+"/api", nil)
	require.NoError(t, err)
	r.Header.Set("X-API-Key", key)
	response, err := http.DefaultClient.Do(r)
	require.NoError(t, err)
	response.Body.Close()
	return response.StatusCode
}
