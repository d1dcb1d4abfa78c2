package keys_test

import (
	"bytes"
	"context"
	"flag"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/keys"
)

var update = flag.Bool("update", false, "rewrite the outputs in testdata")

func TestMain(m *testing.M) {
	time.Local = time.UTC
	os.Exit(m.Run())
}

// A machine runs the command in an environment.
type machine struct {
	t   testing.TB
	env map[string]string
}

// onFile returns a machine with an SQLite database that has tables.
func onFile(t testing.TB) *machine {
	t.Helper()
	m := &machine{t, map[string]string{"APIKEY_DATABASE": t.TempDir() + "/keys.db", "APIKEY_ACTOR": "alice"}}
	m.run("migrate").ok()
	return m
}

// A result is the output and the exit status of a command.
type result struct {
	t              testing.TB
	stdout, stderr string
	status         int
}

// run runs the command without input.
func (m *machine) run(args ...string) result { return m.runWith(context.Background(), "", args...) }

// runWith runs the command with an input.
func (m *machine) runWith(ctx context.Context, stdin string, args ...string) result {
	m.t.Helper()
	var out, errs bytes.Buffer
	status := m.runOn(ctx, cli.Streams{In: strings.NewReader(stdin), Out: &out, Err: &errs}, args...)
	return result{m.t, out.String(), errs.String(), status}
}

// runOn runs the command with streams.
func (m *machine) runOn(ctx context.Context, streams cli.Streams, args ...string) int {
	m.t.Helper()
	app := cli.New(streams, func(name string) string { return m.env[name] })
	root := app.Root()
	root.AddCommand(keys.Commands(app)...)
	root.AddCommand(cli.Migrate(app), cli.Version(app))
	return app.Run(ctx, root, args)
}

// ok requires success and returns standard output.
func (r result) ok() string {
	r.t.Helper()
	require.Zero(r.t, r.status, r.stderr)
	return r.stdout
}
