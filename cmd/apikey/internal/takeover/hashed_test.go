package takeover

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cachestore"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/internal/testdb"
	"github.com/latchkey-dev/apikey/rehash"
)

// The hashes come from hashlib and hmac of Python, as in the tests of package rehash.
const (
	giteaToken   = "0123456789abcdef0123456789abcdef01234567"
	giteaHash    = "e94356577416b0be1092aa83171170ef6afcea3a3f22449e68c9198bfde5aef7e7313132846574ead17df3f4da373f5d463b"
	grafanaToken = "glsa_ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef_85196f58"
	grafanaHash  = "fd7c7914bfafc2f371ea59ff8d0e900ca5cedfb0733bf8be47b29c143cf2d324931685f25b97994154fb28977043d78859c3"
	sha512Token  = "Ab3dEf6h.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
	sha512Hash   = "sha512$$ea288c70520612d98e84f1f9f901b29eeed831493987503b4a9a3a55236e66cf7fb4a45ec27d408679cdfb194b7bc89b664e5b2043c77e87be5906de79f70c5f"
	pbkdf2Token  = "Zz3dEf6h.ABCDEFGHIJKLMNOPQRSTUVWXYZabcdef"
	pbkdf2Hash   = "pbkdf2_sha256$1000$saltsalt$57mI0KNwtbzs/v+UUC0sbgbRGJHNe3f/xsyjmxnsfXc="
	sanctumToken = "7|a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2a1B2"
	sanctumHash  = "001e010b1366780304f9219b5fbfdc2a71449c45e860449690cc46cfb76fa569"
	strapiSalt   = "salt-of-strapi"
	strapiHash   = "d81bc28f5e3011b916eb25d04c04657cd852ad4b8fb4a5560bbe5593f7014c555ce629f6f61721fe3f350848b44f0b3e90dceecfe2fb3c0d6bb3913b0d2cbc78"
)

var strapiToken = strings.Repeat("0123456789abcdef", 16)

// node returns a Middleware with a cache of its own that adopts pending keys.
func (h *host) node(schemes ...rehash.Scheme) *apikey.Middleware {
	h.t.Helper()
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
	require.NoError(h.t, err)
	db := h.open()
	cache, err := cachestore.New(db.Store, cachestore.Options{})
	require.NoError(h.t, err)
	h.t.Cleanup(func() { cache.Close() })
	issuer, err := apikey.NewIssuer(db.Store, apikey.IssuerOptions{Format: format})
	require.NoError(h.t, err)
	adopter, err := rehash.New(cache, issuer, rehash.Options{Schemes: schemes})
	require.NoError(h.t, err)
	keys, err := apikey.New(cache, apikey.Options{Format: format, Adopt: adopter.Adopt})
	require.NoError(h.t, err)
	return keys
}

// adopts fails unless two nodes accept a key as the key with this name, and refuse another key.
func (h *host) adopts(scheme rehash.Scheme, key, name string) {
	h.t.Helper()
	one, two := h.node(scheme), h.node(scheme)
	for i, node := range []*apikey.Middleware{one, one, two, two} {
		status, who := serve(h.t, node, key)
		assert.Equal(h.t, 200, status, "request %d", i)
		assert.Equal(h.t, name, who)
	}
	status, _ := serve(h.t, one, key+"0")
	assert.Equal(h.t, 401, status)
}

func TestSanctum(t *testing.T) {
	h := newHost(t)
	f := newServer(t, testdb.MySQL, "CREATE TABLE personal_access_tokens (id bigint unsigned AUTO_INCREMENT PRIMARY KEY, tokenable_type varchar(255) NOT NULL, tokenable_id bigint unsigned NOT NULL, "+
		"name varchar(255) NOT NULL, token varchar(64) NOT NULL UNIQUE, abilities text, last_used_at timestamp NULL, expires_at timestamp NULL, created_at timestamp NULL, updated_at timestamp NULL)",
		`INSERT INTO personal_access_tokens VALUES (7, 'App\\Models\\User', 3, 'CI', '`+sanctumHash+`', '["server:read","*"]', '2024-05-06 07:08:09', '2037-01-31 00:00:00', '2024-01-02 03:04:05', NULL)`)
	exit, r := h.importFrom("sanctum", "--source", f.url, "--scope-map", "server:read=read")
	assert.Zero(t, exit)
	assert.Equal(t, map[statusName]int{pending: 1}, r.Count)
	assert.Equal(t, []string{"scopes dropped: *"}, r.Rows[0].Notes)
	h.refused(sanctumToken) // a service without package rehash
	h.adopts(rehash.Sanctum(), sanctumToken, "CI")
	key := h.active("CI")
	assert.Equal(t, `App\Models\User:3`, key.Owner)
	assert.Equal(t, []string{"read"}, key.Scopes)
	assert.Equal(t, at("2037-01-31T00:00:00Z"), key.ExpiresAt)
	assert.Equal(t, at("2024-01-02T03:04:05Z"), key.CreatedAt)
	assert.Equal(t, map[string]string{"source": "sanctum", "source_id": "7"}, key.Metadata)
	exit, r = h.importFrom("sanctum", "--source", f.url)
	assert.Zero(t, exit)
	assert.Equal(t, map[statusName]int{exists: 1}, r.Count, "after the first use too")
}

// active returns the only active key with a name.
func (h *host) active(name string) (found apikey.Key) {
	h.t.Helper()
	for key, err := range apikey.Keys(h.t.Context(), h.open().Store, apikey.ListOptions{Status: apikey.StatusActive}) {
		require.NoError(h.t, err)
		if key.Name == name {
			require.Empty(h.t, found.ID, "two keys have the name")
			found = key
		}
	}
	require.NotEmpty(h.t, found.ID)
	return found
}

func newGitea(t *testing.T) *fixture {
	return newFile(t, `CREATE TABLE access_token (id INTEGER PRIMARY KEY, uid INTEGER, name TEXT, token_hash TEXT UNIQUE, token_salt TEXT, token_last_eight TEXT, scope TEXT, created_unix INTEGER, updated_unix INTEGER)`,
		`INSERT INTO access_token VALUES (5, 3, 'CI', '`+giteaHash+`', 'Xy3AbCdE9z', '01234567', 'read:repository,write:issue', 1700000000, 1710000000),
			(6, 3, 'Twin', '`+strings.Repeat("ab", 50)+`', 'salt', '01234567', 'all', 1700000000, 1710000000),
			(7, 3, 'Broken', 'x', 'salt', '11234567', 'all', 1700000000, 1710000000)`)
}

func TestGitea(t *testing.T) {
	h := newHost(t)
	f := newGitea(t)
	for range 2 {
		exit, r := h.importFrom("gitea", "--source", f.url, "--scope-map", "write:issue=write", "--sample=false")
		assert.Equal(t, 1, exit)
		assert.Contains(t, rowOf(t, r, "6").Problem, "issue a new key")
		assert.Contains(t, rowOf(t, r, "7").Problem, "lower-case hex")
	}
	h.adopts(rehash.Gitea(), giteaToken, "CI")
	key := h.active("CI")
	assert.Equal(t, "3", key.Owner)
	assert.Equal(t, "…01234567", key.Hint)
	assert.Equal(t, []string{"write"}, key.Scopes)
}

func TestASampleProvesAPendingKey(t *testing.T) {
	h := newHost(t)
	f := newGitea(t)
	exit, _, errs := h.run(giteaToken+"\n", "import", "--from", "gitea", "--source", f.url, "--sample", "--dry-run")
	assert.Equal(t, 1, exit, "two rows cannot be imported")
	assert.Contains(t, errs, `The key belongs to source ID 5, "CI".`)
	exit, _, errs = h.run("1123456789abcdef0123456789abcdef01234567\n", "import", "--from", "gitea", "--source", f.url, "--sample")
	assert.Equal(t, cli.ExitRefused, exit)
	assert.Contains(t, errs, "no row of the source has this key")
}

func TestGrafana(t *testing.T) {
	h := newHost(t)
	f := newFile(t, `CREATE TABLE api_key (id INTEGER PRIMARY KEY, org_id INTEGER, name TEXT, key TEXT, role TEXT, created DATETIME, updated DATETIME, last_used_at DATETIME, expires INTEGER, service_account_id INTEGER, is_revoked INTEGER)`,
		`INSERT INTO api_key VALUES (1, 1, 'Dashboards', '`+grafanaHash+`', 'Viewer', '2024-01-02 03:04:05', '2024-01-02 03:04:05', NULL, 4102444800, 9, 0),
			(2, 1, 'Legacy', 'x', 'Viewer', '2024-01-02 03:04:05', '2024-01-02 03:04:05', NULL, NULL, NULL, NULL)`)
	exit, r := h.importFrom("grafana", "--source", f.url)
	assert.Equal(t, 1, exit)
	assert.Contains(t, rowOf(t, r, "2").Problem, "before service accounts")
	h.adopts(rehash.Grafana(), grafanaToken, "Dashboards")
	assert.Equal(t, at("2100-01-01T00:00:00Z"), h.active("Dashboards").ExpiresAt)
}

func TestDjango(t *testing.T) {
	h := newHost(t)
	f := newServer(t, testdb.Postgres, `CREATE TABLE rest_framework_api_key_apikey (id varchar(150) PRIMARY KEY, prefix varchar(8) UNIQUE, hashed_key varchar(150), created timestamptz, name varchar(50), revoked boolean, expiry_date timestamptz)`,
		`INSERT INTO rest_framework_api_key_apikey VALUES ('a', 'Ab3dEf6h', '`+sha512Hash+`', '2024-01-02T03:04:05Z', 'Version 3', false, NULL),
			('b', 'Zz3dEf6h', '`+pbkdf2Hash+`', '2024-01-02T03:04:05Z', 'Version 2', false, NULL),
			('c', 'Rr3dEf6h', '`+pbkdf2Hash+`', '2024-01-02T03:04:05Z', 'Revoked', true, NULL)`)
	exit, r := h.importFrom("django", "--source", f.url)
	assert.Zero(t, exit)
	assert.Equal(t, 3, r.Count[pending])
	h.adopts(rehash.Django(), sha512Token, "Version 3")
	h.adopts(rehash.Django(), pbkdf2Token, "Version 2")
	assert.NotZero(t, h.keys()["Revoked"].RevokedAt)
}

func TestStrapi(t *testing.T) {
	h := newHost(t)
	f := newFile(t, `CREATE TABLE strapi_api_tokens (id INTEGER PRIMARY KEY, name TEXT, type TEXT, access_key TEXT, lifespan INTEGER, last_used_at INTEGER, expires_at INTEGER, created_at INTEGER)`,
		`INSERT INTO strapi_api_tokens VALUES (4, 'Site', 'read-only', '`+strapiHash+`', NULL, 1710000000000, NULL, 1700000000000)`)
	exit, _, errs := h.run(strapiToken+"\n", "import", "--from", "strapi", "--source", f.url, "--scope-map", "read-only=read", "--sample",
		"--strapi-salt-file", writeFile(t, "salt", strapiSalt))
	assert.Zero(t, exit, errs)
	h.adopts(rehash.Strapi(apikey.NewSecret(strapiSalt)), strapiToken, "Site")
	assert.Equal(t, []string{"read"}, h.active("Site").Scopes)
}

func TestPendingKeysAreListedAndCanBeRevoked(t *testing.T) {
	h := newHost(t)
	f := newGitea(t)
	h.importFrom("gitea", "--source", f.url, "--deadline", "240h")
	list := func() (all []waiting) {
		exit, out, errs := h.run("", "import", "--pending", "--json")
		require.Zero(t, exit, errs)
		require.NoError(t, json.Unmarshal([]byte(out), &all))
		return all
	}
	require.Len(t, list(), 1)
	w := list()[0]
	assert.Equal(t, "5", w.SourceID)
	assert.WithinDuration(t, time.Now().Add(240*time.Hour), w.Until, time.Hour)
	assert.False(t, w.Late)
	exit, out, _ := h.run("", "import", "--pending")
	assert.Zero(t, exit)
	assert.Contains(t, out, "gitea 5")
	_, err := h.open().Store.Revoke(t.Context(), w.KeyID)
	require.NoError(t, err)
	assert.Empty(t, list())
	status, _ := serve(t, h.node(rehash.Gitea()), giteaToken)
	assert.Equal(t, 401, status)
	exit, _, _ = h.run("", "import", "--from", "gitea", "--source", f.url, "--deadline", "-1h")
	assert.Equal(t, cli.ExitUsage, exit)
}
