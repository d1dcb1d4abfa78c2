package takeover

import (
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/internal/testdb"
)

func newJellyfin(t *testing.T) *fixture {
	return newFile(t, `CREATE TABLE "ApiKeys" ("Id" INTEGER PRIMARY KEY, "DateCreated" TEXT NOT NULL, "DateLastActivity" TEXT NOT NULL, "Name" TEXT NOT NULL, "AccessToken" TEXT NOT NULL)`,
		`INSERT INTO "ApiKeys" VALUES (7, '2024-02-03 04:05:06', '2024-09-09 00:00:00', 'Sonarr', '`+hubKey+`')`)
}

func TestDryRunReportsAndWritesNothing(t *testing.T) {
	h := newHost(t)
	f := newJellyfin(t)
	status, r := h.importFrom("jellyfin", "--source", f.url, "--dry-run")
	assert.Zero(t, status)
	assert.True(t, r.DryRun)
	assert.Equal(t, imported, rowOf(t, r, "7").Status)
	assert.Empty(t, h.keys())
	status, out, _ := h.run("", "import", "--from", "jellyfin", "--source", f.url, "--dry-run")
	assert.Zero(t, status)
	assert.Contains(t, out, "Dry run, nothing was written. 1 row: 1 imported, 0 pending, 0 exist, 0 duplicates, 0 failed")
	assert.NotContains(t, out, hubKey)
}

func TestASecondRunFindsTheKeysOfTheFirst(t *testing.T) {
	h := newHost(t)
	f := newJellyfin(t)
	_, first := h.importFrom("jellyfin", "--source", f.url)
	f.exec(`INSERT INTO "ApiKeys" VALUES (8, '2024-02-03 04:05:06', '', 'Backup', '` + backupKey + `')`)
	for _, dry := range []string{"--dry-run=true", "--dry-run=false"} {
		status, second := h.importFrom("jellyfin", "--source", f.url, dry)
		assert.Zero(t, status)
		assert.Equal(t, exists, rowOf(t, second, "7").Status)
		assert.Equal(t, rowOf(t, first, "7").KeyID, rowOf(t, second, "7").KeyID)
		assert.Equal(t, imported, rowOf(t, second, "8").Status)
	}
	assert.Len(t, h.keys(), 2)
}

func TestARevokedKeyIsNotRevivedByAnotherRun(t *testing.T) {
	h := newHost(t)
	f := newJellyfin(t)
	h.importFrom("jellyfin", "--source", f.url)
	_, err := h.open().Store.Revoke(t.Context(), h.keys()["Sonarr"].ID)
	require.NoError(t, err)
	_, r := h.importFrom("jellyfin", "--source", f.url)
	assert.Equal(t, exists, rowOf(t, r, "7").Status)
	h.refused(hubKey)
}

func TestTheSourceIsNotWritten(t *testing.T) {
	t.Run("SQLite", func(t *testing.T) {
		t.Parallel()
		f := newJellyfin(t)
		s := systems["jellyfin"]
		s.query = `INSERT INTO %s VALUES (9, '', '', '', '') RETURNING *`
		_, err := readTable(t.Context(), s, apikey.NewSecret(f.url), "")
		assert.ErrorContains(t, err, "readonly")
	})
	for _, e := range []testdb.Engine{testdb.Postgres, testdb.MySQL} {
		t.Run(e.Name, func(t *testing.T) {
			t.Parallel()
			f := newServer(t, e, "CREATE TABLE credentials (id integer, hash varchar(100))")
			s := systems["unkey"]
			s.query = "INSERT INTO %s VALUES (1, 'x') RETURNING *"
			_, err := readTable(t.Context(), s, apikey.NewSecret(f.url), "credentials")
			require.Error(t, err)
			assert.Regexp(t, "(?i)read.only transaction", err.Error())
		})
	}
}

func TestSampleOfNoRowImportsNothing(t *testing.T) {
	h := newHost(t)
	f := newJellyfin(t)
	args := []string{"import", "--from", "jellyfin", "--source", f.url, "--sample"}
	status, _, errs := h.run(backupKey+"\n", args...)
	assert.Equal(t, cli.ExitRefused, status)
	assert.Contains(t, errs, "no row of the source has this key")
	assert.NotContains(t, errs, backupKey)
	assert.Empty(t, h.keys())
	status, _, _ = h.run("\n", args...)
	assert.Equal(t, cli.ExitUsage, status)
	status, out, errs := h.run(hubKey+"\n", args...)
	assert.Zero(t, status)
	assert.Contains(t, errs, `The key belongs to source ID 7, "Sonarr".`)
	assert.NotContains(t, out+errs, hubKey)
	h.works(hubKey, "Sonarr")
}

func TestCSVAndJSONImportEveryField(t *testing.T) {
	csv := "\ufeffname,key,sha256,owner,scopes,created_at,expires_at,revoked_at,suspended_at,last_used_at,source_id,networks,limits,hint\n" +
		"Hub," + hubKey + ",,ann,read write,2024-01-02T03:04:05Z,2999-01-31T00:00:00Z,,,2024-05-06,h1,192.0.2.0/24 2001:db8::/32,api=100/1m,\n" +
		"Backup,," + hexSum(backupKey) + ",,,,,,,,,,,back…\n" +
		"Both,x," + hexSum("x") + ",,,,,,,,,,,\n" +
		"Bad," + userToken + ",,,,yesterday,,,,,,,,\n"
	json := `[{"name": "Hub", "key": "` + hubKey + `", "owner": "ann", "scopes": ["read", "write"], "created_at": "2024-01-02T03:04:05Z", "expires_at": "2999-01-31T00:00:00Z",
		"last_used_at": "2024-05-06", "source_id": "h1", "networks": ["192.0.2.0/24", "2001:db8::/32"], "limits": "api=100/1m"},
		{"name": "Backup", "sha256": "` + hexSum(backupKey) + `", "hint": "back…", "owner": null}, {"name": "Both", "key": "x", "sha256": "` + hexSum("x") + `"},
		{"name": "Bad", "key": "` + userToken + `", "created_at": "yesterday"}]`
	for format, text := range map[string]string{"csv": csv, "json": json} {
		t.Run(format, func(t *testing.T) {
			h := newHost(t)
			status, r := h.importFrom(format, "--source", writeFile(t, "keys", text))
			assert.Equal(t, 1, status)
			assert.Equal(t, map[statusName]int{imported: 2, failed: 2}, r.Count)
			assert.Equal(t, "want either key or sha256", r.Rows[2].Problem)
			assert.Equal(t, "created_at: want a time after 1970, such as 2027-01-31T00:00:00Z", r.Rows[3].Problem)
			h.works(backupKey, "Backup")
			key := h.keys()["Hub"]
			assert.Equal(t, "ann", key.Owner)
			assert.Equal(t, []string{"read", "write"}, key.Scopes)
			assert.Len(t, key.Networks, 2)
			assert.Len(t, key.Limits, 1)
			assert.Equal(t, at("2024-01-02T03:04:05Z"), key.CreatedAt)
			assert.Equal(t, at("2999-01-31T00:00:00Z"), key.ExpiresAt)
			assert.Equal(t, at("2024-05-06T00:00:00Z"), key.LastUsedAt)
			assert.Equal(t, "h1", key.Metadata["source_id"])
			assert.Equal(t, "back…", h.keys()["Backup"].Hint)
		})
	}
}

func TestMalformedFilesAreRefusedWithoutShowingTheirValues(t *testing.T) {
	h := newHost(t)
	for name, test := range map[string]struct{ format, text, want string }{
		"an empty CSV file":            {"csv", "", "want a header"},
		"an unknown column":            {"csv", "name,token\n", "column 2 is unknown"},
		"a repeated column":            {"csv", "name,name\n", "repeated"},
		"a line with too many fields":  {"csv", "name,key\na,b,c\n", "wrong number of fields"},
		"an object":                    {"json", "{}", "want an array"},
		"an array of numbers":          {"json", "[1]", "key 1: want an object"},
		"an unknown field":             {"json", `[{"name": "a", "token": "` + hubKey + `"}]`, `field "token"`},
		"a value of a wrong type":      {"json", `[{"name": 5}]`, `field "name"`},
		"an array without an end":      {"json", `[{"name": "a"}`, "does not end"},
		"a second array":               {"json", `[{"name": "a", "key": "` + hubKey + `"}] [{"name": "b"}]`, "after the array"},
		"no header":                    {"csv", hubKey + ",Hub\n", "column 1 is unknown"},
		"a key as the name of a field": {"json", `[{"` + hubKey + `": "Hub"}]`, "key 1: a field is unknown"},
	} {
		status, _, errs := h.run("", "import", "--from", test.format, "--source", writeFile(t, "keys", test.text))
		assert.Equal(t, cli.ExitUsage, status, name)
		assert.Contains(t, errs, test.want, name)
		assert.NotContains(t, errs, hubKey, name)
	}
}

func TestInvalidArgumentsAreRefused(t *testing.T) {
	h := newHost(t)
	f := newJellyfin(t)
	other := newFile(t, "CREATE TABLE apikey (id text)")
	for name, test := range map[string]struct {
		args []string
		want string
	}{
		"no system":                        {[]string{"--source", f.url}, "--from"},
		"an unknown system":                {[]string{"--from", "plex", "--source", f.url}, "better-auth, django"},
		"no source":                        {[]string{"--from", "jellyfin"}, "set --source"},
		"two sources":                      {[]string{"--from", "jellyfin", "--source", f.url, "--source-file", f.url}, "not both"},
		"a password in the arguments":      {[]string{"--from", "kong", "--source", "postgres://kong:hunter2@127.0.0.1/kong"}, "visible to other users"},
		"a file that does not exist":       {[]string{"--from", "jellyfin", "--source", f.url + "x"}, "no such file"},
		"a file of another system":         {[]string{"--from", "jellyfin", "--source", other.url}, "no table ApiKeys or Tokens"},
		"a table of another system":        {[]string{"--from", "better-auth", "--source", other.url}, "no column key"},
		"a table name that is a statement": {[]string{"--from", "jellyfin", "--source", f.url, "--source-table", `x"; DROP TABLE y`}, "no table"},
	} {
		status, out, errs := h.run("", append([]string{"import"}, test.args...)...)
		assert.Equal(t, cli.ExitUsage, status, name)
		assert.Contains(t, errs, test.want, name)
		assert.NotContains(t, out+errs, "hunter2", name)
	}
	missing := h.dir + "/key.db"
	for _, args := range [][]string{{"import", "--from", "jellyfin", "--source", f.url, "--database", missing}, {"import", "--pending", "--database", missing}} {
		status, _, errs := h.run("", args...)
		assert.Equal(t, cli.ExitUsage, status)
		assert.Contains(t, errs, "apikey migrate creates it")
		assert.NoFileExists(t, missing)
	}
	h.env["APIKEY_ALLOW_IMPORTED"] = ""
	status, _, errs := h.run("", "import", "--from", "jellyfin", "--source", f.url)
	assert.Equal(t, cli.ExitUsage, status)
	assert.Contains(t, errs, "--allow-imported")
}

func TestTheURLOfTheSourceMayBeInAFileOrTheEnvironment(t *testing.T) {
	h := newHost(t)
	f := newJellyfin(t)
	status, _ := h.importFrom("jellyfin", "--source-file", writeFile(t, "url", f.url+"\n"))
	assert.Zero(t, status)
	h.env["APIKEY_SOURCE"] = f.url
	_, r := h.importFrom("jellyfin")
	assert.Equal(t, 1, r.Count[exists])
}

func TestNamesCannotControlTheTerminal(t *testing.T) {
	h := newHost(t)
	f := newFile(t, `CREATE TABLE ApiKeys (Id INTEGER PRIMARY KEY, Name TEXT, AccessToken TEXT)`)
	_, err := f.db.ExecContext(t.Context(), "INSERT INTO ApiKeys VALUES (1, ?, ?), (2, ?, ?)", "red \x1b[31m", hubKey, strings.Repeat("ä", 150), backupKey)
	require.NoError(t, err)
	status, out, _ := h.run("", "import", "--from", "jellyfin", "--source", f.url)
	assert.Equal(t, 1, status)
	assert.NotContains(t, out, "\x1b")
	assert.Contains(t, out, "name shortened")
	assert.Contains(t, h.keys(), strings.Repeat("ä", 99)+"…")
}

func TestFlagScopesReplacesTheScopesOfTheSource(t *testing.T) {
	h := newHost(t)
	h.importFrom("json", "--source", writeFile(t, "keys", `[{"name": "Hub", "key": "`+hubKey+`", "scopes": ["admin"]}]`), "--scopes", "read,list")
	assert.Equal(t, []string{"read", "list"}, h.keys()["Hub"].Scopes)
}

func FuzzFiles(f *testing.F) {
	f.Add("csv", "name,key\nHub,0123456789abcdef\n")
	f.Add("json", `[{"name":"Hub","scopes":["a"],"created_at":"2024-01-01"}]`)
	f.Fuzz(func(t *testing.T, format, text string) {
		for _, read := range []func() ([]row, error){
			func() ([]row, error) { return readCSV(strings.NewReader(text)) },
			func() ([]row, error) { return readJSON(strings.NewReader(text)) },
		} {
			rows, err := read()
			if err != nil {
				continue
			}
			for i := range rows {
				assert.NotEmpty(t, rows[i].id)
			}
		}
	})
}
