package cli_test

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/spf13/cobra"
	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/remote"
	"github.com/latchkey-dev/apikey/manage"
)

func TestExitStatus(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want int
	}{
		{nil, cli.ExitOK},
		{errors.New("other"), cli.ExitFailed},
		{syscall.EPIPE, cli.ExitFailed},
		{os.ErrPermission, cli.ExitFailed},
		{cli.Usage(errors.New("x")), cli.ExitUsage},
		{cli.Input(errors.New("x")), cli.ExitUsage},
		{errors.New(`unknown command "x" for "apikey"`), cli.ExitUsage},
		{&apikey.InvalidError{}, cli.ExitUsage},
		{apikey.ErrMalformed, cli.ExitUsage},
		{apikey.ErrNotFound, cli.ExitNotFound},
		{&manage.RefusedError{}, cli.ExitRefused},
		{manage.ErrChanged, cli.ExitRefused},
		{&apikey.ReplacedError{}, cli.ExitRefused},
		{apikey.ErrExists, cli.ExitRefused},
		{apikey.ErrRevoked, cli.ExitRefused},
		{apikey.ErrSuspended, cli.ExitRefused},
		{apikey.ErrExpired, cli.ExitRefused},
		{remote.ErrUnauthorized, cli.ExitRefused},
		{cli.Refused(errors.New("x")), cli.ExitRefused},
		{apikey.ErrUnavailable, cli.ExitUnavailable},
		{context.DeadlineExceeded, cli.ExitUnavailable},
		{&net.OpError{Err: syscall.ECONNREFUSED}, cli.ExitUnavailable},
		{&net.DNSError{}, cli.ExitUnavailable},
		{apikey.ErrUncertain, cli.ExitUncertain},
		{fmt.Errorf("%w: %w", apikey.ErrUncertain, context.Canceled), cli.ExitUncertain},
		{cli.Changed(errors.New("x")), cli.ExitChanged},
		{cli.Undelivered(syscall.EPIPE), cli.ExitUndelivered},
		{cli.Undelivered(context.Canceled), cli.ExitUndelivered},
		{context.Canceled, cli.ExitInterrupted},
		{cli.Input(context.Canceled), cli.ExitInterrupted},
	} {
		assert.Equal(t, test.want, cli.ExitStatus(test.err), "%v", test.err)
		if test.err != nil {
			assert.Equal(t, test.want, cli.ExitStatus(fmt.Errorf("%w", test.err)) /* wrapped */, "%v", test.err)
		}
		assert.Contains(t, cli.ExitHelp, fmt.Sprintf("\n  %d  ", test.want))
	}
}

// run runs a command "test" that does something.
func run(t *testing.T, do func(*cli.App) error, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	var out, errs bytes.Buffer
	app := cli.New(cli.Streams{In: strings.NewReader(""), Out: &out, Err: &errs}, func(string) string { return "" })
	root := app.Root()
	root.AddCommand(&cobra.Command{Use: "test", RunE: func(*cobra.Command, []string) error { return do(app) }}, cli.Version(app))
	status = app.Run(t.Context(), root, args)
	return status, out.String(), errs.String()
}

func TestErrorsAreForPeople(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		err  error
		want string
	}{
		{fmt.Errorf("sqlstore: %w", &apikey.InvalidError{Field: "ExpiresAt", Problem: "too late"}), "expires_at: too late"},
		{fmt.Errorf("keys.yaml:3: %w", &apikey.InvalidError{Field: "Name", Problem: "empty"}), "keys.yaml:3: name: empty"},
		{&manage.RefusedError{Field: "Scopes", Problem: "You may not."}, "scopes: You may not."},
		{&manage.RefusedError{Problem: "You may not."}, "You may not."},
		{apikey.ErrNotFound, "no such key"},
		{manage.ErrChanged, "the key has changed since it was read"},
		{errors.New("no such table: apikey_keys"), "no such table: apikey_keys; create the tables with apikey migrate"},
		{errors.New("\x1b[2Jevil\r\n\ttext"), "�[2Jevil�\n text"},
		{context.Canceled, "interrupted"},
	} {
		_, out, errs := run(t, func(*cli.App) error { return test.err }, "test")
		assert.Equal(t, "apikey: "+test.want+"\n", errs)
		assert.Empty(t, out)
	}
}

func TestKeysInArgumentsAreRefused(t *testing.T) {
	t.Parallel()
	secret := "acme_prod_" + strings.Repeat("a1B", 12)
	for _, args := range [][]string{
		{secret}, {"test", secret}, {"test", "--name=" + secret}, {"test", "-x" + "=" + secret}, {"test", "https://example.com/?api_key=" + secret},
		{"test", "Authorization: Bearer " + secret}, {"ak_" + secret[10:30]}, {"test", "--ak_" + secret[10:40] + "=x"}, {"help", secret}, {"__complete", secret, ""},
	} {
		status, out, errs := run(t, func(*cli.App) error { t.Error("the command ran"); return nil }, args...)
		assert.Equal(t, cli.ExitUsage, status)
		assert.NotContains(t, out+errs, secret[10:30])
		assert.Contains(t, errs, "standard input")
	}
	for _, arg := range []string{"4xUCRsGzqvTOJPfN", "build_0123456789abcdef0123456789abcdef01234567", "acme_prod_short", "ak_keys.db", strings.Repeat("a", 36)} {
		status, _, errs := run(t, func(*cli.App) error { return nil }, "test", "--database", arg)
		assert.Zero(t, status, errs)
	}
}

func TestEmptyFlagsAreRefused(t *testing.T) {
	t.Parallel()
	for _, flag := range []string{"database", "database-file", "server", "server-key-file", "pepper-file"} {
		status, _, errs := run(t, func(*cli.App) error { t.Error("the command ran"); return nil }, "test", "--"+flag, "")
		assert.Equal(t, cli.ExitUsage, status, flag)
		assert.Equal(t, "apikey: --"+flag+": empty; want a value, or omit the flag\n", errs)
	}
	for _, flag := range []string{"table-prefix", "key-prefix", "actor"} {
		status, _, errs := run(t, func(*cli.App) error { return nil }, "test", "--"+flag, "")
		assert.Zero(t, status, errs)
	}
}

func TestACommandForADatabaseRefusesAServer(t *testing.T) {
	t.Parallel()
	status, _, errs := run(t, func(a *cli.App) error {
		_, err := a.Database()
		return err
	}, "test", "--server", "https://example.com", "--database", filepath.Join(t.TempDir(), "keys.db"))
	assert.Equal(t, cli.ExitUsage, status)
	assert.Equal(t, "apikey: --server: this command needs a database; set --database\n", errs)
}

func TestAFlagOverridesItsVariable(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, variable string
		args           []string
		want           bool
	}{
		{"neither", "", nil, false},
		{"only the variable", "true", nil, true},
		{"only the flag", "", []string{"--allow-imported"}, true},
		{"a flag that is off, over a variable that is on", "true", []string{"--allow-imported=false"}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			app := cli.New(cli.Streams{}, func(name string) string { return map[string]string{"APIKEY_ALLOW_IMPORTED": c.variable}[name] })
			require.NoError(t, app.Root().ParseFlags(c.args))
			format, err := app.Format()
			require.NoError(t, err)
			_, err = format.DigestSHA256([32]byte{1})
			assert.Equal(t, c.want, err == nil)
		})
	}
}

func TestWithoutACommandLineTheVariablesDecide(t *testing.T) {
	t.Parallel()
	app := cli.New(cli.Streams{}, func(name string) string { return map[string]string{"APIKEY_ALLOW_IMPORTED": "true"}[name] })
	format, err := app.Format()
	require.NoError(t, err)
	_, err = format.DigestSHA256([32]byte{1})
	assert.NoError(t, err)
}

func TestReadSecretFile(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	write := func(name, text string) string {
		file := filepath.Join(dir, name)
		require.NoError(t, os.WriteFile(file, []byte(text), 0o600))
		return file
	}
	secret, err := cli.ReadSecretFile(write("good", " secret\r\n"))
	require.NoError(t, err)
	assert.Equal(t, "secret", secret.Reveal())
	for _, file := range []string{write("empty", "\n"), write("large", strings.Repeat("x", 64<<10+1)), dir, dir + "/missing", "/dev/zero"} {
		_, err := cli.ReadSecretFile(file)
		assert.Equal(t, cli.ExitUsage, cli.ExitStatus(err), file)
	}
}

func TestVersion(t *testing.T) {
	t.Parallel()
	_, out, _ := run(t, nil, "version")
	assert.Regexp(t, `^apikey \S+, go1\.\S+\n$`, out)
	_, out, _ = run(t, nil, "version", "--json")
	assert.Regexp(t, `^{"version":".*"go":"go1\..*"}\n$`, out)
}
