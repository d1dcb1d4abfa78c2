package takeover

import (
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"

	"github.com/latchkey-dev/apikey/internal/testdb"
)

const (
	hubKey    = "0123456789abcdef0123456789abcdef"
	backupKey = "fedcba9876543210fedcba9876543210"
	userToken = "11111111111111112222222222222222"
)

// works fails unless requests with a key get the identity of the key with this name.
func (h *host) works(key, name string) {
	h.t.Helper()
	status, who := h.request(key)
	assert.Equal(h.t, 200, status, name)
	assert.Equal(h.t, name, who)
}

// refused fails unless requests with a key are refused.
func (h *host) refused(key string) {
	h.t.Helper()
	status, _ := h.request(key)
	assert.Equal(h.t, 401, status)
}

func hexSum(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

func base64Sum(e *base64.Encoding, key string) string {
	sum := sha256.Sum256([]byte(key))
	return e.EncodeToString(sum[:])
}

func at(text string) time.Time {
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		panic(err)
	}
	return t
}

func TestJellyfinSince10_8(t *testing.T) {
	h := newHost(t)
	f := newFile(t, `CREATE TABLE "ApiKeys" ("Id" INTEGER NOT NULL CONSTRAINT "PK_ApiKeys" PRIMARY KEY AUTOINCREMENT, "DateCreated" TEXT NOT NULL,
		"DateLastActivity" TEXT NOT NULL, "Name" TEXT NOT NULL, "AccessToken" TEXT NOT NULL)`,
		`CREATE UNIQUE INDEX "IX_ApiKeys_AccessToken" ON "ApiKeys" ("AccessToken")`,
		`CREATE TABLE "Devices" ("Id" INTEGER PRIMARY KEY, "UserId" TEXT NOT NULL, "AccessToken" TEXT NOT NULL, "AppName" TEXT NOT NULL)`,
		`INSERT INTO "ApiKeys" VALUES (7, '2024-02-03 04:05:06.1234567', '2024-09-09 00:00:00', 'Sonarr', '`+hubKey+`'),
			(8, '2024-02-03 04:05:06', '0001-01-01 00:00:00', '', '`+backupKey+`')`,
		`INSERT INTO "Devices" VALUES (1, 'user', '`+userToken+`', 'Jellyfin Web')`)
	status, r := h.importFrom("jellyfin", "--source", f.url)
	assert.Zero(t, status)
	assert.Equal(t, 2, r.Total)
	h.works(hubKey, "Sonarr")
	h.works(backupKey, "Key 8")
	h.refused(userToken)
	key := h.keys()["Sonarr"]
	assert.Equal(t, map[string]string{"source": "jellyfin", "source_id": "7"}, key.Metadata)
	assert.Equal(t, at("2024-02-03T04:05:06Z"), key.CreatedAt.Truncate(time.Second))
	assert.NotEqual(t, 2024, key.LastUsedAt.Year(), "Jellyfin does not maintain the last use")
	assert.Equal(t, "…cdef", key.Hint)
}

const legacyTokens = ` (Id INTEGER PRIMARY KEY, AccessToken TEXT NOT NULL, DeviceId TEXT NOT NULL, AppName TEXT NOT NULL, AppVersion TEXT NOT NULL,
	DeviceName TEXT NOT NULL, UserId TEXT, UserName TEXT, IsActive BIT NOT NULL, DateCreated DATETIME NOT NULL, DateLastActivity DATETIME NOT NULL)`

func TestJellyfinUpTo10_7AndEmby3_5(t *testing.T) {
	for _, system := range []string{"jellyfin", "emby"} {
		t.Run(system, func(t *testing.T) {
			h := newHost(t)
			f := newFile(t, "CREATE TABLE Tokens"+legacyTokens,
				`INSERT INTO Tokens VALUES (1, '`+hubKey+`', 'd', 'Sonarr', '1', 'n', NULL, NULL, 1, '2020-02-03 04:05:06Z', '2020-09-09 00:00:00Z'),
					(2, '`+userToken+`', 'd', 'Web', '1', 'n', 'a user', 'Ann', 1, '2020-02-03 04:05:06Z', '2020-09-09 00:00:00Z'),
					(3, '`+backupKey+`', 'd', 'Old', '1', 'n', NULL, NULL, 0, '2020-02-03 04:05:06Z', '2020-09-09 00:00:00Z')`)
			status, r := h.importFrom(system, "--source", f.url)
			assert.Zero(t, status)
			assert.Equal(t, 1, r.Total, "tokens of users are sessions, and inactive keys are deleted")
			h.works(hubKey, "Sonarr")
			h.refused(userToken)
			h.refused(backupKey)
			assert.Equal(t, at("2020-02-03T04:05:06Z"), h.keys()["Sonarr"].CreatedAt)
		})
	}
}

func TestEmbyUpTo3_3(t *testing.T) {
	h := newHost(t)
	f := newFile(t, `CREATE TABLE AccessTokens (Id GUID PRIMARY KEY, AccessToken TEXT NOT NULL, DeviceId TEXT, AppName TEXT, AppVersion TEXT,
		DeviceName TEXT, UserId TEXT, IsActive BIT, DateCreated DATETIME NOT NULL, DateRevoked DATETIME)`,
		`INSERT INTO AccessTokens VALUES ('g1', '`+hubKey+`', NULL, 'Sonarr', NULL, NULL, NULL, 1, '2016-02-03 04:05:06Z', NULL),
			('g2', '`+backupKey+`', NULL, 'Gone', NULL, NULL, NULL, 1, '2016-02-03 04:05:06Z', '2017-01-01 00:00:00Z')`)
	status, r := h.importFrom("emby", "--source", f.url)
	assert.Zero(t, status)
	assert.Equal(t, 1, r.Total)
	h.works(hubKey, "Sonarr")
}

func TestEmby4(t *testing.T) {
	h := newHost(t)
	f := newFile(t, `CREATE TABLE Tokens_2 (Id INTEGER PRIMARY KEY, AccessToken TEXT, AppName TEXT, UserId INTEGER, IsActive INTEGER, DateLastActivityInt INTEGER)`,
		`INSERT INTO Tokens_2 VALUES (1, '`+hubKey+`', 'Sonarr', NULL, 1, 5), (2, '`+userToken+`', 'Web', 1, 1, 5)`)
	status, r := h.importFrom("emby", "--source", f.url)
	assert.Zero(t, status)
	assert.Equal(t, 1, r.Total)
	h.works(hubKey, "Sonarr")
	h.refused(userToken)
}

func TestUnkey(t *testing.T) {
	h := newHost(t)
	f := newServer(t, testdb.MySQL, "CREATE TABLE `keys` (pk bigint unsigned AUTO_INCREMENT PRIMARY KEY, id varchar(256) NOT NULL, key_auth_id varchar(256) NOT NULL, "+
		"hash varchar(256) NOT NULL, start varchar(256) NOT NULL, workspace_id varchar(256) NOT NULL, name varchar(256), identity_id varchar(256), meta text, "+
		"expires datetime(3), created_at_m bigint NOT NULL DEFAULT 0, updated_at_m bigint, deleted_at_m bigint, enabled boolean NOT NULL DEFAULT true, "+
		"remaining_requests bigint unsigned, last_used_at bigint unsigned NOT NULL DEFAULT 0, pending_migration_id varchar(256), UNIQUE KEY hash_idx (hash))",
		"INSERT INTO `keys` (id, key_auth_id, hash, start, workspace_id, name, identity_id, expires, created_at_m, updated_at_m, deleted_at_m, enabled, remaining_requests, last_used_at, pending_migration_id) VALUES "+
			"('key_1', 'a', '"+base64Sum(base64.StdEncoding, "uk_3ZUkwqPsYyQE61BoCqZzdEPf")+"', 'uk_3ZU', 'w', 'Production', 'id_1', '2999-01-31 00:00:00.000', 1700000000123, NULL, NULL, true, 100, 1710000000000, NULL),"+
			"('key_2', 'a', '"+base64Sum(base64.StdEncoding, "uk_disabled_1BoCqZzdEPf")+"', 'uk_dis', 'w', 'Disabled', NULL, NULL, 1700000000123, 1700000001000, NULL, false, NULL, 0, NULL),"+
			"('key_3', 'a', '"+base64Sum(base64.StdEncoding, "uk_deleted_51BoCqZzdEPf")+"', 'uk_del', 'w', 'Deleted', NULL, NULL, 1700000000123, NULL, 1700000001000, true, NULL, 0, NULL),"+
			"('key_4', 'a', 'argon2-of-another-system', 'x', 'w', 'Migrating', NULL, NULL, 1700000000123, NULL, NULL, true, NULL, 0, 'm_1')")
	status, r := h.importFrom("unkey", "--source", f.url)
	assert.Equal(t, 1, status, "one key was not imported")
	assert.Equal(t, map[statusName]int{imported: 3, failed: 1}, r.Count)
	assert.Equal(t, failed, rowOf(t, r, "key_4").Status)
	h.works("uk_3ZUkwqPsYyQE61BoCqZzdEPf", "Production")
	h.refused("uk_disabled_1BoCqZzdEPf")
	h.refused("uk_deleted_51BoCqZzdEPf")
	keys := h.keys()
	key := keys["Production"]
	assert.Equal(t, "id_1", key.Owner)
	assert.Equal(t, "uk_3ZU…", key.Hint)
	assert.Equal(t, at("2999-01-31T00:00:00Z"), key.ExpiresAt)
	assert.Equal(t, time.UnixMilli(1700000000123).UTC(), key.CreatedAt)
	assert.Equal(t, []string{"the remaining requests are not imported; set a limit"}, rowOf(t, r, "key_1").Notes)
	assert.NotZero(t, keys["Disabled"].SuspendedAt)
	assert.NotZero(t, keys["Deleted"].RevokedAt)
}

type statusName = status // because the tests call the exit status by that name

func TestBetterAuth(t *testing.T) {
	h := newHost(t)
	const plain = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijkl"
	f := newServer(t, testdb.Postgres, `CREATE TABLE apikey (id text PRIMARY KEY, "configId" text, name text, start text, prefix text, key text NOT NULL, "referenceId" text,
		enabled boolean, "expiresAt" timestamptz, remaining integer, "lastRequest" timestamptz, permissions text, metadata text, "createdAt" timestamptz NOT NULL, "updatedAt" timestamptz NOT NULL)`,
		`INSERT INTO apikey VALUES ('a1', 'default', 'Hashed', 'proj_a', 'proj_', '`+base64Sum(base64.RawURLEncoding, "proj_abcdefghijklmnop")+`', 'user-1', true, '2999-01-31T00:00:00Z', NULL,
			'2024-05-06T07:08:09Z', '{"files":["read","write"],"users":["read"]}', NULL, '2024-01-02T03:04:05Z', '2024-01-02T03:04:05Z'),
			('a2', 'default', NULL, NULL, NULL, '`+plain+`', 'user-2', false, NULL, 5, NULL, NULL, NULL, '2024-01-02T03:04:05Z', '2024-01-03T03:04:05Z')`)
	status, r := h.importFrom("better-auth", "--source", f.url, "--scope-map", "files:read=read,files:write=write")
	assert.Zero(t, status)
	assert.Equal(t, 2, r.Total)
	h.works("proj_abcdefghijklmnop", "Hashed")
	keys := h.keys()
	key := keys["Hashed"]
	assert.Equal(t, []string{"read", "write"}, key.Scopes)
	assert.Equal(t, []string{"scopes dropped: users:read"}, rowOf(t, r, "a1").Notes)
	assert.Equal(t, "user-1", key.Owner)
	assert.Equal(t, at("2024-01-02T03:04:05Z"), key.CreatedAt)
	assert.Equal(t, at("2999-01-31T00:00:00Z"), key.ExpiresAt)
	assert.Equal(t, at("2024-01-03T03:04:05Z"), keys["Key a2"].SuspendedAt)
	h.refused(plain) // suspended
}

func TestLiteLLM(t *testing.T) {
	h := newHost(t)
	const key1 = "sk-1234567890abcdefghijkl"
	f := newServer(t, testdb.Postgres, `CREATE TABLE "LiteLLM_VerificationToken" (token text PRIMARY KEY, key_name text, key_alias text, spend double precision NOT NULL DEFAULT 0,
		expires timestamp(3), models text[], user_id text, team_id text, permissions jsonb NOT NULL DEFAULT '{}', blocked boolean, rpm_limit bigint, max_budget double precision,
		created_at timestamp(3) DEFAULT CURRENT_TIMESTAMP, updated_at timestamp(3), last_active timestamp(3))`,
		`INSERT INTO "LiteLLM_VerificationToken" (token, key_name, key_alias, expires, models, user_id, blocked, rpm_limit, created_at) VALUES
			('`+hexSum(key1)+`', 'sk-...ijkl', 'Chat', '2999-01-31 00:00:00', '{gpt-4o,"claude"}', 'ann', NULL, 5, '2024-01-02 03:04:05'),
			('`+hexSum("sk-blocked-90abcdefghijkl")+`', 'sk-...ijkl', NULL, NULL, '{}', NULL, true, NULL, '2024-01-02 03:04:05')`)
	status, r := h.importFrom("litellm", "--source", f.url, "--owner", "everyone")
	assert.Zero(t, status)
	h.works(key1, "Chat")
	h.refused("sk-blocked-90abcdefghijkl")
	keys := h.keys()
	assert.Equal(t, "ann", keys["Chat"].Owner)
	assert.Equal(t, "everyone", keys["sk-...ijkl"].Owner)
	assert.Empty(t, keys["Chat"].Scopes, "an unknown scope becomes none")
	assert.Equal(t, at("2024-01-02T03:04:05Z"), keys["Chat"].CreatedAt)
	id := hexSum(key1)[:16]
	assert.Equal(t, []string{"budgets and rates are not imported; set a limit", "scopes dropped: gpt-4o claude"}, rowOf(t, r, id).Notes)
	assert.Equal(t, id, keys["Chat"].Metadata["source_id"], "a digest is not shown")
}

func TestKong(t *testing.T) {
	h := newHost(t)
	f := newServer(t, testdb.Postgres, `CREATE TABLE consumers (id uuid PRIMARY KEY, username text, custom_id text)`,
		`CREATE TABLE keyauth_credentials (id uuid PRIMARY KEY, created_at timestamptz, consumer_id uuid, key text, ttl timestamptz, tags text[], ws_id uuid)`,
		`INSERT INTO consumers VALUES ('00000000-0000-0000-0000-00000000000a', 'ann', NULL), ('00000000-0000-0000-0000-00000000000b', 'bob', 'customer 7')`,
		`INSERT INTO keyauth_credentials VALUES
			('00000000-0000-0000-0000-000000000001', '2024-01-02T03:04:05Z', '00000000-0000-0000-0000-00000000000a', '`+hubKey+`', '2999-01-31T00:00:00Z', NULL, '00000000-0000-0000-0000-0000000000f1'),
			('00000000-0000-0000-0000-000000000002', '2024-01-02T03:04:05Z', '00000000-0000-0000-0000-00000000000b', '`+backupKey+`', NULL, '{x}', '00000000-0000-0000-0000-0000000000f1'),
			('00000000-0000-0000-0000-000000000003', '2024-01-02T03:04:05Z', '00000000-0000-0000-0000-00000000000b', '`+hubKey+`', NULL, NULL, '00000000-0000-0000-0000-0000000000f2'),
			('00000000-0000-0000-0000-000000000004', '2024-01-02T03:04:05Z', NULL, 'short', NULL, NULL, NULL)`)
	exit, r := h.importFrom("kong", "--source", f.url)
	assert.Equal(t, 1, exit)
	assert.Equal(t, map[statusName]int{imported: 2, duplicate: 1, failed: 1}, r.Count)
	second := rowOf(t, r, "00000000-0000-0000-0000-000000000003")
	assert.Equal(t, "the same key as 00000000-0000-0000-0000-000000000001", second.Problem, "two workspaces may have one key")
	assert.Contains(t, rowOf(t, r, "00000000-0000-0000-0000-000000000004").Problem, "too short")
	h.works(hubKey, "ann")
	h.works(backupKey, "bob")
	assert.Equal(t, "customer 7", h.keys()["bob"].Owner)
	assert.Equal(t, at("2999-01-31T00:00:00Z"), h.keys()["ann"].ExpiresAt)
}
