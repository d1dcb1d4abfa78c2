package declare

import (
	"bytes"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"net/netip"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/database"
)

const (
	hubKey    = "0123456789abcdef0123456789abcdef"
	backupKey = "fedcba9876543210fedcba9876543210"
)

func hexSHA256(key string) string {
	sum := sha256.Sum256([]byte(key))
	return hex.EncodeToString(sum[:])
}

// A host is a directory with a database and files.
type host struct {
	t   *testing.T
	dir string
}

func newHost(t *testing.T) *host {
	t.Parallel()
	h := &host{t, t.TempDir()}
	status, _, errs := h.run("", "migrate")
	require.Zero(t, status, errs)
	return h
}

// run runs the command and returns its status and its output.
func (h *host) run(stdin string, args ...string) (status int, out, errs string) {
	var o, e bytes.Buffer
	env := map[string]string{"APIKEY_DATABASE": filepath.Join(h.dir, "keys.db"), "APIKEY_ALLOW_IMPORTED": "true", "APIKEY_ACTOR": "deployment"}
	app := cli.New(cli.Streams{In: strings.NewReader(stdin), Out: &o, Err: &e}, func(name string) string { return env[name] })
	root := app.Root()
	root.AddCommand(cli.Migrate(app), Command(app))
	status = app.Run(h.t.Context(), root, args)
	return status, o.String(), e.String()
}

// apply applies a text and returns the standard output.
func (h *host) apply(text string, flags ...string) string {
	h.t.Helper()
	status, out, errs := h.run(text, append([]string{"apply", "-f", "-"}, flags...)...)
	require.Zero(h.t, status, errs)
	return out
}

// refuse applies a text that must be refused, and returns the error.
func (h *host) refuse(text string) string {
	h.t.Helper()
	status, out, errs := h.run(text, "apply", "-f", "-")
	assert.Equal(h.t, cli.ExitUsage, status)
	assert.Empty(h.t, out)
	return errs
}

func (h *host) write(name, text string) {
	h.t.Helper()
	require.NoError(h.t, os.WriteFile(filepath.Join(h.dir, name), []byte(text), 0o600))
}

// keys returns all keys by name.
func (h *host) keys() map[string]apikey.Key {
	h.t.Helper()
	db, err := database.Open(apikey.NewSecret(filepath.Join(h.dir, "keys.db")), "")
	require.NoError(h.t, err)
	defer db.Close()
	all := map[string]apikey.Key{}
	for key, err := range apikey.Keys(h.t.Context(), db.Store, apikey.ListOptions{}) {
		require.NoError(h.t, err)
		all[key.Name] = key
	}
	return all
}

// request sends a request with a key to a service that uses the database.
func (h *host) request(key string) int {
	h.t.Helper()
	db, err := database.Open(apikey.NewSecret(filepath.Join(h.dir, "keys.db")), "")
	require.NoError(h.t, err)
	defer db.Close()
	format, err := apikey.NewFormat("ak", apikey.FormatOptions{AllowImported: true})
	require.NoError(h.t, err)
	keys, err := apikey.New(db.Store, apikey.Options{Format: format})
	require.NoError(h.t, err)
	r := httptest.NewRequest("GET", "/", nil)
	r.Header.Set("X-API-Key", key)
	w := httptest.NewRecorder()
	keys.Handler(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {})).ServeHTTP(w, r)
	return w.Code
}

func TestApplyCreatesEveryField(t *testing.T) {
	h := newHost(t)
	out := h.apply(`
set: homelab
keys:
  - name: Hub
    sha256: ` + hexSHA256(hubKey) + `
    owner: ops
    scopes: [read, write]
    expires_at: 2999-01-31
    networks: [192.0.2.0/24, 2001:db8::1]
    limits: [api=100/1m, quota=10000/month]
    metadata: {team: storage, ticket: 42}
    suspended: true
`)
	assert.Contains(t, out, "+ create Hub")
	assert.Contains(t, out, "1 changed, 0 unchanged")
	key := h.keys()["Hub"]
	assert.Equal(t, "ops", key.Owner)
	assert.Equal(t, []string{"read", "write"}, key.Scopes)
	assert.Equal(t, "2999-01-31T00:00:00Z", key.ExpiresAt.Format("2006-01-02T15:04:05Z07:00"))
	assert.Equal(t, []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::1/128")}, key.Networks)
	assert.Len(t, key.Limits, 2)
	assert.Equal(t, map[string]string{"declared_by": "homelab", "team": "storage", "ticket": "42"}, key.Metadata)
	assert.NotZero(t, key.SuspendedAt)
}

func TestDeclaredKeysWorkInEachEncoding(t *testing.T) {
	h := newHost(t)
	h.write("secret", backupKey+"\n")
	sum := sha256.Sum256([]byte("third-key-of-another-system"))
	h.write("keys.yaml", `
set: homelab
keys:
  - {name: hex, sha256: `+hexSHA256(hubKey)+`}
  - {name: base64url, sha256: `+base64.RawURLEncoding.EncodeToString(sum[:])+`}
  - {name: a file beside this one, secret_file: secret}
`)
	status, _, errs := h.run("", "apply", "-f", filepath.Join(h.dir, "keys.yaml"))
	require.Zero(t, status, errs)
	for _, key := range []string{hubKey, "third-key-of-another-system", backupKey} {
		assert.Equal(t, 200, h.request(key))
	}
	assert.Equal(t, 401, h.request(hubKey+"0"))
}

func TestApplyAgainChangesNothing(t *testing.T) {
	h := newHost(t)
	text := "set: s\nkeys:\n  - {name: Hub, sha256: " + hexSHA256(hubKey) + ", suspended: true, networks: [10.0.0.0/8], limits: [api=1/60s]}\n"
	h.apply(text)
	first := h.keys()["Hub"]
	assert.Equal(t, "0 changed, 1 unchanged\n", h.apply(text, "--exit-code"))
	assert.Equal(t, first, h.keys()["Hub"], "the suspension keeps its time")
}

func TestApplyUpdatesAndShowsTheDifference(t *testing.T) {
	h := newHost(t)
	h.apply("set: s\nkeys:\n  - {name: Hub, sha256: " + hexSHA256(hubKey) + ", scopes: [read], owner: ops, suspended: true}\n")
	id := h.keys()["Hub"].ID
	out := h.apply("set: s\nkeys:\n  - {name: Old hub, sha256: " + hexSHA256(hubKey) + ", scopes: [read, write]}\n")
	assert.Contains(t, out, "~ update Old hub ("+id+")\n")
	for _, line := range []string{`name: "Hub" -> "Old hub"`, `owner: "ops" -> ""`, `scopes: "read" -> "read write"`} {
		assert.Contains(t, out, line)
	}
	key := h.keys()["Old hub"]
	assert.Equal(t, id, key.ID)
	assert.Zero(t, key.SuspendedAt, "an absent field is empty")
}

func TestDryRunChangesNothingAndExitCodeReportsChanges(t *testing.T) {
	h := newHost(t)
	text := "set: s\nkeys:\n  - {name: Hub, sha256: " + hexSHA256(hubKey) + "}\n"
	status, out, errs := h.run(text, "apply", "-f", "-", "--dry-run", "--exit-code")
	assert.Equal(t, cli.ExitChanged, status, errs)
	assert.Contains(t, out, "1 to change")
	assert.Equal(t, "apikey: apply: 1 to change\n", errs)
	assert.Empty(t, h.keys())
	assert.Contains(t, h.apply(text, "--dry-run"), "1 to change", "without --exit-code the status is 0")

	status, out, _ = h.run(text, "apply", "-f", "-", "--json", "--exit-code")
	assert.Equal(t, cli.ExitChanged, status)
	var steps []step
	require.NoError(t, json.Unmarshal([]byte(out), &steps))
	require.Len(t, steps, 1)
	assert.Equal(t, create, steps[0].Action)
	assert.Equal(t, h.keys()["Hub"].ID, steps[0].ID)
}

func TestPruneRevokesOnlyKeysOfTheSet(t *testing.T) {
	h := newHost(t)
	h.apply("set: theirs\nkeys:\n  - {name: Theirs, sha256: " + hexSHA256("key-of-another-set") + "}\n")
	hub, backup := "  - {name: Hub, sha256: "+hexSHA256(hubKey)+"}\n", "  - {name: Backup, sha256: "+hexSHA256(backupKey)+"}\n"
	h.apply("set: ours\nkeys:\n" + hub + backup)
	h.apply("set: ours\nkeys:\n" + hub)
	assert.Zero(t, h.keys()["Backup"].RevokedAt, "without prune a key stays")
	out := h.apply("set: ours\nprune: revoke\nkeys:\n" + hub)
	assert.Contains(t, out, "- revoke Backup (")
	keys := h.keys()
	assert.NotZero(t, keys["Backup"].RevokedAt)
	assert.Zero(t, keys["Hub"].RevokedAt)
	assert.Zero(t, keys["Theirs"].RevokedAt)
	assert.Equal(t, "0 changed, 1 unchanged\n", h.apply("set: ours\nprune: revoke\nkeys:\n"+hub), "a revoked key is not revoked again")

	assert.Contains(t, h.refuse("set: ours\nkeys:\n"+backup), "a revoked key stays revoked")
	assert.Contains(t, h.refuse("set: ours\nkeys:\n  - {name: Theirs, sha256: "+hexSHA256("key-of-another-set")+"}\n"), `belongs to the set "theirs"`)
}

func TestARotationIsNotUndone(t *testing.T) {
	h := newHost(t)
	text := "set: s\nkeys:\n  - {name: Hub, sha256: " + hexSHA256(hubKey) + "}\n"
	h.apply(text)
	old := h.keys()["Hub"].ID
	db, err := database.Open(apikey.NewSecret(filepath.Join(h.dir, "keys.db")), "")
	require.NoError(t, err)
	defer db.Close()
	issuer, err := apikey.NewIssuer(db.Store, apikey.IssuerOptions{})
	require.NoError(t, err)
	secret, successor, err := issuer.Rotate(t.Context(), old, time.Hour)
	require.NoError(t, err)
	require.Equal(t, "s", successor.Metadata["declared_by"])

	for rule, file := range map[string]string{
		"the file would prolong the old key": text,
		"prune would revoke the new key":     "set: s\nprune: revoke\nkeys:\n  - {name: Hub, sha256: " + hexSHA256(hubKey) + ", expires_at: " + successor.CreatedAt.Add(time.Hour).Format(time.RFC3339Nano) + "}\n",
	} {
		errs := h.refuse(file)
		assert.Contains(t, errs, "key "+old+" was rotated", rule)
		assert.Contains(t, errs, successor.ID, rule)
	}
	key, err := db.Store.Get(t.Context(), old)
	require.NoError(t, err)
	assert.NotZero(t, key.ExpiresAt)

	assert.Contains(t, h.apply("set: s\nprune: revoke\nkeys:\n  - {name: Hub, sha256: "+hexSHA256(secret.Reveal())+"}\n"), "- revoke Hub ("+old+")")
	assert.Equal(t, 200, h.request(secret.Reveal()), "the file may declare the successor instead")
}

// Each file declares the first key of a series of rotations whose middle key is revoked.
func TestASecondRotationIsNotUndone(t *testing.T) {
	h := newHost(t)
	text := "set: s\nkeys:\n  - {name: Hub, sha256: " + hexSHA256(hubKey) + "}\n"
	h.apply(text)
	first := h.keys()["Hub"].ID
	db, err := database.Open(apikey.NewSecret(filepath.Join(h.dir, "keys.db")), "")
	require.NoError(t, err)
	defer db.Close()
	issuer, err := apikey.NewIssuer(db.Store, apikey.IssuerOptions{})
	require.NoError(t, err)
	_, second, err := issuer.Rotate(t.Context(), first, time.Hour)
	require.NoError(t, err)
	_, third, err := issuer.Rotate(t.Context(), second.ID, 0)
	require.NoError(t, err)
	declared, err := db.Store.Get(t.Context(), first)
	require.NoError(t, err)

	unchanged := "  - {name: Hub, sha256: " + hexSHA256(hubKey) + ", expires_at: " + declared.ExpiresAt.Format(time.RFC3339Nano) + "}\n"
	for rule, file := range map[string]string{
		"the file would prolong the first key": text,
		"prune would revoke the third key":     "set: s\nprune: revoke\nkeys:\n" + unchanged,
	} {
		errs := h.refuse(file)
		assert.Contains(t, errs, "key "+first+" was rotated", rule)
		assert.Contains(t, errs, third.ID, rule)
	}
	_, err = db.Store.Revoke(t.Context(), third.ID)
	require.NoError(t, err)
	h.apply(text)
	declared, err = db.Store.Get(t.Context(), first)
	require.NoError(t, err)
	assert.Zero(t, declared.ExpiresAt, "the file may prolong the first key when its successors are revoked")
}

func TestInvalidFilesAreRefusedWithTheirLineAndWithoutValues(t *testing.T) {
	h := newHost(t)
	const secret = "sk-live-4eC39HqLyjWDarjtT1zdp7dc"
	good := "set: s\nkeys:\n  - {name: Good, sha256: " + hexSHA256(hubKey) + "}\n"
	for name, test := range map[string]struct{ text, want string }{
		"a key in plain text":          {good + "  - name: Bad\n    key: " + secret + "\n", "line 5: key: a key in the file could be read"},
		"a secret in plain text":       {good + "  - name: Bad\n    Secret: " + secret + "\n", "line 5: Secret: a key in the file"},
		"an unknown field":             {good + "  - name: Bad\n    colour: " + secret + "\n", "line 5: field colour not found in a key"},
		"an unknown field at the top":  {"sett: s\n", "line 1: field sett not found in the file"},
		"a digest that is a key":       {good + "  - {name: Bad, sha256: " + secret + "}\n", "line 4: sha256: not a SHA-256"},
		"a value of a wrong type":      {good + "  - {name: Bad, suspended: " + secret + "}\n", "line 4: cannot unmarshal !!str a value into bool"},
		"both a digest and a file":     {good + "  - {name: Bad, sha256: x, secret_file: y}\n", "line 4: want either"},
		"neither a digest nor a file":  {good + "  - {name: Bad}\n", "line 4: want either"},
		"a secret file that is absent": {good + "  - {name: Bad, secret_file: /nonexistent}\n", "line 4: secret_file"},
		"a bad time":                   {good + "  - {name: Bad, sha256: x, expires_at: tomorrow}\n", "line 4: expires_at"},
		"a bad network":                {good + "  - {name: Bad, sha256: x, networks: [everywhere]}\n", "line 4: networks"},
		"an address with a zone":       {good + "  - {name: Bad, sha256: x, networks: ['fe80::1%eth0']}\n", "line 4: networks"},
		"a bad limit":                  {good + "  - {name: Bad, sha256: x, limits: [" + secret + "]}\n", "line 4: "},
		"a bad owner":                  {good + "  - {name: Bad, sha256: " + hexSHA256(backupKey) + `, owner: "` + secret + `\x01"}` + "\n", "line 4: "},
		"a key as the name of a field": {good + "  - name: Bad\n    " + secret + ": x\n", "line 5: field"},
		"a repeated field":             {good + "  - name: Bad\n    " + secret + ": x\n    " + secret + ": y\n", "line"},
		"a bad scope":                  {good + "  - {name: Bad, sha256: " + hexSHA256(backupKey) + ", scopes: ['a b']}\n", "line 4"},
		"the same key twice":           {good + "  - {name: Bad, sha256: " + hexSHA256(hubKey) + "}\n", "line 4: the same key as in line 3"},
		"reserved metadata":            {good + "  - {name: Bad, sha256: x, metadata: {declared_by: y}}\n", "line 4: metadata"},
		"no name of the set":           {"keys: []\n", "set: missing"},
		"an empty file":                {"", "set: missing"},
		"another prune":                {"set: s\nprune: delete\n", "prune"},
		"two documents":                {good + "---\n" + good, "more than one document"},
		"malformed YAML":               {"set: [\n", "line"},
		"an aliased list of keys":      {"set: s\nx: &k [{name: a}]\nkeys: *k\n", "field x not found"},
		"a file that is too large":     {good + strings.Repeat("# comment\n", maxFile/10), "more than 4194304 bytes"},
	} {
		errs := h.refuse(test.text)
		assert.Contains(t, errs, test.want, name)
		assert.NotContains(t, errs, secret[:12], name)
	}
	assert.Empty(t, h.keys(), "a file with one bad key changes nothing")
}

func TestAMisspelledDatabaseIsNotCreated(t *testing.T) {
	h := newHost(t)
	missing := filepath.Join(h.dir, "key.db")
	status, _, errs := h.run("set: s\n", "apply", "-f", "-", "--database", missing)
	assert.Equal(t, cli.ExitUsage, status)
	assert.Contains(t, errs, "apikey migrate creates it")
	assert.NoFileExists(t, missing)
}

func TestContainersApplyAtTheSameTime(t *testing.T) {
	h := newHost(t)
	var text strings.Builder
	text.WriteString("set: s\nkeys:\n")
	for _, name := range []string{"a", "b", "c", "d", "e"} {
		text.WriteString("  - {name: " + name + ", sha256: " + hexSHA256("key-of-program-"+name) + "}\n")
	}
	var wg sync.WaitGroup
	for range 4 {
		wg.Go(func() {
			status, _, errs := h.run(text.String(), "apply", "-f", "-")
			assert.Zero(t, status, errs)
		})
	}
	wg.Wait()
	assert.Len(t, h.keys(), 5)
}

func FuzzParse(f *testing.F) {
	f.Add("set: s\nprune: revoke\nkeys:\n  - {name: a, sha256: b, metadata: {c: d}}\n")
	f.Add("set: &a [*a]\n")
	f.Add("keys: [1, {key: 2}]")
	f.Fuzz(func(t *testing.T, text string) {
		s, err := parse([]byte(text))
		if err != nil {
			assert.ErrorIs(t, err, apikey.ErrInvalid)
			return
		}
		for i := range s.Keys {
			assert.NotZero(t, s.Keys[i].line)
		}
	})
}

func TestErrorsAboutImportedKeysNameTheFlag(t *testing.T) {
	h := newHost(t)
	h.write("hub", hubKey)
	for _, key := range []string{"sha256: " + hexSHA256(hubKey), "secret_file: " + filepath.Join(h.dir, "hub")} {
		status, _, errs := h.run("set: homelab\nkeys:\n  - name: Hub\n    "+key+"\n", "apply", "-f", "-", "--allow-imported=false")
		assert.Equal(t, cli.ExitUsage, status, key)
		assert.Equal(t, "apikey: file, line 3: digests and keys of other systems need --allow-imported, here and in the service\n", errs, key)
	}
}
