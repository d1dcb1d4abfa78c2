package serve

import (
	"context"
	"database/sql"
	"fmt"
	"io"
	"math/rand/v2"
	"net"
	"net/url"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/go-sql-driver/mysql"
	"github.com/jackc/pgx/v5"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
)

// newPostgres makes a schema and returns its URL.
func newPostgres(t *testing.T) *url.URL {
	t.Helper()
	text := os.Getenv("APIKEY_TEST_POSTGRES")
	if text == "" {
		skip(t, "APIKEY_TEST_POSTGRES does not name a server")
	}
	conn, err := pgx.Connect(t.Context(), text)
	require.NoError(t, err)
	schema := fmt.Sprintf("apikey_serve_%x", rand.Uint64())
	_, err = conn.Exec(t.Context(), "CREATE SCHEMA "+schema)
	require.NoError(t, err)
	t.Cleanup(func() {
		_, err := conn.Exec(context.Background(), "DROP SCHEMA "+schema+" CASCADE")
		assert.NoError(t, err)
		conn.Close(context.Background())
	})
	u, err := url.Parse(text)
	require.NoError(t, err)
	u.RawQuery = url.Values{"search_path": {schema}, "connect_timeout": {"30"}}.Encode()
	return u
}

// A relay passes connections on to a server until it is cut.
type relay struct {
	listener net.Listener
	server   string
	mu       sync.Mutex
	cut      bool
	open     []net.Conn
}

func newRelay(t *testing.T, server string) *relay {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	require.NoError(t, err)
	r := &relay{listener: listener, server: server}
	t.Cleanup(func() { listener.Close(); r.set(true) })
	go func() {
		for {
			client, err := listener.Accept()
			if err != nil {
				return
			}
			r.connect(client)
		}
	}()
	return r
}

func (r *relay) connect(client net.Conn) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.cut {
		client.Close()
		return
	}
	server, err := net.Dial("tcp", r.server)
	if err != nil {
		client.Close()
		return
	}
	r.open = append(r.open, client, server)
	go func() { io.Copy(server, client); server.Close() }()
	go func() { io.Copy(client, server); client.Close() }()
}

// set cuts all connections, or permits new ones again.
func (r *relay) set(cut bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.cut = cut
	for _, conn := range r.open {
		conn.Close()
	}
	r.open = nil
}

func TestOutageOfTheDatabaseRefusesKeysAfterTheLease(t *testing.T) {
	t.Parallel()
	direct := newPostgres(t)
	issuer := newIssuer(t, direct.String())
	kept, _ := issue(t, issuer, "library:read")
	revoked, id := issue(t, issuer, "library:read")
	between := newRelay(t, direct.Host)
	through := *direct
	through.Host = between.listener.Addr().String()
	p := startServer(t, []string{"APIKEY_DATABASE=" + through.String()}, "--rules", write(t, t.TempDir(), "rules.yaml", libraryRules)).ready(t)
	asks := func(secret string) int { return p.asks(t, "GET", "/library", "X-API-Key: "+secret).status }
	require.Equal(t, 200, asks(kept))
	require.Equal(t, 200, asks(revoked))

	between.set(true)
	_, err := issuer.Manager().Revoke(t.Context(), id) // by another process, whose change cannot reach this one
	require.NoError(t, err)
	cut := time.Now()
	eventually(t, func() bool { return asks(revoked) == 503 }, "the cache answers without a lease")
	assert.Less(t, time.Since(cut), slowly(5*time.Second), "the lease is 3 s")
	assert.Equal(t, 503, asks(kept))
	assert.Equal(t, 503, p.get(t, "/readyz").status)
	assert.Equal(t, 200, p.get(t, "/livez").status)
	assert.Equal(t, 200, p.asks(t, "GET", "/health").status, "a public route needs no database")
	assert.Equal(t, 401, asks(""), "a request without a key needs no database")
	assert.Equal(t, 503, p.get(t, "/api/whoami", "X-API-Key: "+kept).status)
	assert.Equal(t, 503, p.get(t, "/auth/caddy", "X-API-Key: "+kept, "X-Forwarded-Method: GET", "X-Forwarded-Uri: /library", "X-Forwarded-Host: a.example", "X-Forwarded-For: 203.0.113.9").status)

	between.set(false)
	p.ready(t)
	assert.Equal(t, 200, asks(kept))
	assert.Equal(t, 401, asks(revoked))
	assert.NotContains(t, p.log(), direct.Query().Get("search_path"), "the log shows the URL of the database")
}

func TestServerStartsWithoutItsDatabase(t *testing.T) {
	t.Parallel()
	direct := newPostgres(t)
	secret, _ := issue(t, newIssuer(t, direct.String()))
	between := newRelay(t, direct.Host)
	between.set(true)
	through := *direct
	through.Host = between.listener.Addr().String()
	p := startServer(t, []string{"APIKEY_DATABASE=" + through.String()})
	assert.Equal(t, 503, p.get(t, "/readyz").status)
	assert.Equal(t, 503, p.get(t, "/api/whoami", "X-API-Key: "+secret).status)
	between.set(false)
	p.ready(t)
	assert.Equal(t, 200, p.get(t, "/api/whoami", "X-API-Key: "+secret).status)
}

func TestServeRunsOnMariaDB(t *testing.T) {
	t.Parallel()
	dsn := os.Getenv("APIKEY_TEST_MYSQL")
	if dsn == "" {
		skip(t, "APIKEY_TEST_MYSQL does not name a server")
	}
	c, err := mysql.ParseDSN(dsn)
	require.NoError(t, err)
	u := url.URL{Scheme: "mysql", Host: c.Addr, Path: "/" + c.DBName, User: url.UserPassword(c.User, c.Passwd)}
	prefix := fmt.Sprintf("serve_%x_", rand.Uint64())
	p := startServer(t, []string{"APIKEY_DATABASE=" + u.String(), "APIKEY_TABLE_PREFIX=" + prefix, "APIKEY_MIGRATE=true"}).ready(t)
	defer dropTables(t, c, prefix)
	assert.Equal(t, 401, p.get(t, "/api/whoami", "X-API-Key: "+unknown(t)).status)
	p.stop(t)
}

// unknown returns a key that is not in the database of the server.
func unknown(t *testing.T) string {
	t.Helper()
	secret, _ := issue(t, newIssuer(t, newSQLite(t)))
	return secret
}

func TestLimitsAreCountedInRedisForAllProcesses(t *testing.T) {
	t.Parallel()
	if conn, err := net.Dial("tcp", "127.0.0.1:6379"); err != nil {
		skip(t, "no Redis at 127.0.0.1:6379")
	} else {
		conn.Close()
	}
	db := newSQLite(t)
	s, _, err := newIssuer(t, db).Issue(t.Context(), apikey.NewKey{Name: "Backup job", Limits: []apikey.Limit{{Name: "slow", Requests: 3, Per: time.Hour}}})
	require.NoError(t, err)
	rules := write(t, t.TempDir(), "rules.yaml", "rules:\n  - match: /\n    any_key: true\n")
	var both [2]*process
	for i := range both {
		both[i] = startServer(t, nil, "--database", db, "--rules", rules, "--redis", "redis://127.0.0.1:6379/0").ready(t)
	}
	var got []int
	for i := range 5 {
		got = append(got, both[i%2].get(t, "/auth/caddy", "X-API-Key: "+s.Reveal(), "X-Forwarded-Method: GET", "X-Forwarded-Uri: /", "X-Forwarded-Host: a.example", "X-Forwarded-For: 203.0.113.9").status)
	}
	assert.Equal(t, []int{200, 200, 200, 429, 429}, got)
	res := both[0].asks(t, "GET", "/", "X-API-Key: "+s.Reveal())
	assert.Equal(t, []any{403, "429"}, []any{res.status, res.header.Get("X-Apikey-Status")}, "nginx passes on 403")
	assert.Contains(t, send(t, both[0].client, "GET", both[0].metricsURL+"/metrics", "").body, `apikey_limits_total{outcome="limited"}`)
}

func dropTables(t *testing.T, c *mysql.Config, prefix string) {
	t.Helper()
	connector, err := mysql.NewConnector(c)
	require.NoError(t, err)
	db := sql.OpenDB(connector)
	defer db.Close()
	rows, err := db.Query("SELECT table_name FROM information_schema.tables WHERE table_schema = DATABASE() AND table_name LIKE ?", prefix+"%")
	require.NoError(t, err)
	var names []string
	for rows.Next() {
		var name string
		require.NoError(t, rows.Scan(&name))
		names = append(names, name)
	}
	require.NoError(t, rows.Err())
	assert.NotEmpty(t, names)
	for _, name := range names {
		_, err := db.Exec("DROP TABLE `" + name + "`")
		assert.NoError(t, err)
	}
}
