package databases

import (
	"context"
	"database/sql"
	"fmt"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"testing"

	_ "github.com/jackc/pgx/v5/stdlib"
	"github.com/jmoiron/sqlx"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
	"gorm.io/driver/postgres"
	"gorm.io/gorm"
	"gorm.io/gorm/logger"
	_ "modernc.org/sqlite"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/examples/internal/program"
	"github.com/latchkey-dev/apikey/sqlstore"
)

// newPostgres creates an empty schema and returns its DSN.
func newPostgres(t *testing.T) string {
	t.Helper()
	dsn := os.Getenv("APIKEY_TEST_POSTGRES")
	if dsn == "" {
		program.Skip(t, "APIKEY_TEST_POSTGRES does not name a server")
	}
	db, err := sql.Open("pgx", dsn)
	require.NoError(t, err)
	schema := fmt.Sprintf("apikey_pools_%x", rand.Uint64())
	_, err = db.Exec("CREATE SCHEMA " + schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := db.Exec("DROP SCHEMA " + schema + " CASCADE")
		assert.NoError(t, err)
		db.Close()
	})
	u, err := url.Parse(dsn)
	require.NoError(t, err)
	u.RawQuery = "search_path=" + schema
	return u.String()
}

// testSharedPool tests a store that shares a pool. count counts keys by a statement of the service.
func testSharedPool(t *testing.T, store *sqlstore.Store, count func() int) {
	t.Helper()
	t.Cleanup(func() { assert.NoError(t, store.Close(context.Background())) })
	require.NoError(t, store.Migrate(t.Context()))
	auth, err := apikey.New(store, apikey.Options{})
	require.NoError(t, err)
	issuer, err := apikey.NewIssuer(store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Backup job"})
	require.NoError(t, err)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", secret.Reveal())
	w := httptest.NewRecorder()
	auth.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	assert.Equal(t, http.StatusOK, w.Code)
	assert.Equal(t, 1, count(), "number of keys, counted by the service")
}

func TestSharedPoolOfSqlx(t *testing.T) {
	t.Parallel()
	t.Run("PostgreSQL", func(t *testing.T) {
		t.Parallel()
		db, err := sqlx.Open("pgx", newPostgres(t))
		require.NoError(t, err)
		t.Cleanup(func() { db.Close() })
		store, err := storeOnSqlx(db, sqlstore.Postgres)
		require.NoError(t, err)
		testSharedPool(t, store, func() (n int) {
			require.NoError(t, db.Get(&n, "SELECT count(*) FROM apikey_keys"))
			return n
		})
	})
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		pool, err := sqlstore.OpenSQLite("sqlite", filepath.Join(t.TempDir(), "service.db"))
		require.NoError(t, err)
		db := sqlx.NewDb(pool, "sqlite")
		t.Cleanup(func() { db.Close() })
		store, err := storeOnSqlx(db, sqlstore.SQLite)
		require.NoError(t, err)
		testSharedPool(t, store, func() (n int) {
			require.NoError(t, db.Get(&n, "SELECT count(*) FROM apikey_keys"))
			return n
		})
	})
}

func TestSharedPoolOfGORM(t *testing.T) {
	t.Parallel()
	db, err := gorm.Open(postgres.Open(newPostgres(t)), &gorm.Config{Logger: logger.Discard})
	require.NoError(t, err)
	pool, err := db.DB()
	require.NoError(t, err)
	t.Cleanup(func() { pool.Close() })
	store, err := storeOnGORM(db, sqlstore.Postgres)
	require.NoError(t, err)
	testSharedPool(t, store, func() int {
		var n int64
		require.NoError(t, db.Table("apikey_keys").Count(&n).Error)
		return int(n)
	})
}
