package scanner_test

import (
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/stretchr/testify/assert"
	"github.com/stretchr/testify/require"

	"github.com/latchkey-dev/apikey/cmd/apikey/internal/cli"
	"github.com/latchkey-dev/apikey/cmd/apikey/internal/scanner"
)

var update = flag.Bool("update", false, "write the golden files")

// run runs "apikey scanner-rules" with arguments and environment variables ("NAME=value").
func run(t testing.TB, args []string, env ...string) (status int, out, errors string) {
	t.Helper()
	var stdout, stderr strings.Builder
	app := cli.New(cli.Streams{In: strings.NewReader(""), Out: &stdout, Err: &stderr}, func(name string) string {
		for _, one := range env {
			if value, ok := strings.CutPrefix(one, name+"="); ok {
				return value
			}
		}
		return ""
	})
	root := app.Root()
	root.AddCommand(scanner.Command(app))
	status = app.Run(t.Context(), root, append([]string{"scanner-rules"}, args...))
	return status, stdout.String(), stderr.String()
}

func TestScannerRulesPrintsTheGoldenFiles(t *testing.T) {
	t.Parallel()
	for _, tool := range []string{"gitleaks", "betterleaks1", "betterleaks2", "trufflehog"} {
		status, out, problem := run(t, []string{tool, "--key-prefix", "acme", "--service", "Acme", "--verify-url", "https://api.example.com/leaks/verify"})
		require.Zero(t, status, problem)
		file := filepath.Join("testdata", tool+".golden")
		if *update {
			require.NoError(t, os.WriteFile(file, []byte(out), 0o600))
		}
		want, err := os.ReadFile(filepath.Clean(file))
		require.NoError(t, err)
		assert.Equal(t, string(want), out, "%s; run with -update", file)
	}
}

func TestScannerRulesTakesThePrefixFromTheEnvironment(t *testing.T) {
	t.Parallel()
	_, out, _ := run(t, []string{"gitleaks"}, "APIKEY_KEY_PREFIX=env")
	assert.Contains(t, out, `keywords = ["env_"]`)
	_, out, _ = run(t, []string{"gitleaks"})
	assert.Contains(t, out, `keywords = ["ak_"]`)
}

func TestScannerRulesRefuses(t *testing.T) {
	t.Parallel()
	for _, test := range []struct {
		args []string
		says string
	}{
		{nil, "TOOL: 0 arguments; want one of gitleaks, "},
		{[]string{"gitguardian"}, `TOOL: "gitguardian": want`},
		{[]string{"gitleaks", "--service", `"`}, "--service: "},
		{[]string{"trufflehog", "--verify-url", "http://h/"}, "--verify-url: "},
		{[]string{"gitleaks", "--key-prefix", "A"}, "prefix"},
	} {
		status, out, problem := run(t, test.args)
		assert.Empty(t, out, test.args)
		assert.Contains(t, problem, test.says, test.args)
		assert.Equal(t, cli.ExitUsage, status, test.args)
	}
}

func TestTheCommandOfTheDocumentRuns(t *testing.T) {
	t.Parallel()
	text, err := os.ReadFile("../../../../docs/leaked-keys.md")
	require.NoError(t, err)
	_, command, found := strings.Cut(string(text), "\n$ apikey scanner-rules ")
	require.True(t, found)
	command, _, _ = strings.Cut(command, " > .gitleaks.toml\n")
	status, out, problem := run(t, strings.Fields(command))
	assert.Zero(t, status, problem)
	assert.Contains(t, out, `id = "acme-api-key"`)
}
