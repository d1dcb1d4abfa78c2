package serve

import (
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/admin"
	"github.com/latchkey-dev/apikey/manage"
)

const libraryRules = `rules:
  - match: GET /health
    public: true
  - match: GET /library
    scopes: [library:read]
`

func TestAKeyOfTheManagementAPIWorksUntilItsRevocation(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	parent, _ := issue(t, newIssuer(t, db), manager, "library:read")
	p := startServer(t, nil, "--database", db, "--rules", write(t, t.TempDir(), "rules.yaml", libraryRules)).ready(t)
	assert.Equal(t, 200, p.get(t, "/livez").status)

	made := send(t, p.client, "POST", p.url+"/api/keys", `{"name":"Shop","scopes":["library:read"]}`, "X-API-Key: "+parent, "Content-Type: application/json")
	require.Equal(t, 201, made.status, made.body)
	var key struct {
		Secret string
		Key    struct{ ID string }
	}
	require.NoError(t, json.Unmarshal([]byte(made.body), &key))
	require.NotEmpty(t, key.Secret)

	allowed := p.asks(t, "GET", "/library", "X-API-Key: "+key.Secret)
	assert.Equal(t, 200, allowed.status)
	assert.Empty(t, allowed.body)
	assert.Equal(t, []string{key.Key.ID, "Shop", "alice", "library:read"}, []string{allowed.header.Get("X-Apikey-Id"), allowed.header.Get("X-Apikey-Name"), allowed.header.Get("X-Apikey-Owner"), allowed.header.Get("X-Apikey-Scopes")})
	for _, test := range []struct {
		rule, method, uri, key string
		status                 int
	}{
		{"no key", "GET", "/library", "", 401},
		{"a wrong key", "GET", "/library", "ak_wrong", 401},
		{"another method", "DELETE", "/library", key.Secret, 403},
		{"another route", "GET", "/", key.Secret, 403},
		{"a public route", "GET", "/health", "", 200},
		{"a public route with a wrong key", "GET", "/health", "ak_wrong", 401},
		{"a slash at the end", "GET", "/library/", key.Secret, 403},
		{"an escaped slash", "GET", "/health%2Fx", "", 403},
		{"dots", "GET", "/library/../health", "", 403},
	} {
		assert.Equal(t, test.status, p.asks(t, test.method, test.uri, "X-API-Key: "+test.key).status, test.rule)
	}
	assert.Equal(t, 403, p.get(t, "/api/keys", "X-API-Key: "+key.Secret).status, "a key without apikeys:manage manages no keys")
	assert.Equal(t, 401, p.get(t, "/api/keys").status)

	revoked := send(t, p.client, "POST", p.url+"/api/keys/"+key.Key.ID+"/revoke", "", "X-API-Key: "+parent)
	require.Equal(t, 200, revoked.status, revoked.body)
	assert.Equal(t, 401, p.asks(t, "GET", "/library", "X-API-Key: "+key.Secret).status, "this process refuses the key at once")

	metrics := send(t, p.client, "GET", p.metricsURL+"/metrics", "").body
	assert.Contains(t, metrics, `apikey_decisions_total{outcome="accepted",source="header X-API-Key"}`)
	assert.Contains(t, metrics, `apikey_forward_auth_total{status="200"} 2`)
	assert.Contains(t, metrics, "apikey_cache_lease_seconds ")
	assert.Equal(t, 404, p.get(t, "/metrics").status, "the address for clients serves no metrics")
	log := p.stop(t)
	for _, private := range []string{key.Secret, key.Secret[3:20], parent, "/library"} {
		assert.NotContains(t, log, private)
		assert.NotContains(t, metrics, private)
	}
	for _, private := range []string{key.Key.ID, "Shop", "alice", "203.0.113.9"} {
		assert.NotContains(t, metrics, private)
	}
}

func TestAdministratorsKeyManagesEveryKey(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	issuer := newIssuer(t, db)
	_, id := issue(t, issuer)
	administrator, _, err := issuer.Issue(t.Context(), apikey.NewKey{Name: "Terraform", Scopes: []string{manage.ScopeAdminister}})
	require.NoError(t, err)
	p := startServer(t, nil, "--database", db).ready(t)
	key := "X-API-Key: " + administrator.Reveal()
	assert.Equal(t, 200, p.get(t, "/api/keys/"+id, key).status, "the key of an owner")
	made := send(t, p.client, "POST", p.url+"/api/keys", `{"name":"Shop","owner":"bob","scopes":["library:read"]}`, key, "Content-Type: application/json")
	assert.Equal(t, 201, made.status, made.body)
	p.stop(t)
}

func TestOnlyTrustedProxiesAndKnownPathsAreAnswered(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	secret, _ := issue(t, newIssuer(t, db), "library:read")
	rules := write(t, t.TempDir(), "rules.yaml", libraryRules)
	forged := []string{"X-Original-Method: GET", "X-Original-URI: /library", "X-Forwarded-Method: GET", "X-Forwarded-Uri: /library", "X-Forwarded-Host: a.example", "X-Forwarded-For: 203.0.113.9", "X-API-Key: " + secret}

	p := startServer(t, nil, "--database", db, "--rules", rules, "--trust", "10.0.0.7/32").ready(t)
	for _, path := range []string{"/auth/nginx", "/auth/caddy", "/auth/traefik", "/auth/apisix", "/auth/envoy/library"} {
		assert.Equal(t, 403, p.get(t, path, forged...).status, "%s of another peer", path)
	}
	p = startServer(t, nil, "--database", db, "--rules", rules).ready(t)
	for _, path := range []string{"/auth/nginx", "/auth/caddy", "/auth/traefik", "/auth/apisix"} {
		assert.Equal(t, 200, p.get(t, path, forged...).status, path)
	}
	assert.Equal(t, 200, p.get(t, "/auth/envoy/library", "X-API-Key: "+secret, "X-Forwarded-For: 203.0.113.9").status)
	for _, path := range []string{"/auth/", "/auth/other", "/auth/nginx/", "/auth/nginx/library", "/auth/envoy", "/auth/envoy/other", "/auth//nginx", "/auth/envoy/library/../health"} {
		assert.NotEqual(t, 200, p.get(t, path, forged...).status, path)
	}
	for _, missing := range []string{"X-Original-Method", "X-Original-URI", "X-Forwarded-For"} {
		var rest []string
		for _, line := range forged {
			if !strings.HasPrefix(line, missing) {
				rest = append(rest, line)
			}
		}
		assert.NotEqual(t, 200, p.get(t, "/auth/nginx", rest...).status, "without %s", missing)
	}

	p = startServer(t, nil, "--database", db).ready(t)
	assert.Equal(t, 404, p.get(t, "/auth/nginx", forged...).status, "without --rules")
	assert.Equal(t, 404, p.get(t, "/admin/").status, "without a password")
}

func TestDashboardOpensWithItsPassword(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery staple"
	hash, err := admin.HashPassword(apikey.NewSecret(password))
	require.NoError(t, err)
	login := func(t *testing.T, p *process, password string) int {
		t.Helper()
		return send(t, p.client, "POST", p.url+"/admin/login", url.Values{"password": {password}}.Encode(),
			"Content-Type: application/x-www-form-urlencoded", "Sec-Fetch-Site: same-origin").status
	}
	t.Run("password from a file", func(t *testing.T) {
		t.Parallel()
		p := startServer(t, nil, "--database", newSQLite(t), "--migrate", "--password-hash-file", write(t, t.TempDir(), "hash", hash.Reveal()+"\n")).ready(t)
		assert.Contains(t, p.get(t, "/admin/login").body, "password")
		assert.Equal(t, 303, login(t, p, password))
		assert.NotEqual(t, 303, login(t, p, "wrong"))
		log := p.stop(t)
		assert.NotContains(t, log, password)
		assert.NotContains(t, log, "argon2id")
	})
	t.Run("password from the environment", func(t *testing.T) {
		t.Parallel()
		p := startServer(t, []string{"APIKEY_PASSWORD_HASH=" + hash.Reveal(), "APIKEY_MIGRATE=true", "APIKEY_DATABASE=" + newSQLite(t)}).ready(t)
		assert.Equal(t, 303, login(t, p, password))
	})
	t.Run("a password for one run is printed and not logged", func(t *testing.T) {
		t.Parallel()
		cmd := exec.Command(binary(t), "serve", "--listen", "127.0.0.1:0", "--metrics", "off", "--database", newSQLite(t), "--migrate", "--generate-password")
		stdout, err := cmd.StdoutPipe()
		require.NoError(t, err)
		var log strings.Builder
		cmd.Stderr = &log
		require.NoError(t, cmd.Start())
		line := make([]byte, 200)
		n, err := io.ReadAtLeast(stdout, line, 40)
		require.NoError(t, err)
		match := regexp.MustCompile(`for this run: ([A-Z2-7]{26})\n`).FindSubmatch(line[:n])
		require.NotNil(t, match, "%s", line[:n])
		require.NoError(t, cmd.Process.Signal(syscall.SIGTERM))
		require.NoError(t, cmd.Wait(), log.String())
		assert.NotContains(t, log.String(), string(match[1]))
	})
}

func TestASecondSIGTERMEndsTheDrain(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	issuer := newIssuer(t, db)
	secret, id := issue(t, issuer)
	p := startServer(t, nil, "--database", db, "--drain", "1h").ready(t)
	require.Equal(t, 200, p.get(t, "/api/whoami", "X-API-Key: "+secret).status)
	p.signal(t, syscall.SIGTERM)
	eventually(t, func() bool { return strings.Contains(p.log(), "serve: stopping") }, "the drain does not begin")
	p.signal(t, syscall.SIGTERM)
	select {
	case err := <-p.ended:
		p.ended <- nil
		require.NoError(t, err, p.log())
	case <-time.After(patience):
		t.Fatal("the drain does not end")
	}
	key, err := issuer.Manager().Get(t.Context(), id)
	require.NoError(t, err)
	assert.False(t, key.LastUsedAt.IsZero(), "the last use is written")
}

func TestSIGTERMFinishesRequestsAndWritesLastUses(t *testing.T) {
	t.Parallel()
	db := newSQLite(t)
	issuer := newIssuer(t, db)
	secret, id := issue(t, issuer)
	p := startServer(t, nil, "--database", db, "--drain", "1s").ready(t)
	assert.Equal(t, 200, p.get(t, "/api/whoami", "X-API-Key: "+secret).status)
	slow, finish := io.Pipe() // a request whose body is still on its way
	answered := make(chan int, 1)
	go func() {
		r, _ := http.NewRequestWithContext(t.Context(), "POST", p.url+"/api/identify", slow)
		r.Header.Set("X-API-Key", secret)
		r.Header.Set("Content-Type", "application/json")
		res, err := p.client.Do(r)
		if !assert.NoError(t, err) {
			answered <- 0
			return
		}
		res.Body.Close()
		answered <- res.StatusCode
	}()
	io.WriteString(finish, `{"secret":`)
	p.signal(t, syscall.SIGTERM)
	eventually(t, func() bool { return p.get(t, "/readyz").status == 503 }, "/readyz does not fail")
	assert.Equal(t, 200, p.get(t, "/api/whoami", "X-API-Key: "+secret).status, "requests are served during the drain")
	io.WriteString(finish, `"x"}`)
	finish.Close()
	assert.NotZero(t, <-answered)
	assert.NoError(t, <-p.ended, p.log())
	p.ended <- nil
	key, err := issuer.Manager().Get(t.Context(), id)
	require.NoError(t, err)
	assert.WithinDuration(t, time.Now(), key.LastUsedAt, patience, "the last use is written")
}
