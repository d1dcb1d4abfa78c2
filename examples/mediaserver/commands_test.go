package main

import (
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"
)

const someKey = "ak_0123456789abcdefghijABCDEFGHIJ000000"

func TestInvalidArguments(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		want string
	}{
		{[]string{"-issue", ""}, "-issue: empty"},
		{[]string{"-issue="}, "-issue: empty"},
		{[]string{"-issue", " "}, "-issue: empty"},
		{[]string{"-issue", "A", "-scopes", ", ,"}, "-scopes: names no scope"},
		{[]string{"-revoke", ""}, "-revoke: empty"},
		{[]string{"-db", ""}, "-db: empty"},
		{[]string{"-addr", ""}, "-addr: empty"},
		{[]string{"-issue", "A", "-scopes", ""}, "-scopes: empty"},
		{[]string{"-issue", "A", "-revoke", someKey}, "-issue and -revoke: give one of them"},
		{[]string{"-revoke", someKey, "-issue", "A"}, "-issue and -revoke: give one of them"},
		{[]string{"-list", "-issue", "A"}, "give one of them"},
		{[]string{"-list", "-hash-password"}, "give one of them"},
		{[]string{"-issue", "A", "-issue", "B"}, "-issue: given 2 times"},
		{[]string{"-revoke", someKey, "-revoke", someKey}, "-revoke: given 2 times"},
		{[]string{"-db", "a", "-db", "b"}, "-db: given 2 times"},
		{[]string{"-scopes", "library:read"}, "-scopes: only for -issue"},
		{[]string{"-scopes", "library:read", "-list"}, "-scopes: only for -issue"},
		{[]string{"-addr", "localhost:0", "-list"}, "-addr: only for serving"},
		{[]string{"-show-new-keys", "-list"}, "-show-new-keys: only for serving"},
		{[]string{"-db", "a", "-hash-password"}, "-db: only for serving"},
		{[]string{someKey}, "unexpected arguments after the flags: 1"},
		{[]string{"-issue", "Backup", "job"}, "unexpected arguments after the flags: 1"},
		{[]string{"-list", "--", "-issue", someKey}, "unexpected arguments after the flags: 2"},
		{[]string{"-revoke"}, "flag needs an argument: -revoke"},
		{[]string{"-unknown"}, "not defined: -unknown"},
	} {
		t.Run(strings.Join(test.args, " "), func(t *testing.T) {
			t.Parallel()
			status, out, errs := execute(t, "", test.args...)
			assert.Equal(t, 2, status)
			assert.Empty(t, out)
			assert.Contains(t, errs, test.want)
			assert.NotContains(t, errs, someKey)
			assert.NoFileExists(t, "apikeys.db")
		})
	}
	status, out, errs := execute(t, "", "-help")
	assert.Zero(t, status)
	assert.Empty(t, out)
	for _, name := range []string{"-addr", "-db", "-issue", "-scopes", "-list", "-revoke", "-hash-password", "-show-new-keys"} {
		assert.Contains(t, errs, "\n  "+name)
	}
}

func TestRevokeCommand(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		name         string
		arg, stdin   string // {K} is a key, {I} its ID
		status       int
		says, listed string // output, and the status in the list
	}{
		{"by its ID", "{I}", "", 0, `{I}, "Victim", was revoked on`, "revoked"},
		{"by the key itself", "{K}", "", 0, `{I}, "Victim", was revoked on`, "revoked"},
		{"by the key itself, with spaces", " {K}\n", "", 0, `{I}, "Victim", was revoked on`, "revoked"},
		{"by its ID on standard input", "-", "{I}\n", 0, `{I}, "Victim", was revoked on`, "revoked"},
		{"by the key itself on standard input", "-", "{K}\n", 0, `{I}, "Victim", was revoked on`, "revoked"},
		{"by a line with a Windows line ending", "-", "{K}\r\n", 0, `{I}, "Victim", was revoked on`, "revoked"},
		{"an empty line on standard input", "-", "\n", 1, "-revoke: standard input: empty", "active"},
		{"two lines on standard input", "-", "{K}\n{K}\n", 1, "-revoke: standard input: more than one line", "active"},
		{"more than 4 KiB on standard input", "-", strings.Repeat("{K}", 1000), 1, "-revoke: standard input: more than 4096 bytes", "active"},
		{"by a malformed key", "{K}x", "", 1, "-revoke: apikey: no such key", "active"},
		{"by an unknown key", someKey, "", 1, "-revoke: apikey: no such key", "active"},
		{"by an unknown ID", "unknown", "", 1, "-revoke: apikey: no such key", "active"},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dsn := filepath.Join(t.TempDir(), "keys.db")
			issued := mediaserver(t, "-db", dsn, "-issue", "Victim")
			key := regexp.MustCompile(`ak_[0-9A-Za-z]{36}`).FindString(issued)
			id, _, _ := strings.Cut(issued, " ")
			fill := strings.NewReplacer("{K}", key, "{I}", id).Replace
			status, out, errs := execute(t, fill(test.stdin), "-db", dsn, "-revoke", fill(test.arg))
			assert.Equal(t, test.status, status)
			assert.Contains(t, out+errs, fill(test.says))
			assert.NotContains(t, out+errs, "ak_", "no output shows a key")
			assert.Regexp(t, id+` +Victim +ak_….... +`+test.listed+` `, mediaserver(t, "-db", dsn, "-list"))
		})
	}
}

func TestListCommand(t *testing.T) {
	t.Parallel()
	dsn := filepath.Join(t.TempDir(), "keys.db")
	mediaserver(t, "-db", dsn, "-issue", "Backup job", "-scopes", "library:read,library:write")
	mediaserver(t, "-db", dsn, "-issue", "☃")
	lines := strings.Split(mediaserver(t, "-db", dsn, "-list"), "\n")
	require.Len(t, lines, 4, "a heading, two keys and an empty line")
	assert.Regexp(t, `^ID +NAME +HINT +STATUS +SCOPES +CREATED +EXPIRES +LAST USED$`, lines[0])
	assert.Regexp(t, `^[0-9A-Za-z]{16} +☃ +ak_….... +active +20..-..-.. ..:..:.. +never +never$`, lines[1])
	assert.Regexp(t, `^[0-9A-Za-z]{16} +Backup job +ak_….... +active +library:read,library:write +20..-..-.. ..:..:.. +never +never$`, lines[2])
}

func TestIssueNeedsAValidName(t *testing.T) {
	t.Parallel()
	status, _, errs := execute(t, "", "-db", filepath.Join(t.TempDir(), "keys.db"), "-issue", "a\nb")
	assert.Equal(t, 1, status)
	assert.Contains(t, errs, "control character")
}

func TestPasswordHash(t *testing.T) {
	const password = "correct horse battery staple"
	status, out, errs := execute(t, password+"\n", "-hash-password")
	require.Zero(t, status, errs)
	require.Regexp(t, `^\$argon2id\$v=19\$\S+\n$`, out)
	hash := strings.TrimSpace(out)
	file := filepath.Join(t.TempDir(), "hash")
	require.NoError(t, os.WriteFile(file, []byte(out), 0o600))
	for variable, value := range map[string]string{hashVariable: hash, hashFileVariable: file} {
		t.Run("the dashboard reads "+variable, func(t *testing.T) {
			t.Setenv(variable, value)
			got, from, err := passwordHash()
			require.NoError(t, err)
			assert.Equal(t, hash, got.Reveal(), "the hash is used unchanged")
			assert.Equal(t, "the password in "+variable, from)
		})
	}
	t.Run("two variables", func(t *testing.T) {
		t.Setenv(passwordVariable, password)
		t.Setenv(hashVariable, hash)
		_, _, err := passwordHash()
		assert.EqualError(t, err, "APIKEY_ADMIN_PASSWORD, APIKEY_ADMIN_PASSWORD_HASH: set one of them")
	})
	for name, test := range map[string]struct{ stdin, want string }{
		"an empty password": {"", "-hash-password: standard input: empty"},
		"a short password":  {"short\n", "at least 8 characters"},
		"only spaces":       {strings.Repeat(" ", 12), "empty"},
		"several lines":     {password + "\n" + password, "-hash-password: standard input: more than one line"},
		"more than 4 KiB":   {strings.Repeat("x", 5000), "-hash-password: standard input: more than 4096 bytes"},
	} {
		t.Run("refused: "+name, func(t *testing.T) {
			status, out, errs := execute(t, test.stdin, "-hash-password")
			assert.Equal(t, 1, status)
			assert.Empty(t, out)
			assert.Contains(t, errs, test.want)
			assert.NotContains(t, errs, password)
		})
	}
}
